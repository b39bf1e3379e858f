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

from modalities.reading import EMOTIONS, SENTIMENT_GROUPS, SENTIMENTS, Array, Reading

if TYPE_CHECKING:
    from fusion.pool import FusionModel

Doubles = NDArray[np.float64]

N_SENTIMENTS = len(SENTIMENTS)
STARTS = (0, N_SENTIMENTS)  # of the two distributions in a row of n = 3 + 7
OF_CLASS = np.repeat((0, 1), (N_SENTIMENTS, len(EMOTIONS)))  # (n,) in which of the two a class is
BELOW = math.log(1 - 1e-6)  # how far an emotion of another sentiment stays below the likeliest
GOES_WITH = SENTIMENT_GROUPS.astype(bool)  # (3, 7) which emotions belong to a sentiment
GOES_WITH[:, EMOTIONS.index("surprise")] = True  # it goes with any


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
        self.trust = state["trust"]  # (m,)
        self.slope, self.offset = model.slopes().detach().double().cpu().numpy(), state["offset"]
        of_source, self.of_stance, self.of_other = np.split(  # (m, h), (s, h), (m, h)
            state["stance.0.weight"].T, (dims.n_sources, dims.n_sources + dims.n_stance)
        )
        self.of_source = of_source + state["stance.0.bias"]
        self.out = state["stance.2.weight"][0]  # (h,)

    def lost(self, quality: Doubles, source: NDArray[np.intp]) -> Doubles:
        """Features (r, q) of readings of the sources (r,) → the log of what each multiplies the
        weight by (r, q): 0 where it is at its best or does not apply to the source."""
        offset, slope = self.offset[source], self.slope[source]  # (r, q)
        at_best, at = offset + slope, offset + slope * quality
        lost: Doubles = np.logaddexp(0, -at_best) - np.logaddexp(0, -at)
        return lost

    def __call__(
        self, said: Doubles, lost: Doubles, source: NDArray[np.intp], places: Places
    ) -> tuple[Doubles, Doubles, Doubles]:
        """What readings say (r, n), log-probabilities not below `fusion.pool.LEAST`, what each has
        `lost` (r, q), and their sources (r,) → what is pooled of each item (b, n), each source's
        log p_m (r, n) and weight (r,)."""
        said = said - _log_sums(said)
        _agree(said)
        weight = np.ones(len(said))  # (r,)
        if not places.is_alone:
            gate = self.trust[source] + self._stance(said, source, places) + lost.sum(1)
            weight = np.where(places.others > 0, np.exp(gate), 1.0)
        pooled = places.sum(weight[:, None] * said)  # (b, n)
        pooled -= _log_sums(pooled)
        _agree(pooled)
        return pooled, said, weight

    def _stance(self, said: Doubles, source: NDArray[np.intp], places: Places) -> Doubles:
        """What the log of the weight (r,) takes from what a source says, what the others say, and
        who they are."""
        p = np.exp(said)  # (r, n)
        own = p[:, :N_SENTIMENTS]
        others = (places.spread(places.sum(own)) - own) / np.maximum(places.others, 1)[:, None]
        sure, conflict = own.max(1)[:, None], 0.5 * np.abs(own - others).sum(1)[:, None]
        stance = np.concatenate([p, others, sure, conflict], 1)  # (r, s)
        here = self.of_other[source]  # (r, h)
        hidden = stance @ self.of_stance + self.of_source[source]
        hidden += places.spread(places.sum(here)) - here
        told: Doubles = np.tanh(hidden) @ self.out
        return told


def emotions_in_agreement(reading: Reading) -> Array:
    """A reading's log-emotions (7,) as the pool takes them: see `FusionModel.agree`."""
    if GOES_WITH[reading.log_sentiment.argmax(), reading.log_emotions.argmax()]:
        return reading.log_emotions
    said = np.concatenate([reading.log_sentiment, reading.log_emotions])[None].astype(np.float64)
    _agree(said)
    return said[0, N_SENTIMENTS:].astype(np.float32)


def _log_sums(logs: Doubles) -> Doubles:
    """(…, n) → the log of each distribution's sum, at each of its classes."""
    sums: Doubles = np.logaddexp.reduceat(logs, STARTS, axis=1)[:, OF_CLASS]
    return sums


def _agree(said: Doubles) -> None:
    """`FusionModel.agree`, in place."""
    top = said[:, :N_SENTIMENTS].astype(np.float32).argmax(1)  # (b,) as whoever reads it sees it
    emotions = said[:, N_SENTIMENTS:]
    goes = GOES_WITH[top]  # (b, 7)
    likeliest = np.where(goes, emotions, -np.inf).max(1, keepdims=True)  # (b, 1) of those that go
    capped = np.where(goes, emotions, np.minimum(emotions, likeliest + BELOW))
    emotions[:] = capped - np.logaddexp.reduce(capped, axis=1, keepdims=True)
