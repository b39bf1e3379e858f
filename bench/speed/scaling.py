"""Cost an item, and memory, as batches, lengths and numbers of clients grow."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import weights
from bench.speed import content
from bench.speed.generator import closed_loop
from bench.speed.measure import REPEATS, Figures, Section
from bench.speed.processes import another_process, peak_mib, serving
from bench.speed.server import a_reading
from fusion.pool import FusionPool
from modalities.reading import Source
from modalities.text.infer import TextReader
from modalities.voice.infer import VoiceReader

HOW = (
    "Models in a fresh process for each line, which tells its peak memory with the models loaded; "
    "one torch thread, medians of five. Clients ask one server, in rising numbers, for texts."
)
BATCHES = {"text": (1, 8, 64, 256), "voice": (1, 8, 32), "fusion": (1, 64, 4096)}
LENGTHS = {"text": (10, 100, 1000, 10_000), "voice": (1, 5, 15)}
CLIENTS = (1, 4, 16, 64)
UNIT = {"text": "characters", "voice": "seconds"}


def measure(
    batches: dict[str, tuple[int, ...]] = BATCHES,
    lengths: dict[str, tuple[int, ...]] = LENGTHS,
    clients: tuple[int, ...] = CLIENTS,
    n_requests: int = 400,
    repeats: int = REPEATS,
) -> Section:
    section = Section("Scaling", HOW)
    section.tables["Batch"] = [
        {"model": kind, "items": n, **_in_fresh_process(kind, n, None, repeats)}
        for kind, sizes in batches.items()
        for n in sizes
    ]
    section.tables["Length"] = [
        {"model": kind, "length": f"{n} {UNIT[kind]}", **_in_fresh_process(kind, 8, n, repeats)}
        for kind, sizes in lengths.items()
        for n in sizes
    ]
    section.tables["Clients"] = _clients(clients, n_requests, repeats)
    return section


def _in_fresh_process(kind: str, n: int, length: int | None, repeats: int) -> Figures:
    with another_process() as process:
        found: Figures = process.apply(cost, (kind, n, length, repeats))
    print(f"  {kind}, {n} items, length {length}: {found}", flush=True)
    return found


def cost(kind: str, n: int, length: int | None, repeats: int) -> Figures:
    """Milliseconds an item and the peak memory of this process; `length` None is natural."""
    torch.set_num_threads(1)
    work = _work(kind, n, length)
    work()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    each = 1000 * statistics.median(seconds) / n
    return {"ms an item": float(f"{each:.3g}"), "peak MiB": round(peak_mib())}


def _work(kind: str, n: int, length: int | None) -> Callable[[], Any]:
    if kind == "text":
        text = TextReader.load(weights.path_of("text"))
        texts = content.texts(n)
        if length is not None:
            texts = [(" ".join(content.texts(64, seed)) * 8)[:length] for seed in range(n)]
        return lambda: text.infer([text.prepare(one) for one in texts])
    if kind == "voice":
        voice, rng = VoiceReader.load(weights.path_of("voice")), np.random.default_rng(0)
        seconds = rng.uniform(2, 10, n) if length is None else np.full(n, length)
        heard = [content.noise(float(one), rng) for one in seconds]
        return lambda: voice.infer(heard)
    pool = FusionPool.load(weights.path_of("fusion"))
    items = [[a_reading(source, seed) for source in Source] for seed in range(n)]
    return lambda: pool.infer(items)


def _clients(clients: tuple[int, ...], n_requests: int, repeats: int) -> list[Figures]:
    payloads = [content.text_request(text).SerializeToString() for text in content.texts(256)]
    lines = []
    with another_process() as generator, serving() as server:
        generator.apply(closed_loop, (server.address, payloads, 8, n_requests))
        for n in clients:
            rounds, cpu_ms = [], []
            for _ in range(repeats):
                before = server.cpu_s()
                asked = (server.address, payloads, n, max(n, n_requests * min(n, 8) // 8))
                rounds.append(generator.apply(closed_loop, asked))
                cpu_ms.append(1000 * (server.cpu_s() - before) / len(rounds[-1].codes))
            lines.append(
                {
                    "clients": n,
                    "messages/s": round(statistics.median(r.good / r.wall_s for r in rounds), 1),
                    "server CPU, ms a message": round(statistics.median(cpu_ms), 2),
                    "p50, ms": statistics.median(r.quantile_ms(0.5) or 0 for r in rounds),
                    "p99, ms": statistics.median(r.quantile_ms(0.99) or 0 for r in rounds),
                    "server MiB": round(server.rss_mib()),
                }
            )
            print(f"  {lines[-1]}", flush=True)
    return lines
