"""Pseudo-labels: the parent's own answers to unlabelled rows, where it is surely right.

How sure is sure enough is measured: the least confidence above which its answers to labelled rows
of `dev` have the precision asked for (Lee, "Pseudo-label", ICML workshop 2013, with the threshold
of FixMatch, Sohn et al., NeurIPS 2020, chosen instead of set).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modalities.errors import InputError
from training.data import read_table
from training.evaluation.judge import HEADS, predict
from training.manifest import SUFFIXES
from training.rows import Row, labelled

LEAST_ROWS = 50  # of dev above a threshold, to speak of a precision there


def read(part: str, path: Path) -> list[Row]:
    """Rows without labels of a CSV or CSV.gz table with a column `text` or `file`."""
    key = "text" if part == "text" else "file"
    if not str(path).endswith(SUFFIXES[:2]) or not path.is_file():
        raise InputError(f"{path} is no file that ends in {' or '.join(SUFFIXES[:2])}", "pseudo")
    table = read_table(path)
    if not table or key not in table[0]:
        raise InputError(f"{path} has no column {key}, or no rows", "pseudo")
    contents = [line[key].strip() for line in table]
    if part != "text":
        contents = [str((path.parent / content).resolve()) for content in contents if content]
    return [Row(str(path), content, "train", "", part=part) for content in contents if content]


def threshold(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], precision: float
) -> float | None:
    """The least confidence at and above which at least `precision` of the answers (n,) are right,
    and at least LEAST_ROWS are given; None where there is none."""
    order = np.argsort(-confidence, kind="stable")
    right = np.cumsum(correct[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(right >= precision)
    good = good[good >= LEAST_ROWS - 1]
    return float(confidence[order[good[-1]]]) if len(good) else None


def label(
    part: str,
    parent: Path,
    unlabelled: Sequence[Row],
    dev: Sequence[Row],
    head: str,
    precision: float,
) -> tuple[list[Row], float | None]:
    """The rows that the parent labels surely enough, and the threshold; None keeps none."""
    asked = [row for row in dev if getattr(row, head)]
    answer, confidence = _answers(part, parent, asked, head)
    truth = np.array([HEADS[head].index(getattr(row, head)) for row in asked])
    least = threshold(confidence, answer == truth, precision)
    if least is None or not unlabelled:
        return [], least
    answer, confidence = _answers(part, parent, unlabelled, head)
    kept = [
        replace(row, label=HEADS[head][index])
        for row, index, sure in zip(unlabelled, answer, confidence >= least, strict=True)
        if sure
    ]
    return labelled(kept), least


def _answers(
    part: str, parent: Path, rows: Sequence[Row], head: str
) -> tuple[NDArray[np.intp], NDArray[np.floating]]:
    log_sentiment, log_emotions = predict(part, parent, rows)
    log_p = log_emotions if head == "emotion" else log_sentiment
    return log_p.argmax(-1), np.exp(log_p.max(-1))
