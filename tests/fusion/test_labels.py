from __future__ import annotations

import pytest

from fusion.labels import CIRCUMPLEX, NAMES_OF, is_known, our_labels, valence_arousal
from modalities.reading import EMOTIONS, SENTIMENT_OF, SENTIMENTS


def test_every_name_leads_into_the_taxonomy_and_to_one_place() -> None:
    assert set(CIRCUMPLEX) == set(EMOTIONS)
    assert set(SENTIMENT_OF) == set(EMOTIONS) - {"surprise"}
    assert set(SENTIMENT_OF.values()) == set(SENTIMENTS)
    assert set(NAMES_OF) == {*EMOTIONS, *SENTIMENTS, ""}
    names = [name for names in NAMES_OF.values() for name in names.split()]
    assert len(names) == len(set(names))
    assert [name for name in names if name != name.casefold()] == []


def test_a_rows_own_sentiment_comes_before_that_of_its_emotion() -> None:
    labels, own = ["neutral", "Joy", "surprise", "negative-other"], ["negative", "", "", "neg"]
    assert our_labels(labels, own) == [
        ("neutral", "negative"),
        ("happy", "positive"),
        ("surprise", None),
        (None, "negative"),
    ]


def test_neutral_among_sentiments_is_no_emotion() -> None:
    assert our_labels(["neutral", "positive"]) == [(None, "neutral"), (None, "positive")]
    assert our_labels(["neutral", "positive", "sad"])[0] == ("neutral", "neutral")
    assert our_labels(["neutral"]) == [("neutral", "neutral")]


def test_several_labels_are_no_emotion_and_the_sentiment_on_which_they_agree() -> None:
    said = {
        "joy|anger": None,
        "joy|sadness|other": None,
        "neutral|joy": None,
        "surprise|other": None,
        "joy|love": "positive",
        "joy|surprise": "positive",
        "anger|disgust|sadness": "negative",
        "neutral|surprise": "neutral",
        "불평/불만|슬픔": "negative",
    }
    assert our_labels([*said]) == [(None, sentiment) for sentiment in said.values()]


def test_a_set_says_itself_what_several_labels_come_to() -> None:
    assert our_labels(["joy|anger", "joy|love"], ["negative", "neutral"]) == [
        (None, "negative"),
        (None, "neutral"),
    ]


def test_unknown_labels_say_nothing() -> None:
    assert our_labels(["jjoy", "", "jjoy|jjoyful"]) == [(None, None)] * 3
    assert [is_known(label) for label in ("joy|anger", "joy|jjoy", "")] == [True, False, False]


def test_valence_and_arousal_are_the_expected_place() -> None:
    sure = [float(emotion == "angry") for emotion in EMOTIONS]
    assert valence_arousal(sure) == pytest.approx(CIRCUMPLEX["angry"])
