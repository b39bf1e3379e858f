"""Seconds of ours and of a baseline, taken in turn so that whatever else the machine does hits
both, and the figures that become of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

REPEATS = 5

Figures = dict[str, Any]


@dataclass
class Section:
    """One topic's figures as they are written to JSON and to the page.

    how     what was run
    rows    ours beside a baseline, from `row`
    tables  caption → lines, each column → figure
    costs   for sizing, core-seconds: `text` and `fusion` an item, `voice` a minute of audio half of
            which is speech, `voice_with_transcript` at most, a minute of speech, by dimensions,
            `screenshot` one of 1080 × 2400; and `memory_mib` of a server
    """

    title: str
    how: str
    rows: list[Figures] = field(default_factory=list)
    tables: dict[str, list[Figures]] = field(default_factory=dict)
    costs: Figures = field(default_factory=dict)


def in_turn(
    works: Mapping[str, Callable[[], object]], repeats: int = REPEATS
) -> dict[str, list[float]]:
    """Seconds of each work in each round, after a round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(repeats + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if round_:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def added(*parts: list[float]) -> list[float]:
    """Round by round."""
    return [sum(one) for one in zip(*parts, strict=True)]


def row(
    name: str,
    baseline: str,
    ours: list[float],
    theirs: list[float],
    *,
    unit: str = "s",
    higher_is_better: bool = False,
    scale: float = 1.0,
    digits: int = 4,
) -> Figures:
    """Medians of the rounds, times `scale`; `ratio` is the median of the rounds' own ratios and
    above 1 where ours is better."""
    pairs = zip(ours, theirs, strict=True)
    ratios = [a / b if higher_is_better else b / a for a, b in pairs]
    made = {
        "name": name,
        "baseline": baseline,
        "unit": unit,
        "ours": round(scale * statistics.median(ours), digits),
        "theirs": round(scale * statistics.median(theirs), digits),
        "ratio": round(statistics.median(ratios), 3),
        "rounds": len(ratios),
    }
    print(
        f"  {name}: {made['ours']} {unit}; {baseline}: {made['theirs']}; ×{made['ratio']}",
        flush=True,
    )
    return made


def figure_of(section: Section, name: str, baseline: str) -> Figures:
    """The row with this name and this baseline."""
    return next(
        made for made in section.rows if made["name"] == name and made["baseline"] == baseline
    )
