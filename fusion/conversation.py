"""The shape of a conversation: one rule for a call, a chat and a screenshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    """How one side's scores went, each in [-1, 1] (shift in [-2, 2])."""

    score: float  # mean of all
    start: float  # mean over the first quarter of the messages
    end: float  # mean over the last quarter
    lowest: float  # minimum of the 3-message mean
    shift: float | None  # end − start; None below 2 messages


def summarise(scores: Sequence[float]) -> Shape:
    """The shape of one side's message scores in order; raises ValueError where there is none."""
    if not scores:
        raise ValueError("no message to summarise")
    values = np.asarray(scores, dtype=np.float64)
    quarter = -(-len(values) // 4)
    window = min(3, len(values))
    start, end = float(values[:quarter].mean()), float(values[-quarter:].mean())
    return Shape(
        score=float(values.mean()),
        start=start,
        end=end,
        lowest=float(np.convolve(values, np.ones(window) / window, "valid").min()),
        shift=end - start if len(values) >= 2 else None,
    )
