from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

import weights
from modalities.text.infer import TextReader
from training import satisfaction
from training.data import helpdesk


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader.load(weights.path_of("text"))


def dialogue(name: str, first: str, answer: str, last: str, mean: float) -> dict[str, object]:
    turns = [["customer", [first]], ["helpdesk", [answer]], ["customer", [last]]]
    return {"id": name, "turns": turns, "satisfaction_mean": mean, "split": "train"}


def test_turns_without_words_are_left_out(reader: TextReader) -> None:
    one = dialogue("1", "it broke", "  ", "thanks", 1.0)
    (turns,) = satisfaction.read(reader, [one])
    assert [(turn.from_customer, turn.text) for turn in turns] == [
        (True, "it broke"),
        (True, "thanks"),
    ]


def test_folded_predictions_follow_the_ratings_and_twins_share_a_fold(data: Path) -> None:
    reader = TextReader.load(weights.path_of("text"))
    known = [item for item in helpdesk("en") if item["split"] == "train"][:240]
    items = [
        satisfaction.Conversation(name, "en", "train", turns, one["satisfaction_mean"] / 2)
        for one, turns in zip(known, satisfaction.read(reader, known), strict=True)
        for name in [str(one["id"])]
        if any(turn.from_customer for turn in turns)
    ]
    ratings = np.array([item.satisfaction for item in items])
    predicted = satisfaction.folded(items)
    assert spearmanr(predicted, ratings).statistic > 0.4
    # A twin in another fold would give its rating away.
    noise = np.random.default_rng(0).permutation(ratings)
    noisy = [
        satisfaction.Conversation(i.dialogue, "en", "train", i.turns, value)
        for i, value in zip(items, noise, strict=True)
    ]
    twice = satisfaction.folded(noisy + noisy)
    assert abs(spearmanr(twice[: len(noisy)], noise).statistic) < 0.3
