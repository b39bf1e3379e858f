"""What a server does at three times the load that saturates it.

First so many clients that the server is never idle: their rate of good answers is the saturated
one. Then calls come at three times that rate, whether they are answered or not. Last the same
clients again, and the saturated rate is the mean of both: the machine's own speed drifts by more
than the bound leaves room for. The load comes from a process on the same machine as the server that
gives way to it, for a server's callers take nothing of its cores. How soon a refusal comes is seen
by a witness, a process of usual priority that makes few calls of the same sorts beside it; and one
more asks for the health.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench.faults import seeds
from bench.faults.serving import Server, cpu_s, serving
from bench.speed.processes import another_process

ANALYZE = "/emotion.v1.EmotionService/AnalyzeEmotion"
CLIENTS = 32  # enough to saturate, fewer than a server lets in
TIMES, SECONDS, WARM_S = 3.0, 15.0, 3.0
WITNESSED = 40.0  # calls a second
DEADLINE_S, TICK_S, HEALTH_S = 10.0, 0.004, 0.1
GOOD_SHARE, REFUSED_P95_S, RECOVERY_S = 0.90, 0.050, 2.0
# By the gate, and by gRPC itself where even that has no time to refuse.
REFUSALS = ("RESOURCE_EXHAUSTED", "CANCELLED")
# Shares of requests with a sentence, a recording of a second and a small picture.
LOADS = {"text": (1.0, 0.0, 0.0), "mixed": (0.9, 0.08, 0.02)}


@dataclass
class Phase:
    """Calls of one load; rates a second, latencies in seconds."""

    offered: float
    good: float = 0.0
    good_p95_s: float = 0.0
    refused: float = 0.0
    refused_p95_s: float = 0.0
    codes: dict[str, int] = field(default_factory=dict)
    client_cpu_share: float = 0.0  # of all cores
    server_cpu_share: float = 0.0
    recovery_s: float = 0.0  # from the last call on, until one is answered as on an idle server


def run(loads: Sequence[str] = tuple(LOADS), seconds: float = SECONDS) -> dict[str, Any]:
    """Figures by load; `passed` says whether the issue's bounds hold."""
    found: dict[str, Any] = {"cores": os.cpu_count()}
    for name in loads:
        with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
            found[name] = measure(server, name, seconds)
    return found | {"passed": all(found[name]["passed"] for name in loads)}


def measure(server: Server, load: str, seconds: float) -> dict[str, Any]:
    """The saturated rate, the overload at TIMES that, the health meanwhile, and the rate again."""
    with (
        another_process(yields=True) as generator,
        another_process() as checker,
        another_process() as witness,
    ):

        def phase(rate: float | None) -> Phase:
            before, started = server.cpu_s(), time.monotonic()
            done = generator.apply(_run, (_load, server.address, load, rate, seconds))
            wall_s = time.monotonic() - started
            done.server_cpu_share = round(
                (server.cpu_s() - before) / wall_s / (os.cpu_count() or 1), 3
            )
            return done

        saturated = phase(None)
        checks = checker.apply_async(_run, (_health, server.address, seconds))
        calls = witness.apply_async(_run, (_load, server.address, load, WITNESSED, seconds))
        overload = phase(TIMES * saturated.good)
        health, seen = checks.get(), calls.get()
        again = phase(None)
    kept = (overload.good + seen.good) / ((saturated.good + again.good) / 2)
    return {
        "saturated": asdict(saturated),
        "overload": asdict(overload),
        "witness": asdict(seen),
        "saturated_again": asdict(again),
        "good_share": round(kept, 3),
        "health": health,
        "passed": (
            kept >= GOOD_SHARE
            and 0 < seen.refused_p95_s < REFUSED_P95_S
            and set(overload.codes) | set(seen.codes) <= {"OK", *REFUSALS}
            and set(saturated.codes) | set(again.codes) == {"OK"}
            and set(health["statuses"]) == {"SERVING"}
            and overload.recovery_s <= RECOVERY_S
        ),
    }


