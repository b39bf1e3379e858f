from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import weights
from modalities.text.language import LANGUAGES
from training.data import text_rows
from training.evaluation import judge, texts
from training.evaluation.judge import Classified
from training.evaluation.metrics import class_figures
from training.evaluation.slices import class_slices
from training.rows import EVALUATED, SETS, Row, load


def answered(rows: list[Row], right: list[bool]) -> Classified:
    """Of two sentiments."""
    truth = np.array([row.sentiment == "negative" for row in rows]).astype(int)
    answer = np.where(right, truth, 1 - truth)
    p = np.where(answer[:, None] == np.arange(2), 0.9, 0.1)
    figures = class_figures(p, truth, ["positive", "negative"])
    return Classified("sentiment", rows, p, truth, 0, 0, figures)


def test_every_set_is_one_that_there_is() -> None:
    assert set(texts.HEAD_OF) <= set(SETS["text"])
    assert set(EVALUATED) <= set(texts.WHOLE)


def test_rows_are_those_that_are_said_to_be_judged(data: Path) -> None:
    assert {row.speaker for row in texts.rows_of(texts.SUPPORT)} == {"customer"}
    assert any(row.before for row in texts.rows_of(texts.SUPPORT))
    assert {row.source for row in texts.rows_of(texts.RAILWAY)} == set(texts.POSTS)
    sampled = texts.rows_of("brighter")
    assert len(sampled) == texts.MOST
    assert {row.language[:2] for row in sampled} <= set(LANGUAGES)
    assert len(texts.rows_of("waimai")) == 1185


def test_what_is_drawn_is_drawn_again() -> None:
    assert texts.drawn(100, 10, "a") == texts.drawn(100, 10, "a") != texts.drawn(100, 10, "b")
    assert texts.drawn(5, 10, "a") == [0, 1, 2, 3, 4]


def test_a_pair_is_right_where_both_are(data: Path) -> None:
    rows = load("text", texts.CONTRASTS, "test")
    pair_of = {row["text"].strip(): row["pair"] for row in text_rows(texts.CONTRASTS)}
    first = pair_of[rows[0].content]
    assert texts.contrasts_right(answered(rows, [True] * len(rows))) == 1
    one_wrong = answered(rows, [row is not rows[0] for row in rows])
    n_pairs = len({pair_of[row.content] for row in rows})
    assert texts.contrasts_right(one_wrong) == 1 - 1 / n_pairs
    whole_pair = answered(rows, [pair_of[row.content] != first for row in rows])
    assert texts.contrasts_right(whole_pair) == texts.contrasts_right(one_wrong)


def test_what_is_refused_counts_as_an_even_distribution(sentences: list[Row]) -> None:
    result = answered(sentences, [True] * len(sentences))
    assert texts.refused(result) == 0
    even = result.p.copy()
    even[:3] = 0.5
    assert texts.refused(replace(result, p=even)) == 3


def test_the_projects_own_messages_are_told_by_kind_and_language() -> None:
    rows = texts.rows_of("written")
    truth = np.array([row.sentiment_index for row in rows])
    found = class_slices("text", rows, truth, truth)
    assert len(found["kind"]) == 15
    assert {"sarcasm", "transcript", "agent", "wrapped"} <= set(found["kind"])
    assert sum(of["n"] for of in found["kind"].values()) == len(rows)
    assert {"en", "zh", "hi"} <= set(found["language"])


def test_two_checkpoints_are_asked_the_same_rows(
    sentences: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "COMPARED", 6)
    path = weights.path_of("text")
    (result,) = judge.judge_rows("text", sentences, path)
    assert isinstance(result, Classified)
    ours, other = texts.beside(result, path)
    assert len(ours.rows) == 6
    assert ours.rows == other.rows
    np.testing.assert_allclose(ours.p, other.p, atol=1e-3)
    assert ours.figures.macro_f1 == other.figures.macro_f1
