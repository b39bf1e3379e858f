"""A conversation's time axis as cool-downs and windows count on it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from server.strategy.facts import Fact
from server.strategy.rule import Window

MOMENT_S = 10.0  # a moment whose offset is not known comes so long after the one before it
MAX_MOMENTS = 1000  # that windows look back to

WINDOW_FACTS = (
    Fact("window.customer_moments", "int", "how many of the customer's scores are in it"),
    Fact("window.mean_score", "double", "their mean"),
    Fact("window.lowest_score", "double", "the lowest of them"),
    Fact("window.change", "double", "the last of them less the first"),
    Fact("window.negative_count", "int", "how many of them are most likely negative"),
    Fact("window.positive_count", "int", "how many of them are most likely positive"),
    Fact("window.agent_interruptions", "int", "how often the agent cut in within it, in a call"),
    Fact("window.customer_interruptions", "int", "how often the customer did"),
)
_USED = ("score", "sentiment", "offset_s", "agent_interruptions", "customer_interruptions")


@dataclass(frozen=True)
class _Point:
    position_s: float
    score: float | None
    sentiment: str | None
    interruptions: Mapping[str, int | None]  # so far


class Timeline:
    """The last moments of one conversation, in bounded memory."""

    def __init__(self) -> None:
        self.position_s = 0.0
        self._points: deque[_Point] = deque(maxlen=MAX_MOMENTS)
        self._is_whole = True

    def add(self, facts: Mapping[str, Any]) -> None:
        """The next moment."""
        offset_s = facts.get("offset_s")
        self.position_s = self.position_s + MOMENT_S if offset_s is None else float(offset_s)
        self._is_whole &= all(name in facts for name in _USED)
        self._points.append(
            _Point(
                self.position_s,
                facts.get("score"),
                facts.get("sentiment"),
                {who: facts.get(f"{who}_interruptions") for who in ("agent", "customer")},
            )
        )

    def window(self, window: Window) -> dict[str, Any]:
        """WINDOW_FACTS of the last moments; empty where those were stored without their facts."""
        if not self._is_whole:
            return {}
        inside = self._inside(window)
        felt = [point for point in inside if point.score is not None]
        scores = [point.score for point in felt if point.score is not None]
        facts: dict[str, Any] = {
            "customer_moments": len(felt),
            "mean_score": sum(scores) / len(scores) if scores else None,
            "lowest_score": min(scores, default=None),
            "change": scores[0] - scores[-1] if scores else None,  # the newest is first
            "negative_count": sum(point.sentiment == "negative" for point in felt),
            "positive_count": sum(point.sentiment == "positive" for point in felt),
        }
        before = self._points[-1 - len(inside)] if len(inside) < len(self._points) else None
        for who in ("agent", "customer"):
            now = self._points[-1].interruptions[who]
            earlier = before.interruptions[who] if before else None
            facts[f"{who}_interruptions"] = None if now is None else now - (earlier or 0)
        return {f"window.{name}": value for name, value in facts.items()}

    def _inside(self, window: Window) -> list[_Point]:
        """The newest first."""
        newest_first = reversed(self._points)
        if window.last_moments is not None:
            return [point for point, _ in zip(newest_first, range(window.last_moments))]  # noqa: B905
        since_s = self.position_s - (window.last_s or 0.0)
        return list(takewhile(lambda point: point.position_s > since_s, newest_first))
