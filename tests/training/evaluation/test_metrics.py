from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassF1Score,
)

from training.evaluation import metrics


def random_answers(n: int = 500, c: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, c, n)
    logits = rng.normal(size=(n, c)) + 1.5 * np.eye(c)[truth]
    return metrics.renormalised(logits, range(c)), truth


def test_figures_by_hand() -> None:
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.8, 0.2]])
    figures = metrics.class_figures(p, np.array([0, 0, 1, 1]), ["a", "b"])
    assert figures.accuracy == 0.75
    assert figures.uar == 0.75  # (2/2 + 1/2) / 2
    assert figures.macro_f1 == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert figures.confusion == [[2, 0], [1, 1]]
    assert figures.brier == pytest.approx(2 * (0.01 + 0.16 + 0.09 + 0.64) / 4)
    assert figures.ece == pytest.approx((0.1 + 0.4 + 0.3 + 0.8) / 4)
    assert figures.per_class["a"]["precision"] == pytest.approx(2 / 3)
    assert figures.risk_coverage[-1] == (1.0, 0.6, 0.25)
    assert figures.risk_coverage[0] == (0.05, 0.9, 0.0)


def test_figures_agree_with_torchmetrics_and_sklearn() -> None:
    p, truth = random_answers()
    figures = metrics.class_figures(p, truth, list("abcd"))
    given, target = torch.from_numpy(p), torch.from_numpy(truth)
    assert figures.ece == pytest.approx(
        float(MulticlassCalibrationError(4, n_bins=metrics.N_BINS)(given, target)), abs=1e-6
    )
    assert figures.uar == pytest.approx(
        float(MulticlassAccuracy(4, average="macro")(given, target)), abs=1e-6
    )
    assert figures.macro_f1 == pytest.approx(
        float(MulticlassF1Score(4, average="macro")(given, target)), abs=1e-6
    )
    assert figures.brier == pytest.approx(brier_score_loss(truth, p, scale_by_half=False))


def test_classes_that_the_truth_lacks_do_not_count() -> None:
    """An open answer outside of them costs recall, and adds no class to the means."""
    p = np.array([[0.9, 0.1, 0.0], [0.1, 0.2, 0.7], [0.2, 0.8, 0.0]])
    figures = metrics.class_figures(p, np.array([0, 1, 1]), ["a", "b", "c"])
    assert figures.uar == 0.75
    assert figures.macro_f1 == pytest.approx((1 + 2 / 3) / 2)


def test_renormalised_over_columns() -> None:
    p = metrics.renormalised(np.log(np.array([[0.2, 0.5, 0.3]])), [0, 2])
    assert p == pytest.approx(np.array([[0.4, 0.6]]))


def test_correlations() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.9])
    figures = metrics.number_figures(scores, np.array([1.0, 2.0, 3.0, 4.0]))
    assert figures.spearman == pytest.approx(1.0)
    assert figures.pearson == pytest.approx(np.corrcoef(scores, [1, 2, 3, 4])[0, 1])
    assert metrics.number_figures(scores, np.ones(4)).spearman is None


@pytest.mark.parametrize(
    ("a", "b", "distance"), [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
)
def test_edit_distance(a: str, b: str, distance: int) -> None:
    assert metrics.edit_distance(a, b) == distance == metrics.edit_distance(b, a)
