from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fusion.labels import CIRCUMPLEX, EMOTION_OF, sentiment_of, valence_arousal
from modalities.reading import EMOTIONS, SENTIMENT_OF, SENTIMENTS
from training.data import text_rows


def test_every_map_leads_into_the_taxonomy() -> None:
    assert set(CIRCUMPLEX) == set(EMOTIONS)
    assert set(SENTIMENT_OF) == set(EMOTIONS) - {"surprise"}
    assert set(SENTIMENT_OF.values()) == set(SENTIMENTS)
    for labels in EMOTION_OF.values():
        assert set(labels.values()) <= set(EMOTIONS)


def test_a_rows_own_sentiment_comes_before_that_of_its_emotion() -> None:
    assert sentiment_of("cped", "neutral", "negative") == "negative"
    assert sentiment_of("airline", "positive") == "positive"
    assert sentiment_of("ewect", "surprise") is None
    assert sentiment_of("casia", "neutral") == "neutral"


def test_valence_and_arousal_are_the_expected_place() -> None:
    sure = np.full(7, -30, np.float32)
    sure[EMOTIONS.index("angry")] = 0
    assert valence_arousal(sure) == pytest.approx(CIRCUMPLEX["angry"])


@pytest.mark.parametrize("name", ["ewect", "weibo_moods", "meld", "goemotions"])
def test_the_maps_cover_the_sets_single_labels(name: str, data: Path) -> None:
    labels = {row["label"] for row in text_rows(name) if "|" not in row["label"]}
    assert labels == set(EMOTION_OF[name])
