"""What the text model is judged on: which rows of each set's `test`, by which head, and what the
baseline learns where a set has no `train` of its own.

Turns of dialogues are read with what was said before them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modalities.reading import SENTIMENTS
from modalities.text.language import LANGUAGES
from training.data import text_rows
from training.evaluation import judge
from training.evaluation.baselines import Baseline, learned
from training.evaluation.judge import HEADS, Classified
from training.evaluation.metrics import answer_figures, class_figures
from training.rows import Row, load, sets_of

SEED = 20261130
SUPPORT, RAILWAY, CONTRASTS = "maia_support_eval", "germeval2017_bahn_de", "imdb_contrast_sets"

# Set → the head that its figure is of.
WHOLE: Mapping[str, str] = {
    "written": "sentiment",
    "written_turns": "sentiment",
    "ewect": "emotion",
    "goemotions": "emotion",
    "meld": "emotion",
    "airline": "sentiment",
    "shopping": "sentiment",
    "waimai": "sentiment",
    "umsab": "sentiment",
    SUPPORT: "sentiment",
    RAILWAY: "sentiment",
    CONTRASTS: "sentiment",
}
SAMPLED: Mapping[str, str] = {
    "cped": "emotion",
    "xdailydialog_en": "emotion",
    "xdailydialog_zh": "emotion",
    "empathetic_situations": "emotion",
    "brighter": "emotion",
    "kote_ko": "sentiment",
    "wisesight_th": "sentiment",
}
HEAD_OF: Mapping[str, str] = {**WHOLE, **SAMPLED}
MOST = 2000  # rows of each of SAMPLED
METRIC_OF: Mapping[str, str] = {  # of the others it is macro-F1
    "meld": "weighted_f1",
    "shopping": "accuracy",
    "waimai": "accuracy",
    CONTRASTS: "accuracy",
}
EXCHANGED = ("written", "airline", "cped")  # sets in whose rows words are exchanged for others
# Whole where two checkpoints are held beside one another; of the other sets so many rows.
DECISIVE, COMPARED = ("written", "airline"), 1000
POSTS = ("twitter", "facebook")  # of the railway set; what is left are articles and forums

# Support chats and railway posts have no rows to learn from: the baseline learns from the training
# sets' own, all of these sets' languages and so many of the others.
FOREIGN = (SUPPORT, RAILWAY)
FOREIGN_LANGUAGES = ("de", "pt")
OTHERS = 30_000


@cache
def rows_of(name: str) -> Sequence[Row]:
    """The rows of `test` on which the set is judged: of support chats the customers' sentences, of
    railway posts those of POSTS, of SAMPLED at most MOST in languages that are read."""
    rows = load("text", name, "test")
    if name == SUPPORT:
        return [row for row in rows if row.speaker == "customer"]
    if name == RAILWAY:
        return [row for row in rows if row.source in POSTS]
    if name in WHOLE:
        return rows
    read = [row for row in rows if row.language[:2] in LANGUAGES]
    return [read[place] for place in drawn(len(read), MOST, name)]


def drawn(n: int, most: int, name: str) -> list[int]:
    """At most so many places of `n`, in order; the same ones every time."""
    return sorted(random.Random(f"{SEED}/{name}").sample(range(n), min(most, n)))


@cache
def judged(name: str, weights: Path) -> Mapping[str, Classified]:
    """Head → the checkpoint's answers to `rows_of` the set."""
    results = judge.judge_rows("text", rows_of(name), weights)
    return {result.head: result for result in results if isinstance(result, Classified)}


def metric_of(name: str) -> str:
    return METRIC_OF.get(name, "macro_f1")


def beside(result: Classified, other: Path) -> tuple[Classified, Classified]:
    """A result and what the checkpoint `other` answers to the same rows: all of a set that is
    DECISIVE, else COMPARED of them."""
    name = result.rows[0].data_set
    most = len(result.rows) if name in DECISIVE else COMPARED
    places = drawn(len(result.rows), most, name)
    rows = [result.rows[place] for place in places]
    (second,) = (one for one in judge.judge_rows("text", rows, other) if one.head == result.head)
    assert isinstance(second, Classified)
    p, truth = result.p[places], result.truth[places]
    figures = class_figures(p, truth, result.figures.classes)
    return replace(result, rows=rows, p=p, truth=truth, figures=figures), second


def refused(result: Classified) -> int:
    """How many rows the reader did not read: they count as an even distribution."""
    return int((np.ptp(result.p, axis=-1) == 0).sum())


def by_language(result: Classified) -> NDArray[np.str_]:
    """Each row's language (n,), as LANGUAGES name it."""
    return np.array([row.language[:2] for row in result.rows])


def baseline(name: str) -> Baseline:
    """What the set's own `train` teaches, asked of `rows_of` it."""
    head = HEAD_OF[name]
    rows = [row for row in rows_of(name) if getattr(row, head) is not None]
    labels = {getattr(row, head) for row in rows}
    classes = [one for one in HEADS[head] if one in labels]
    return learned("text", load("text", name, "train"), rows, head, classes)


def foreign_baselines() -> dict[str, dict[str, float]]:
    """Set → figures of what `foreign_train` teaches, for all FOREIGN: one model answers both."""
    rows = {name: [row for row in rows_of(name) if row.sentiment] for name in FOREIGN}
    asked = [row for of_set in rows.values() for row in of_set]
    answer = learned("text", foreign_train(), asked, "sentiment", SENTIMENTS).answers
    truth = np.array([row.sentiment_index for row in asked])
    ends = np.cumsum([len(of_set) for of_set in rows.values()])
    return {
        name: answer_figures(truth[end - len(of_set) : end], answer[end - len(of_set) : end])
        for (name, of_set), end in zip(rows.items(), ends.tolist(), strict=True)
    }


def foreign_train() -> list[Row]:
    """The training sets' rows with a sentiment: all in FOREIGN_LANGUAGES, OTHERS of the rest."""
    rows = [row for name in sets_of("text") for row in load("text", name, "train") if row.sentiment]
    foreign = [row for row in rows if row.language[:2] in FOREIGN_LANGUAGES]
    others = [row for row in rows if row.language[:2] not in FOREIGN_LANGUAGES]
    return foreign + [others[place] for place in drawn(len(others), OTHERS, "others")]


def contrasts_right(result: Classified) -> float:
    """The share of CONTRASTS' pairs, which differ in what turns the verdict, both of which are
    answered right."""
    pair_of = {row["text"].strip(): row["pair"] for row in text_rows(CONTRASTS)}
    right: dict[str, bool] = {}
    for row, correct in zip(result.rows, result.answer == result.truth, strict=True):
        pair = pair_of[row.content]
        right[pair] = right.get(pair, True) and bool(correct)
    return sum(right.values()) / len(right)
