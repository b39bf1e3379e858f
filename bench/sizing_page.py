"""`python -m bench.sizing_page`: the tables of docs/sizing.md, from the measured costs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from server.observe.plan import Load, Machines, assumptions, costs_of, plan

PAGE = Path(__file__).parents[1] / "docs/sizing.md"
BEGIN, END = "<!-- computed -->\n", "<!-- /computed -->\n"
SIZES = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)


def page(costs: Mapping[str, Any]) -> str:
    """What stands between the marks."""
    transcribed = "transcribed_call_minute_core_s" in costs
    kinds = {
        "messages": lambda n: Load(messages=n),
        "calls of 5 minutes": lambda n: Load(calls=n),
        "screenshots": lambda n: Load(screenshots=n),
    }
    if transcribed:
        kinds["calls of 5 minutes, transcribed"] = lambda n: Load(calls=n, transcribed=True)
    measured = [
        ("a message", f"{costs['message_core_s']:g} core-s"),
        ("a call's minute", f"{costs['call_minute_core_s']:g} core-s"),
        ("a screenshot", f"{costs['screenshot_core_s']:g} core-s"),
        ("a replica's memory", f"{costs['memory_mib']:,} MiB"),
    ]
    if transcribed:
        name = costs["whisper"]
        minute, memory = costs["transcribed_call_minute_core_s"], costs["transcribed_memory_mib"]
        measured += [
            (f"a call's minute with transcripts by {name}", f"{minute:g} core-s"),
            (f"a replica's memory with {name}", f"{memory:,} MiB"),
        ]
    lines = ["| measured | |", "|---|---|", *(f"| {what} | {cost} |" for what, cost in measured)]
    lines += ["", "| a day | | cores at peak | replicas | machines |", "|---|---|---|---|---|"]
    machines = Machines()
    for kind, load_of in kinds.items():
        for n in SIZES:
            planned = plan(load_of(n), machines, costs)
            lines.append(
                f"| {n:,} | {kind} | {planned.cores:,.0f} | {planned.replicas:,} | "
                f"{planned.machines:,} |"
            )
    load = Load(transcribed=transcribed)
    lines += ["", "Assumed:", "", *(f"- {one}" for one in assumptions(load, machines, costs))]
    return BEGIN + "\n".join(lines) + "\n" + END


def write() -> None:
    written = PAGE.read_text()
    found = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    PAGE.write_text(found.sub(lambda _: page(costs_of(None)), written))


if __name__ == "__main__":
    write()
