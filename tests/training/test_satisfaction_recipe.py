from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

import weights
from fusion.satisfaction import KIND, dense_features, n_gram_features
from modalities.text.infer import TextReader
from modalities.text.prepare import Turn
from training import satisfaction
from training.evaluation import conversations
from training.satisfaction import Conversation


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader.load(weights.path_of("text"))


@pytest.fixture(scope="module")
def items(data: Path, reader: TextReader) -> list[Conversation]:
    """240 of the helpdesk in English, and 60 written ones of each split."""
    made = []
    for name, split, n in (
        ("helpdesk_en", "train", 240),
        (conversations.WRITTEN, "train", 60),
        (conversations.WRITTEN, "test", 60),
    ):
        known = conversations.load(name, split)[:n]
        made += [
            Conversation(name, str(one["id"]), "en", split, turns, one["satisfaction_mean"] / 2)
            for one, turns in zip(known, satisfaction.read(reader, known), strict=True)
            if any(turn.from_customer for turn in turns)
        ]
    return made


def dialogue(first: str, answer: str, last: str) -> dict[str, object]:
    turns = [["customer", [first]], ["helpdesk", [answer]], ["customer", [last]]]
    return {"id": "1", "turns": turns, "satisfaction_mean": 1.0}


def ratings_of(items: Sequence[Conversation]) -> np.ndarray:
    return np.array([item.satisfaction for item in items])


@pytest.mark.parametrize("answer", ["  ", "ᚠᚢᚦᚨᚱᚲ ᚷᚹᚺᚾᛁᛃ ᛇᛈᛉᛊᛏᛒ"])
def test_turns_that_cannot_be_read_are_left_out(reader: TextReader, answer: str) -> None:
    (turns,) = satisfaction.read(reader, [dialogue("it broke", answer, "thanks")])
    assert [(turn.from_customer, turn.text) for turn in turns] == [
        (True, "it broke"),
        (True, "thanks"),
    ]


def test_turns_are_read_with_those_before_them(reader: TextReader) -> None:
    (turns,) = satisfaction.read(reader, [dialogue("It broke.", "Does it work now?", "No.")])
    before = (Turn(True, "It broke."), Turn(False, "Does it work now?"))
    (last,) = reader.infer([reader.prepare("No.", before)])
    assert turns[-1].embedding == pytest.approx(last.embedding, abs=1e-4)
    (alone,) = reader.infer([reader.prepare("No.")])
    assert np.abs(turns[-1].embedding - alone.embedding).max() > 0.01


def test_the_written_conversations_are_whole(data: Path) -> None:
    found = conversations.load(conversations.WRITTEN)
    assert {one["lang"] for one in found} > {"en", "zh", "de", "ar"}
    assert {one["satisfaction_mean"] for one in found} == {-2, -1, 0, 1, 2}
    assert min(len(conversations.said(one)) for one in found) >= 5


def test_folded_predictions_follow_the_ratings_and_spread_as_they_do(
    items: list[Conversation],
) -> None:
    predicted, ratings = satisfaction.folded(items), ratings_of(items)
    for name in ("helpdesk_en", conversations.WRITTEN):
        mask = np.array([item.data_set == name for item in items])
        assert spearmanr(predicted[mask], ratings[mask]).statistic > 0.5
    assert predicted.std() / ratings.std() == pytest.approx(1, abs=0.25)


def test_a_conversation_s_kind_is_told_without_leaning_to_either(
    items: list[Conversation],
) -> None:
    head = satisfaction.fit(items[::2], "")
    of_kind = []
    for written in (False, True):
        held = [i.turns for i in items[1::2] if (i.data_set == conversations.WRITTEN) is written]
        dense = np.stack([dense_features(turns, head.dims) for turns in held])
        n_grams = n_gram_features(held, head.dims) @ head.n_grams[KIND].ravel()
        of_kind.append((dense @ head.dense[KIND] + n_grams + head.bias[KIND]).mean())
    assert of_kind == pytest.approx([-1, 1], abs=0.15)


def test_neither_a_twin_nor_a_topic_held_out_teaches(items: list[Conversation]) -> None:
    noise = np.random.default_rng(0).permutation(ratings_of(items))
    noisy = [replace(i, satisfaction=value) for i, value in zip(items, noise, strict=True)]
    # A twin in another fold would give its rating away.
    twice = satisfaction.folded(noisy + noisy)
    assert abs(spearmanr(twice[: len(noisy)], noise).statistic) < 0.3
    known = [one if item.split == "test" else item for item, one in zip(items, noisy, strict=True)]
    assert satisfaction.folded(known).tolist() == satisfaction.folded(items).tolist()
