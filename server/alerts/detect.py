"""Whether the share of negative conversations of one series has risen, and is back again.

Page–Hinkley (E. S. Page 1954, the one-sided CUSUM; river's) over 0 and 1, one a conversation. Its
tolerance and threshold go with the standard deviation √(p(1−p)) of the series, so that a false
alert is as rare where a third of all conversations is negative as where a twentieth is. ADWIN, the
other candidate, needs about a tenth more of them for as few false alerts, and given enough of them
it alerts of a rise too small to matter, too (`python -m bench.alerts`).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Any

import numpy as np
from river.drift import PageHinkley
from scipy.stats import fisher_exact

MIN_CALM = 100  # conversations before the first alert of a series
CALM = 1000  # of them at most make up what is usual
RECOVERY = 150  # conversations over which the share must be back
SETTLE = 2000  # conversations after which a share that stays up is what is usual
TOLERANCE, THRESHOLD = 0.2, 34.0  # in standard deviations; chosen by simulation
LEAST_SHARE = 0.05  # for the standard deviation: below it a few by chance would be a rise
MIN_BEFORE = 50  # conversations before a rise
SAVED_TIMES = 300  # of outcomes; older ones have the oldest of them


class Kind(Enum):
    """What became of a series; the names are those of emotion.v1.Alert.Kind."""

    SPIKE = "SPIKE"
    RECOVERED = "RECOVERED"
    SETTLED = "SETTLED"


@dataclass(frozen=True)
class Count:
    """Conversations, and how many of them are negative."""

    n: int
    negative: int

    @property
    def share(self) -> float:
        return self.negative / self.n


@dataclass(frozen=True)
class Change:
    """A change of the share, `since_s` as a UNIX time.

    before, after  for a spike: conversations before and since it began; for its end: those before
                   the spike, and the last ones
    p_value  one-sided Fisher's exact test of `after` against `before`; the split was chosen by the
             same data, so it ranks changes and is no error rate. None where the share fell.
    """

    kind: Kind
    since_s: float
    before: Count
    after: Count
    p_value: float | None = None


class Series:
    """Outcomes of one series in the order in which they come; its memory is bounded.

    `calm` is what is usual, the newest last. While a spike lasts it stands still, and the
    outcomes since the alert are in `spike`.
    """

    def __init__(self) -> None:
        self.calm: deque[tuple[float, bool]] = deque(maxlen=CALM)
        self.spike: deque[tuple[float, bool]] = deque(maxlen=CALM)
        self.n_spike = 0
        self.before: Count | None = None  # set while a spike lasts
        self._detector: PageHinkley | None = None
        self._fresh_until = MIN_CALM  # outcomes left before the detector is built anew

    def update(self, ended_s: float, negative: bool) -> Change | None:
        """One more conversation, which ended at the UNIX time `ended_s`."""
        if self.before is not None:
            return self._in_spike(self.before, ended_s, negative)
        self.calm.append((ended_s, negative))
        self._fresh_until -= 1
        if self._fresh_until <= 0:
            self._build()
        elif self._detector is not None:
            self._detector.update(negative)
        if self._detector is None or not self._detector.drift_detected:
            return None
        return self._alert()

    def begin_spike(self, before: Count) -> None:
        self.before, self.n_spike = before, 0
        self.spike.clear()

    def end_spike(self) -> None:
        """Back to what is in `calm`; the next spike is a new one."""
        self.before, self.n_spike = None, 0
        self.spike.clear()
        self._build()

    def to_json(self) -> dict[str, Any]:
        """All that `from_json` needs to go on."""
        before = self.before
        return {
            "calm": _packed(self.calm),
            "spike": _packed(self.spike),
            "n_spike": self.n_spike,
            "before": None if before is None else [before.n, before.negative],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Series:
        series = cls()
        series.calm.extend(_unpacked(value["calm"]))
        series.spike.extend(_unpacked(value["spike"]))
        series.n_spike = value["n_spike"]
        if value["before"] is not None:
            series.before = Count(*value["before"])
        series._build()
        return series

    def _build(self) -> None:
        """The detector anew from `calm`: what is usual is forgotten in time, and the standard
        deviation follows."""
        n = len(self.calm)
        self._fresh_until = max(n, MIN_CALM - n)
        self._detector = None
        if n < MIN_CALM:
            return
        share = max(LEAST_SHARE, _count(self.calm).share)
        deviation = math.sqrt(share * (1 - share)) or LEAST_SHARE
        self._detector = PageHinkley(
            min_instances=n,  # nothing is found, and so forgotten, in what is usual
            delta=TOLERANCE * deviation,
            threshold=THRESHOLD * deviation,
            alpha=1.0,  # river's 0.9999 takes the tolerance back after some thousand outcomes
            mode="up",
        )
        for _, negative in self.calm:
            self._detector.update(negative)

    def _alert(self) -> Change | None:
        outcomes = list(self.calm)
        at = _split(np.array([negative for _, negative in outcomes]))
        before, after = _count(outcomes[:at]), _count(outcomes[at:])
        table = [
            [after.negative, after.n - after.negative],
            [before.negative, before.n - before.negative],
        ]
        self.calm = deque(outcomes[:at], maxlen=CALM)
        self.begin_spike(before)
        p_value = float(fisher_exact(table, alternative="greater").pvalue)
        return Change(Kind.SPIKE, outcomes[at][0], before, after, p_value)

    def _in_spike(self, before: Count, ended_s: float, negative: bool) -> Change | None:
        self.spike.append((ended_s, negative))
        self.n_spike += 1
        last = list(islice(reversed(self.spike), RECOVERY))
        after, since_s = _count(last), last[-1][0]
        share = max(LEAST_SHARE, before.share)
        if after.n == RECOVERY and after.share <= before.share + TOLERANCE * math.sqrt(
            share * (1 - share)
        ):
            kind = Kind.RECOVERED
        elif self.n_spike >= SETTLE:
            kind, self.calm = Kind.SETTLED, self.spike.copy()
        else:
            return None
        self.end_spike()
        return Change(kind, since_s, before, after)


def _split(negative: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    """Where a rise most likely began: the split with the greatest likelihood of two shares."""
    n = len(negative)
    total = np.cumsum(negative)
    at = np.arange(min(MIN_BEFORE, n - 1), n)  # outcomes before the split
    before, after = total[at - 1], total[-1] - total[at - 1]
    fit = _log_likelihood(before, at) + _log_likelihood(after, n - at)
    fit[after * at <= before * (n - at)] = -np.inf  # only rises
    return int(at[np.argmax(fit)])


def _log_likelihood(negative: Any, n: Any) -> Any:
    share = np.clip(negative / n, 1e-12, 1 - 1e-12)
    return negative * np.log(share) + (n - negative) * np.log1p(-share)


def _count(outcomes: Any) -> Count:
    return Count(len(outcomes), sum(negative for _, negative in outcomes))


def _packed(outcomes: deque[tuple[float, bool]]) -> dict[str, Any]:
    """`negative` is the oldest first, `ended_s` the newest first."""
    return {
        "ended_s": [round(ended_s) for ended_s, _ in islice(reversed(outcomes), SAVED_TIMES)],
        "negative": "".join("01"[negative] for _, negative in outcomes),
    }


def _unpacked(value: dict[str, Any]) -> list[tuple[float, bool]]:
    ended_s, negative = value["ended_s"], value["negative"]
    times = ended_s + ended_s[-1:] * (len(negative) - len(ended_s))
    return [(float(at), one == "1") for at, one in zip(reversed(times), negative, strict=True)]
