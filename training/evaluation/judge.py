"""A checkpoint's answers to the labelled rows of a set or manifest.

The labels decide the head: emotion names, sentiment names, or numbers (a rating, against which the
score P(positive) − P(negative) is correlated). The answer is the most probable among the classes
that occur in the rows' mapped labels, the probabilities renormalised over them, unless the set is
`open_set`. Rows without a label of ours, or with several, are skipped and counted. Nothing is
chosen or tuned here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modalities.errors import InputError
from modalities.reading import EMOTIONS, SENTIMENTS, score_of
from training.evaluation import conversations
from training.evaluation.metrics import (
    ClassFigures,
    NumberFigures,
    class_figures,
    number_figures,
    renormalised,
)
from training.rows import Row, load

HEADS: Mapping[str, Sequence[str]] = {"emotion": EMOTIONS, "sentiment": SENTIMENTS}


@dataclass(frozen=True, eq=False)
class Classified:
    """One head's answers to the rows that have a label for it."""

    head: str  # "emotion" or "sentiment"
    rows: list[Row]  # (n,)
    p: NDArray[np.float64]  # (n, c) over figures.classes
    truth: NDArray[np.intp]  # (n,) index in figures.classes
    multi_label: int  # rows skipped for several labels at once
    unmapped: int  # rows skipped for a label that this head does not have
    figures: ClassFigures

    @property
    def answer(self) -> NDArray[np.intp]:
        return self.p.argmax(-1)


@dataclass(frozen=True, eq=False)
class Rated:
    """Scores beside ratings: of single texts ("rating"), or of whole conversations by their mean
    score ("rating") and by the satisfaction head ("satisfaction")."""

    head: str
    rows: list[Row]  # (n,)
    scores: NDArray[np.float64]  # (n,)
    unmapped: int  # rows skipped for want of a number
    figures: NumberFigures


Result = Classified | Rated


def judge(
    part: str, source: str, split: str | None, weights: Path, *, open_set: bool = False
) -> list[Result]:
    """Results of the checkpoint `weights` for each head that the labels speak of, the one that
    they name first. `split` None takes every row.

    Raises InputError where the source, the split or every label is unknown.
    """
    if part == "text" and conversations.is_dialogues(source):
        return judge_dialogues(conversations.load(source, split), weights)
    return judge_rows(part, load(part, source, split), weights, open_set=open_set)


def judge_rows(
    part: str, rows: Sequence[Row], weights: Path, *, open_set: bool = False
) -> list[Result]:
    """`judge` for rows at hand."""
    heads = heads_of(rows)
    asked = [row for row in rows if any(getattr(row, head) is not None for head in heads)]
    log_sentiment, log_emotions = predict(part, weights, asked)
    log_p = {"emotion": log_emotions, "sentiment": log_sentiment}
    results: list[Result] = []
    for head in heads:
        held = [i for i, row in enumerate(asked) if getattr(row, head) is not None]
        kept = [asked[i] for i in held]
        several = sum("|" in row.label for row in rows if getattr(row, head) is None)
        unmapped = len(rows) - len(kept) - several
        if head == "rating":
            results.append(rated(head, kept, score_of(log_sentiment[held]), unmapped + several))
            continue
        names = HEADS[head]
        labels = [getattr(row, head) for row in kept]
        columns = [i for i, name in enumerate(names) if open_set or name in set(labels)]
        classes = [names[i] for i in columns]
        p = renormalised(log_p[head][held], columns)
        truth = np.array([classes.index(label) for label in labels])
        figures = class_figures(p, truth, classes)
        results.append(Classified(head, kept, p, truth, several, unmapped, figures))
    return results


def judge_dialogues(dialogues: Sequence[conversations.Dialogue], weights: Path) -> list[Result]:
    """The customer's side against the raters' mean: by the satisfaction head beside the text
    weights, where there is one, and by the mean of the plain scores, which saw no rating."""
    rated_ones = [d for d in dialogues if d.get("satisfaction_mean") is not None]
    if not rated_ones:
        raise InputError("no dialogue has a satisfaction", "data")
    rows = [conversations.row_of(dialogue) for dialogue in rated_ones]
    turns = [row for dialogue in rated_ones for row in conversations.turns_of(dialogue)]
    scores = score_of(predict("text", weights, turns)[0])
    of_dialogue: dict[str, list[float]] = {}
    for turn, value in zip(turns, scores, strict=True):
        of_dialogue.setdefault(turn.dialogue, []).append(value)
    means = np.array([np.mean(of_dialogue[row.dialogue]) for row in rows])
    unmapped = len(dialogues) - len(rated_ones)
    results: list[Result] = [rated("rating", rows, means, unmapped)]
    supervised = conversations.satisfaction(weights, rated_ones)
    if supervised is not None:
        results.insert(0, rated("satisfaction", rows, supervised, unmapped))
    return results


def predict(
    part: str, weights: Path, rows: Sequence[Row]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The recipe's own `predict`: log-probabilities (n, 3) over SENTIMENTS, (n, 7) over EMOTIONS.

    Imported only now: to judge a text needs no recipe for pictures.
    """
    answers: tuple[NDArray[np.floating], NDArray[np.floating]] = import_module(
        f"training.{part}"
    ).predict(weights, rows)
    return answers


def heads_of(rows: Sequence[Row]) -> list[str]:
    """Which of "emotion", "sentiment", "rating" the labels speak of, what they name first.

    "neutral" is an emotion and a sentiment: alone it does not make a set one of emotions.
    """
    heads = []
    if {row.emotion for row in rows} - {None, "neutral"}:
        heads.append("emotion")
    if any(row.sentiment for row in rows):
        heads.append("sentiment")
    if any(row.rating is not None for row in rows):
        heads.append("rating")
    if not heads:
        raise InputError("no row has an emotion, a sentiment or a number as its label", "label")
    return heads


def rated(head: str, rows: Sequence[Row], scores: NDArray[np.float64], unmapped: int = 0) -> Rated:
    """Scores (n,) with the figures against the rows' ratings."""
    ratings = np.array([row.rating for row in rows], np.float64)
    return Rated(head, list(rows), scores, unmapped, number_figures(scores, ratings))