def _run(work: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    return asyncio.run(work(*arguments))  # type: ignore[arg-type]


async def _load(address: str, load: str, rate: float | None, seconds: float) -> Phase:
    """`rate` calls a second; None: CLIENTS at once, each of which calls again when answered."""
    contents, draw = _contents(), random.Random(0)
    calls: list[tuple[float, float, str]] = []  # begun, took, code
    async with grpc.aio.insecure_channel(address) as channel:
        analyze = channel.unary_unary(ANALYZE)

        async def call() -> float:
            (content,) = draw.choices(contents, LOADS[load])
            began, code = time.monotonic(), "OK"
            try:
                await analyze(content, timeout=DEADLINE_S)
            except grpc.aio.AioRpcError as error:
                code = error.code().name
            calls.append((began, time.monotonic() - began, code))
            return calls[-1][1] if code == "OK" else DEADLINE_S

        async def client(until: float) -> None:
            while time.monotonic() < until:
                await call()

        idle_s = float(np.quantile([await call() for _ in range(20)], 0.95))
        calls.clear()
        used, began = cpu_s("self"), time.monotonic()
        until = began + WARM_S + seconds
        if rate is None:
            await asyncio.gather(*(client(until) for _ in range(CLIENTS)))
        else:
            running, sent = set[asyncio.Task[float]](), 0
            while (now := time.monotonic()) < until:
                while sent < (now - began) * rate:
                    task = asyncio.create_task(call())
                    running.add(task)
                    task.add_done_callback(running.discard)
                    sent += 1
                await asyncio.sleep(TICK_S)
        ended = time.monotonic()
        share = (cpu_s("self") - used) / (ended - began) / (os.cpu_count() or 1)
        during = [one for one in calls if one[0] + one[1] >= began + WARM_S]
        recovery_s = 0.0
        while rate is not None and await call() > 2 * idle_s and recovery_s < DEADLINE_S:
            recovery_s = time.monotonic() - ended
            await asyncio.sleep(TICK_S)
        if rate is not None:
            await asyncio.gather(*running)
    return _phase(during, seconds, round(share, 3), round(recovery_s, 3))


def _phase(
    calls: Sequence[tuple[float, float, str]], seconds: float, share: float, recovery_s: float
) -> Phase:
    good = [took_s for _, took_s, code in calls if code == "OK"]
    refused = [took_s for _, took_s, code in calls if code in REFUSALS]

    def p95_s(values: Sequence[float]) -> float:
        return round(float(np.quantile(values, 0.95)), 4) if values else 0.0

    return Phase(
        offered=round(len(calls) / seconds, 1),
        good=round(len(good) / seconds, 1),
        good_p95_s=p95_s(good),
        refused=round(len(refused) / seconds, 1),
        refused_p95_s=p95_s(refused),
        codes=dict(Counter(code for *_, code in calls)),
        client_cpu_share=share,
        recovery_s=recovery_s,
    )


async def _health(address: str, seconds: float) -> dict[str, Any]:
    """Statuses told in the time of an overload, and the slowest answer."""
    statuses, slowest_s, until = Counter[str](), 0.0, time.monotonic() + WARM_S + seconds
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while (began := time.monotonic()) < until:
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
                statuses[health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)] += 1
            except grpc.aio.AioRpcError as error:
                statuses[error.code().name] += 1
            slowest_s = max(slowest_s, time.monotonic() - began)
            await asyncio.sleep(HEALTH_S)
    return {"statuses": dict(statuses), "slowest_s": round(slowest_s, 3)}


def _contents() -> list[bytes]:
    """Requests with a sentence, a recording and a picture."""
    made = (
        AnalyzeEmotionRequest(text={"content": seeds.TEXTS[0]}),
        AnalyzeEmotionRequest(audio={"content": seeds.recording("wav")}),
        AnalyzeEmotionRequest(images=[{"content": seeds.picture("PNG")}]),
    )
    return [request.SerializeToString() for request in made]
