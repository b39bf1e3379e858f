"""The server's own cost over the in-process call, a mixed load, and fusion's share of a request."""

from __future__ import annotations

import statistics
from multiprocessing.pool import Pool

import numpy as np

import weights
from bench.speed import content
from bench.speed.generator import closed_loop
from bench.speed.inside import Inside, run_inside
from bench.speed.measure import REPEATS, Figures, Section, in_turn, row
from bench.speed.processes import Server, another_process, serving
from fusion.pool import FusionPool
from modalities.reading import EMOTIONS, SENTIMENTS, Quality, Reading, Source

IN_PROCESS, ONE_BY_ONE = "in process", "one after another"
OF_SERVER = "{}: CPU time of the server process, a request"
MIXED = "mixed load: 90 texts, 9 recordings of 10 s, a screenshot"
FUSION = "Fusion's share of a request's time"
# kind → (clients, requests a round)
LOADS = {"text": (64, 1000), "voice": (8, 16), "image": (4, 4)}
COSTS = {"text": "text", "image": "screenshot"}  # the voice's is that of its own section
VOICE_S = 30.0
AT_ONCE = 32

HOW = (
    "At saturation, the load generator in a process of its own: user and system time of the server "
    "process alone against those of a process that answers the same requests by the same pipeline "
    "without gRPC. Texts by 64 clients, half-speech recordings of 30 s by 8, screenshots by 4. "
    f"The mixed load runs in process, {AT_ONCE} requests at once against one after another. Fusion "
    "is that of one request's readings in a batch of their own, the dearest way, but where more "
    "than one come at once."
)


def measure(scale: float = 1.0, repeats: int = REPEATS) -> Section:
    section = Section("Server over in process, mixed load, fusion", HOW)
    with another_process() as generator, another_process() as inside, serving() as server:
        for kind in LOADS:
            section.rows.append(_overhead(kind, generator, inside, server, scale, repeats))
            if kind in COSTS:
                section.costs[COSTS[kind]] = round(section.rows[-1]["ours"] / 1000, 6)
        section.costs["memory_mib"] = round(server.rss_mib())
        section.rows.append(_mixed(inside, scale, repeats))
    section.tables[FUSION] = _fusion_share(repeats)
    section.costs["fusion"] = section.tables[FUSION][-1]["fusion, ms"] / 1000
    return section


def payloads_of(kind: str) -> list[bytes]:
    """Requests of a kind, in the wire's format."""
    if kind == "text":
        made = [content.text_request(text) for text in content.texts(256)]
    elif kind == "voice":
        made = [content.voice_request(VOICE_S, seed) for seed in range(8)]
    else:
        made = [content.image_request()]
    return [request.SerializeToString() for request in made]


def _overhead(
    kind: str, generator: Pool, inside: Pool, server: Server, scale: float, repeats: int
) -> Figures:
    clients, n = LOADS[kind]
    n = max(2, round(n * scale))
    payloads = payloads_of(kind)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(repeats + 1):
        before = server.cpu_s()
        answers = generator.apply(closed_loop, (server.address, payloads, clients, n))
        ours.append((server.cpu_s() - before) / (n + 1))  # one to open the connection
        assert answers.good == n, answers.codes
        theirs.append(inside.apply(run_inside, (payloads, clients, n)).cpu_s_each)
    return row(
        OF_SERVER.format(kind), IN_PROCESS, ours[1:], theirs[1:], unit="ms", scale=1000, digits=3
    )


def _mixed(inside: Pool, scale: float, repeats: int) -> Figures:
    texts = [content.text_request(text) for text in content.texts(90)]
    voices = [content.voice_request(10.0, seed) for seed in range(9)]
    requests = [*texts, *voices, content.image_request()]
    order = np.random.default_rng(0).permutation(len(requests))
    payloads = [requests[i].SerializeToString() for i in order]
    n = max(4, round(len(payloads) * scale))
    walls: dict[int, list[float]] = {AT_ONCE: [], 1: []}
    for _ in range(repeats + 1):
        for callers, found in walls.items():
            found.append(inside.apply(run_inside, (payloads, callers, n)).wall_s)
    return row(MIXED, ONE_BY_ONE, walls[AT_ONCE][1:], walls[1][1:])


def _fusion_share(repeats: int) -> list[Figures]:
    pool = FusionPool.load(weights.path_of("fusion"))
    kinds = {
        "text": ([Source.TEXT], content.text_request(content.texts(4)[3])),
        "voice": ([Source.VOICE], content.voice_request(10.0)),
        "image": ([Source.IMAGE_TEXT], content.image_request()),
    }
    every = content.text_request(content.texts(4)[3])
    for _, request in list(kinds.values())[1:]:
        every.MergeFrom(request)
    kinds["all three"] = ([Source.TEXT, Source.VOICE, Source.IMAGE_TEXT], every)
    lines, inside = [], Inside()
    loads = [(kind, kind, 1) for kind in kinds]
    loads.insert(1, (f"text, {AT_ONCE} at once", "text", AT_ONCE))
    try:
        for name, kind, n in loads:
            sources, request = kinds[kind]
            item, payload = [a_reading(source) for source in sources], request.SerializeToString()
            seconds = in_turn(
                {
                    "fusion": lambda items=[item] * n: pool.infer(items),  # type: ignore[misc]
                    "request": lambda p=payload, n=n: inside.run([p], n, n),  # type: ignore[misc]
                },
                repeats,
            )
            shares = [a / b for a, b in zip(seconds["fusion"], seconds["request"], strict=True)]
            lines.append(
                {
                    "request": name,
                    "fusion, ms": round(1000 * statistics.median(seconds["fusion"]) / n, 3),
                    "request, ms": round(1000 * statistics.median(seconds["request"]) / n, 2),
                    "share, %": round(100 * statistics.median(shares), 2),
                }
            )
            print(f"  {lines[-1]}", flush=True)
    finally:
        inside.close()
    return lines


def a_reading(source: Source, seed: int = 0) -> Reading:
    rng = np.random.default_rng(seed)
    sentiment, emotions = (
        np.log(rng.dirichlet(np.ones(len(labels)))).astype(np.float32)
        for labels in (SENTIMENTS, EMOTIONS)
    )
    embedding = rng.normal(0, 1, 64).astype(np.float32)
    return Reading(source, sentiment, emotions, embedding, Quality(characters=20, speech_s=5))
