"""How many machines a load needs, from the measured cost of an item.

cores at peak = items a day × core-seconds an item × peak / 86,400
replicas      = cores at peak / (cores of a replica × utilisation), rounded up, and one to spare
machines      = replicas / replicas that fit in a machine by cores and by memory, rounded up

Utilisation leaves room for bursts within a second and for the replica that is being replaced; at
60 % an M/M/4 queue waits about a fifth of a service time on average (Erlang C).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modalities.errors import InputError

COSTS = Path(__file__).parent / "costs.json"  # written by `python -m bench.costs`
DAY_S = 86_400
MEMORY_ROOM = 1.5  # of a replica's measured memory: requests under way, long recordings
MIN_REPLICAS = 2  # one may fail


@dataclass(frozen=True)
class Load:
    """Of a day. `transcribed` is whether calls get transcripts (Whisper)."""

    calls: int = 0
    minutes_per_call: float = 5.0
    messages: int = 0
    screenshots: int = 0
    transcribed: bool = False


@dataclass(frozen=True)
class Machines:
    """
    peak                the busiest hour's rate over the day's mean
    utilisation         of the cores, at peak
    replica_cores       of one server process
    cores, memory_gib   of one machine
    """

    peak: float = 3.0
    utilisation: float = 0.6
    replica_cores: int = 4
    cores: int = 32
    memory_gib: float = 128.0

    def __post_init__(self) -> None:
        if self.peak < 1:
            raise InputError("the busiest hour is not below the mean: at least 1", "peak")
        if not 0 < self.utilisation <= 1:
            raise InputError("more than 0 and at most 1", "utilisation")
        if not 1 <= self.replica_cores <= self.cores:
            raise InputError("a replica has 1 core or more, and fits in a machine", "replica-cores")


@dataclass(frozen=True)
class Line:
    """One kind of item; rates are those of the busiest hour."""

    kind: str
    per_day: float
    core_s: float
    per_second: float
    cores: float


@dataclass(frozen=True)
class Plan:
    lines: tuple[Line, ...]
    cores: float  # at peak, all of them busy
    replicas: int
    replica_memory_gib: float
    machines: int


def costs_of(path: Path | None) -> Mapping[str, Any]:
    """Those of the file, or the ones that this version was measured with; raises InputError."""
    try:
        return dict(json.loads((path or COSTS).read_text()))
    except (OSError, ValueError):
        raise InputError("not a file that 'python -m bench.costs' wrote", "costs") from None


def plan(load: Load, machines: Machines, costs: Mapping[str, Any]) -> Plan:
    """Raises InputError where the costs lack what the load asks for, or a replica does not fit."""
    prefix = "transcribed_" if load.transcribed else ""
    kinds = {
        "call minutes": (load.calls * load.minutes_per_call, f"{prefix}call_minute_core_s"),
        "messages": (load.messages, "message_core_s"),
        "screenshots": (load.screenshots, "screenshot_core_s"),
    }
    try:
        memory_gib = MEMORY_ROOM * costs[f"{prefix}memory_mib"] / 1024
        lines = tuple(
            _line(kind, per_day, float(costs[name]), machines)
            for kind, (per_day, name) in kinds.items()
            if per_day
        )
    except KeyError as error:
        raise InputError(
            f"they have no {error.args[0]}: measure it with "
            "'python -m bench.costs --whisper NAME' and give the file",
            "costs",
        ) from None
    cores = sum(line.cores for line in lines)
    replicas = math.ceil(cores / (machines.replica_cores * machines.utilisation)) + 1
    replicas = max(MIN_REPLICAS, replicas)
    fit = min(machines.cores // machines.replica_cores, int(machines.memory_gib // memory_gib))
    if not fit:
        raise InputError(f"a replica needs {memory_gib:.1f} GiB", "memory-gib")
    return Plan(lines, cores, replicas, memory_gib, math.ceil(replicas / fit))


def _line(kind: str, per_day: float, core_s: float, machines: Machines) -> Line:
    per_second = per_day / DAY_S * machines.peak
    return Line(kind, per_day, core_s, per_second, per_second * core_s)


def assumptions(load: Load, machines: Machines, costs: Mapping[str, Any]) -> list[str]:
    """In words, as the command prints them."""
    transcripts = f"transcribed by {costs['whisper']}" if load.transcribed else "not transcribed"
    return [
        f"measured by {costs['command']} on {costs['machine']}, one thread of torch, no GPU: other "
        "cores differ, so measure on yours",
        f"the busiest hour has {machines.peak:g} times the day's mean rate",
        f"cores are busy at most {machines.utilisation:.0%} at peak; one replica to spare",
        f"a call of {load.minutes_per_call:g} minutes is streamed as it is held, in two channels; "
        f"each side speaks half of the time, {transcripts}",
        "messages have about 17 tokens; screenshots 1080 × 2400 pixels",
        f"machines of {machines.cores} cores and {machines.memory_gib:g} GiB, replicas of "
        f"{machines.replica_cores} cores; of a replica's memory {MEMORY_ROOM:g} times the measured",
        "the store, the collector of metrics and the load balancer are not in it",
    ]
