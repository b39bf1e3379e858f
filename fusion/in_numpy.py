"""The pool's arithmetic in numpy, as it runs on the CPU.

A request brings one to five readings of eighteen figures each: there the call of a tensor
operation costs many times its work, and numpy's calls are the cheapest. The formulas are those of
`fusion.pool.FusionModel`, which learns them and runs on CUDA; here each row is a reading, and none
is padding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from modalities.reading import EMOTIONS, SENTIMENT_GROUPS, SENTIMENTS

if TYPE_CHECKING:
    from fusion.pool import FusionModel

Doubles = NDArray[np.float64]

UNTAUGHT_GATE = 0.55  # added to the gate: a weight of about 1 before it has learned
N_SENTIMENTS, SURPRISE = len(SENTIMENTS), EMOTIONS.index("surprise")
STARTS = (0, N_SENTIMENTS)  # of the two distributions in a row of n = 3 + 7
OF_CLASS = np.repeat((0, 1), (N_SENTIMENTS, len(EMOTIONS)))  # (n,) in which of the two a class is


class Places:
    """Where the readings of each item are, among the r of all b items, one after another."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.is_alone = len(counts) == sum(counts)
        self.first = np.cumsum((0, *counts[:-1]))  # (b,)
        self.item = np.repeat(np.arange(len(counts)), counts)  # (r,)
        self.others = np.array(counts)[self.item] - 1  # (r,) readings of the same item

    @staticmethod
    @lru_cache(maxsize=64)
    def of(*counts: int) -> Places:
        """The same for the same numbers of readings: nothing writes to them."""
        return Places(counts)

    def sum(self, of_readings: Doubles) -> Doubles:
        """(r, …) → (b, …)."""
        if self.is_alone:
            return of_readings
        sums: Doubles = np.add.reduceat(of_readings, self.first)
        return sums

    def spread(self, of_items: Doubles) -> Doubles:
        """(b, …) → (r, …)."""
        return of_items if self.is_alone else of_items[self.item]


class NumpyPool:
    """A trained `model` on the CPU."""

    def __init__(self, model: FusionModel) -> None:
        state = {name: x.detach().double().cpu().numpy() for name, x in model.state_dict().items()}
        dims = model.dims
        self.temperature = float(state["temperature"])
        self.map = state["map"] + np.eye(state["map"].shape[-1])  # (m, n, n)
        self.map_bias = state["map_bias"]  # (m, n)
        self.bias = np.concatenate([state["sentiment_bias"], state["emotion_bias"]])  # (n,)
        of_source, of_quality, of_stance = np.split(
            state["gate.0.weight"].T, (dims.n_sources, dims.n_sources + dims.n_quality)
        )
        self.of_source = of_source + state["gate.0.bias"]  # (m, h)
        self.of_evidence = np.concatenate([of_quality, of_stance])  # (q + 2, h)
        self.gate, self.gate_bias = state["gate.2.weight"][0], float(state["gate.2.bias"][0])

    def __call__(
        self, said: Doubles, quality: Doubles, source: NDArray[np.intp], places: Places
    ) -> tuple[Doubles, Doubles, Doubles]:
        """What readings say (r, n), log-probabilities not below `fusion.pool.LEAST`, their quality
        features (r, q) and sources (r,) → what is pooled of each item (b, n), the emotions in
        agreement with the sentiments, each source's log p̃_m (r, n) and weight (r,)."""
        said = (said[:, None] @ self.map[source])[:, 0] + self.map_bias[source]  # (r, n)
        said -= _log_sums(said)

        p = np.exp(said[:, :N_SENTIMENTS])
        evidence = np.zeros((len(said), len(self.of_evidence)))  # (r, q + 2)
        evidence[:, :-2] = quality
        evidence[:, -2] = p.max(1)
        if not places.is_alone:
            others = (places.spread(places.sum(p)) - p) / np.maximum(places.others, 1)[:, None]
            evidence[:, -1] = 0.5 * np.abs(p - others).sum(1) * (places.others > 0)
        hidden = evidence @ self.of_evidence + self.of_source[source]  # (r, h)
        hidden *= 0.5 + 0.5 * erf(hidden * math.sqrt(0.5))  # GELU
        weight = np.logaddexp(0, hidden @ self.gate + (self.gate_bias + UNTAUGHT_GATE))  # (r,)

        pooled = (places.sum(weight[:, None] * said) + self.bias) / self.temperature  # (b, n)
        pooled -= _log_sums(pooled)
        _agree(pooled)
        return pooled, said, weight


def _log_sums(logs: Doubles) -> Doubles:
    """(…, n) → the log of each distribution's sum, at each of its classes."""
    sums: Doubles = np.logaddexp.reduceat(logs, STARTS, axis=1)[:, OF_CLASS]
    return sums


def _agree(pooled: Doubles) -> None:
    """`FusionModel.agree`, in place."""
    p = np.exp(pooled)
    sentiment, emotions = p[:, :N_SENTIMENTS], p[:, N_SENTIMENTS:]
    surprise = sentiment * emotions[:, SURPRISE, None]  # (b, 3)
    scale = sentiment / np.maximum(emotions @ SENTIMENT_GROUPS.T + surprise, 1e-30)  # (b, 3)
    emotions *= scale @ SENTIMENT_GROUPS
    emotions[:, SURPRISE] = (surprise * scale).sum(1)
    pooled[:, N_SENTIMENTS:] = np.log(np.maximum(emotions, 1e-30))
