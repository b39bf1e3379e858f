"""Temperature scaling (Guo et al., "On calibration of modern neural networks", ICML 2017)."""

from __future__ import annotations

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
    optimizer = torch.optim.LBFGS([log_t], lr=0.1, max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(logits / log_t.exp(), target)
        value.backward()
        return value

    optimizer.step(closure)
    return float(log_t.detach().exp())
