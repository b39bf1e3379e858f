"""Fits the wide path: multinomial logistic regression over hashed n-grams, all sets at once.

A convex problem, solved by L-BFGS from the table as it is. Each bucket's weights have a Gaussian
prior around that table whose width is the bucket's inverse document frequency: TF-IDF's effect,
without a table of frequencies in the checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from modalities.reading import SENTIMENTS
from modalities.text.model import pad
from modalities.text.wide import WidePath, bags

Floats = NDArray[np.float64]
CHUNK = 512  # windows


@dataclass(frozen=True, eq=False)
class Targets:
    """What n windows teach, head by head: sentiment, then emotion."""

    windows: Sequence[tuple[int, ...]]
    # (n,) each, −1 where there is none; or probabilities (n, 3) and (n, 7)
    labels: tuple[NDArray[np.int64] | Floats, NDArray[np.int64] | Floats]
    weights: tuple[Floats, Floats]  # (n,) each, 0 where there is none
    allowed: NDArray[np.bool_]  # (n, 7) emotions that a row's set can hold


def features(windows: Sequence[tuple[int, ...]], n_buckets: int) -> sp.csr_matrix:
    """The bags (n, n_buckets) of windows."""
    columns, values, lengths = [], [], []
    for start in range(0, len(windows), CHUNK):
        buckets, weights = bags(*pad(windows[start : start + CHUNK], 0), n_buckets)
        kept = weights > 0
        columns.append(buckets[kept].numpy())
        values.append(weights[kept].numpy())
        lengths.append(kept.sum(-1).numpy())
    rows = np.concatenate([[0], np.concatenate(lengths).cumsum()])
    shape = (len(windows), n_buckets)
    return sp.csr_matrix((np.concatenate(values), np.concatenate(columns), rows), shape)


def fit_wide(
    wide: WidePath,
    targets: Targets,
    strength: float,
    iterations: int,
    beside: Floats | None = None,
) -> torch.Tensor:
    """Fit the table in place; returns the classes' biases (10,).

    strength  variance of the prior at an inverse document frequency of 1
    beside    logits (n, 10) that the table's are added to; none where it answers by itself
    """
    x = features(targets.windows, wide.n_buckets)
    frequency = np.bincount(x.indices, minlength=wide.n_buckets)
    seen = np.flatnonzero(frequency)  # (m,) buckets: the others stay where they are
    x, frequency = x[:, seen], frequency[seen]
    transposed = x.T.tocsr()
    width = (np.log((1 + len(targets.windows)) / (1 + frequency)) + 1).astype(np.float32)[:, None]
    table = wide.table.weight.detach().cpu().numpy()[seen]  # (m, 10)
    start = x @ table if beside is None else x @ table + beside  # (n, 10)
    shape = (len(seen) + 1, table.shape[1])

    def objective(flat: Floats) -> tuple[float, Floats]:
        step = flat.reshape(shape)  # the change from the table, in widths; last row the biases'
        logits = start + x @ (width * step[:-1].astype(np.float32)) + step[-1]
        value, slope = _cross_entropy(logits, targets)
        gradient = np.empty(shape)
        gradient[:-1] = width * (transposed @ slope.astype(np.float32)) + step[:-1] / strength
        gradient[-1] = slope.sum(0)
        return value + 0.5 * float((step[:-1] ** 2).sum()) / strength, gradient.ravel()

    options = {"maxiter": iterations, "maxcor": 5}
    found = minimize(
        objective, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options=options
    )
    step = found.x.reshape(shape).astype(np.float32)
    weight = wide.table.weight.data
    weight[torch.from_numpy(seen)] += torch.from_numpy(width * step[:-1]).to(weight.device)
    return torch.from_numpy(step[-1])


def _cross_entropy(logits: Floats, targets: Targets) -> tuple[float, Floats]:
    """The weighted sum over both heads, and its gradient (n, 10) by the logits."""
    parts = np.split(np.asarray(logits, np.float64), [len(SENTIMENTS)], axis=1)
    parts[1] = np.where(targets.allowed, parts[1], -1e4)
    value, slopes = 0.0, []
    for part, label, weight in zip(parts, targets.labels, targets.weights, strict=True):
        log_p = log_softmax(part, axis=1)
        wanted = np.eye(part.shape[1])[label] if label.ndim == 1 else label
        value -= float(weight @ (wanted * log_p).sum(1))
        slopes.append((np.exp(log_p) - wanted) * weight[:, None])
    return value, np.concatenate(slopes, axis=1)
