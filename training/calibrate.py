"""Temperature scaling (Guo et al., "On calibration of modern neural networks", ICML 2017)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def fit_temperature(logits: Tensor, target: Tensor) -> float:
    """The T > 0 that minimises the negative log-likelihood of logits / T.

    logits  (n, c) on held-out rows that trained nothing
    target  (n,) class indices, −1 for a row without one
    """
    kept = target >= 0
    logits, target = logits[kept].detach().double(), target[kept]
    log_t = torch.zeros((), dtype=torch.double, requires_grad=True)
    _minimise(log_t, lambda: F.cross_entropy(logits / log_t.exp(), target))
    return float(log_t.detach().exp())


def fit_pool(logits: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Weights (m,) > 0 of m experts' logits whose sum is the most probable on held-out rows.

    A log-opinion pool with its temperature in the weights (Genest & Zidek, "Combining probability
    distributions", Statistical Science 1986). Their logarithms have a standard normal prior, so
    that a few rows, all of them answered rightly, do not make any confidence infinite.

    logits  (m, n, c) on held-out rows that trained nothing
    target  (n,) class indices, −1 for a row without one
    counts  (n,) how many rows each of them counts as
    """
    kept = (target >= 0) & (counts > 0)
    logits, target = logits[:, kept].detach().double(), target[kept]
    counts = counts[kept].double()
    log_w = torch.zeros(len(logits), dtype=torch.double, requires_grad=True)

    def loss() -> Tensor:
        pooled = torch.einsum("m,mnc->nc", log_w.exp(), logits)
        likelihood = counts @ F.cross_entropy(pooled, target, reduction="none")
        return (likelihood + 0.5 * log_w.square().sum()) / counts.sum()

    _minimise(log_w, loss)
    return log_w.detach().exp()


def _minimise(parameter: Tensor, loss: Callable[[], Tensor]) -> None:
    """Bring `parameter` in place to where `loss`, convex or nearly so, is least."""
    optimizer = torch.optim.LBFGS([parameter], lr=0.1, max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
