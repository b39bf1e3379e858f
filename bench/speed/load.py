"""Latency against offered load, up to and beyond saturation: what is refused, and how fast."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

from bench.speed import content
from bench.speed.generator import Answers, closed_loop, open_loop
from bench.speed.measure import Figures, Section
from bench.speed.processes import another_process, running, serving

LEVELS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.5)  # of our saturated throughput
DEADLINE_S = 2.0
CAPTION = "Texts, Poisson arrivals; load 1 is our server's saturated throughput"

HOW = (
    "Open loop: requests are sent when they are due, however slowly they are answered, each with a "
    f"deadline of {DEADLINE_S:g} s. Ours and the plain server (grpc.aio without batching, fp32) at "
    "the same loads, in turn, five times a level; medians of the five. The generator, on the "
    "same cores, gives way to the server; a time includes whatever it was late itself."
)


def measure(levels: tuple[float, ...] = LEVELS, seconds: float = 2.0, repeats: int = 5) -> Section:
    section = Section("Latency against offered load", HOW)
    payloads = [content.text_request(text).SerializeToString() for text in content.texts(256)]
    lines: list[Figures] = []
    with (
        another_process(yields=True) as generator,
        serving() as ours,
        running("bench.speed.plain") as plain,
    ):
        servers = {"ours": ours, "plain": plain}
        saturated = []
        for _ in range(3):
            warm = generator.apply(closed_loop, (ours.address, payloads, 32, 400))
            generator.apply(closed_loop, (plain.address, payloads, 32, 100))
            saturated.append(warm.good / warm.wall_s)
        full = statistics.median(saturated)
        for level in levels:
            rounds: dict[str, list[Answers]] = {name: [] for name in servers}
            for seed in range(repeats):
                for name, server in servers.items():
                    asked = (server.address, payloads, level * full, seconds, DEADLINE_S, seed)
                    rounds[name].append(generator.apply(open_loop, asked))
            for name, answers in rounds.items():
                lines.append(_line(name, level, level * full, seconds, answers))
                print(f"  {lines[-1]}", flush=True)
    section.tables[CAPTION] = lines
    return section


def _line(name: str, level: float, rate: float, seconds: float, rounds: list[Answers]) -> Figures:
    codes = Counter(code for answers in rounds for code in answers.codes)
    n = codes.total()
    refused = {code: count for code, count in codes.items() if code != "OK"}

    def median(q: float, good: bool) -> Any:
        found = [ms for one in rounds if (ms := one.quantile_ms(q, good=good)) is not None]
        return round(statistics.median(found), 1) if found else None

    return {
        "server": name,
        "load": level,
        "offered/s": round(rate, 1),
        "answered/s": round(statistics.median(one.good / one.wall_s for one in rounds), 1),
        "p50, ms": median(0.5, True),
        "p95, ms": median(0.95, True),
        "p99, ms": median(0.99, True),
        "not answered, %": round(100 * (1 - codes["OK"] / n), 1),
        "as": ", ".join(f"{code} {count}" for code, count in sorted(refused.items())) or None,
        "told after, p50 ms": median(0.5, False),
        "p99 ms": median(0.99, False),
    }
