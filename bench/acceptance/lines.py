"""Figures beside what they must reach, as a check reports them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.acceptance.service import Outcome

Line = dict[str, Any]


def high(ours: float, floor: float | None = None, aim: float | None = None, **beside: Any) -> Line:
    """A figure that is to be high; without a floor it is told only."""
    made: Line = {"ours": round(ours, 4), **beside}
    if floor is not None:
        made |= {"floor": floor, "reached": bool(ours >= floor)}
    if aim is not None:
        made |= {"aim": aim, "aim_reached": bool(ours >= aim)}
    return made


def low(ours: float, floor: float, aim: float, **beside: Any) -> Line:
    """A figure that is to be low."""
    reached = {"reached": bool(ours <= floor), "aim_reached": bool(ours <= aim)}
    return {"ours": round(ours, 4), **beside, "floor": floor, "aim": aim, **reached}


def outcome(lines: Mapping[str, Line]) -> Outcome:
    """All lines, and whether each that has a floor reached it."""
    return dict(lines), all(one.get("reached", True) for one in lines.values())
