"""How much a token may ask for in a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from server.security.tokens import Token

PERIODS_S = {"minute": 60.0, "day": 86_400.0}


class Bucket:
    """A token bucket: up to `amount` at once, refilled at `amount` in `period_s`.

    Open while one is left in it, and what is taken may leave a debt: a request's size is not
    known before it comes, and one over the whole quota would otherwise never be let in.
    """

    def __init__(
        self, amount: float, period_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._amount, self._rate, self._clock = amount, amount / period_s, clock
        self._level, self._filled_at = amount, clock()

    def wait_s(self) -> float:
        """Seconds until it is open; 0 where it is."""
        now = self._clock()
        self._level = min(self._amount, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return max(0.0, (1 - self._level) / self._rate)

    def take(self, amount: float) -> None:
        self._level -= amount


class Quota:
    """All limits of one token; they begin full when the server starts."""

    def __init__(self, token: Token, clock: Callable[[], float] = time.monotonic) -> None:
        self.token = token
        self._requests = dict(_buckets(token, "requests", clock))
        self._bytes = dict(_buckets(token, "bytes", clock))

    def closed(self) -> tuple[str, float] | None:
        """The limit that is reached, in words, and seconds until it is not; None where none is."""
        waits = {said: bucket.wait_s() for said, bucket in (self._requests | self._bytes).items()}
        said = max(waits, key=waits.__getitem__, default="")
        return (said, waits[said]) if said and waits[said] else None

    def take_request(self) -> None:
        for bucket in self._requests.values():
            bucket.take(1)

    def take_bytes(self, n: int) -> None:
        for bucket in self._bytes.values():
            bucket.take(n)


def _buckets(token: Token, unit: str, clock: Callable[[], float]) -> Iterator[tuple[str, Bucket]]:
    for period, period_s in PERIODS_S.items():
        amount = getattr(token, f"{unit}_per_{period}")
        if amount is not None:
            yield f"{amount:,} {unit} a {period}", Bucket(amount, period_s, clock)
