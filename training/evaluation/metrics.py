"""Figures of answers against the truth. Nothing here knows where either came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    confusion_matrix,
    f1_score,
    recall_score,
)

N_BINS = 15
COVERAGES = tuple(round(0.05 * step, 2) for step in range(1, 21))


@dataclass(frozen=True)
class ClassFigures:
    """Figures of n answers; all but the counts in [0, 1], `brier` in [0, 2].

    Means over classes are over those that the truth holds: of the others there is no recall.

    per_class      scikit-learn's classification_report: precision, recall, f1-score, support
    confusion      counts; rows are the truth, columns the answers, in the order of `classes`
    risk_coverage  (coverage, least confidence, risk): when only the surest `coverage` of the
                   items are answered, the share of them that is wrong
    """

    classes: list[str]
    n: int
    accuracy: float
    macro_f1: float
    weighted_f1: float
    uar: float
    ece: float
    brier: float
    per_class: Mapping[str, Any]
    confusion: list[list[int]]
    risk_coverage: list[tuple[float, float, float]]


@dataclass(frozen=True)
class NumberFigures:
    """Rank and linear correlation in [−1, 1] of n scores with ratings; None where undefined."""

    n: int
    spearman: float | None
    pearson: float | None


def class_figures(
    p: NDArray[np.floating], truth: NDArray[np.integer], classes: Sequence[str]
) -> ClassFigures:
    """Figures of probabilities (n, c) over `classes` and the true indices (n,); n ≥ 1."""
    answer, confidence = p.argmax(-1), p.max(-1)
    labels = np.arange(len(classes))
    return ClassFigures(
        classes=list(classes),
        n=len(truth),
        **answer_figures(truth, answer),
        ece=expected_calibration_error(confidence, answer == truth),
        brier=brier(p, truth),
        per_class=classification_report(
            truth, answer, labels=labels, target_names=classes, output_dict=True, zero_division=0
        ),
        confusion=confusion_matrix(truth, answer, labels=labels).tolist(),
        risk_coverage=risk_coverage(confidence, answer == truth),
    )


def answer_figures(truth: NDArray[np.integer], answer: NDArray[np.integer]) -> dict[str, float]:
    """accuracy, macro_f1, weighted_f1 and uar (unweighted average recall) of answers (n,)."""
    labels = np.unique(truth)

    def over_classes(metric: Any, average: str) -> float:
        return float(metric(truth, answer, labels=labels, average=average, zero_division=0))

    return {
        "accuracy": float(accuracy_score(truth, answer)),
        "macro_f1": over_classes(f1_score, "macro"),
        "weighted_f1": over_classes(f1_score, "weighted"),
        "uar": over_classes(recall_score, "macro"),
    }


def number_figures(scores: NDArray[np.floating], ratings: NDArray[np.floating]) -> NumberFigures:
    """Correlations of scores (n,) with ratings (n,); undefined where either never changes."""
    if len(scores) < 2 or np.ptp(scores) == 0 or np.ptp(ratings) == 0:
        return NumberFigures(len(scores), None, None)
    return NumberFigures(
        len(scores),
        float(spearmanr(scores, ratings).statistic),
        float(pearsonr(scores, ratings).statistic),
    )


def renormalised(log_p: NDArray[np.floating], columns: Sequence[int]) -> NDArray[np.float64]:
    """Log-probabilities (n, C) → probabilities (n, c) given that it is one of `columns`."""
    kept = log_p[:, columns].astype(np.float64)
    p = np.exp(kept - kept.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def expected_calibration_error(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_]
) -> float:
    """ECE over N_BINS equal-width bins of the top probability (n,) (Guo et al. 2017, §2)."""
    n = len(confidence)
    return sum(abs(c - a) * k / n for c, a, k in reliability(confidence, correct))


def reliability(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_]
) -> list[tuple[float, float, int]]:
    """(mean confidence, accuracy, items) of each of N_BINS equal-width bins that holds any."""
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    return [
        (float(confidence[bins == b].mean()), float(correct[bins == b].mean()), int(sum(bins == b)))
        for b in np.unique(bins)
    ]


def brier(p: NDArray[np.floating], truth: NDArray[np.integer]) -> float:
    """Mean over items of Σ_c (p_c − [c is true])², in [0, 2] (Brier 1950, eq. 2)."""
    return float(np.square(p - np.eye(p.shape[1])[truth]).sum(-1).mean())


def risk_coverage(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_]
) -> list[tuple[float, float, float]]:
    """(coverage, least confidence, risk) at COVERAGES (El-Yaniv & Wiener, JMLR 11 (2010))."""
    order = np.argsort(-confidence, kind="stable")
    points = []
    for coverage in COVERAGES:
        surest = order[: max(1, round(coverage * len(order)))]
        points.append((coverage, float(confidence[surest[-1]]), float(1 - correct[surest].mean())))
    return points


def edit_distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein distance: the fewest insertions, deletions and substitutions from a to b."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]
