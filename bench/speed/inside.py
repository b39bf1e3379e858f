"""The in-process call: the server's pipeline without gRPC, kept ready in a process of its own."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest

from bench.speed.processes import cpu_s
from server import models
from server.pipeline import Pipeline
from server.service import new_event_loop
from server.settings import Settings
from server.warmup import warm_up


@dataclass(frozen=True)
class Taken:
    """By `n` requests of this process."""

    n: int
    wall_s: float
    cpu_s: float

    @property
    def cpu_s_each(self) -> float:
        return self.cpu_s / self.n


class Inside:
    """A pipeline with the settings of `processes.serving` and an event loop as the server's."""

    def __init__(self) -> None:
        self.loop = new_event_loop()
        self.pipeline = self.loop.run_until_complete(_pipeline())

    def run(self, payloads: Sequence[bytes], callers: int, n_requests: int) -> Taken:
        """Requests in the wire's format, each read once before the clock starts; so many callers
        at once."""
        requests = [AnalyzeEmotionRequest.FromString(payload) for payload in payloads]
        process = psutil.Process()
        before, started = cpu_s(process), time.perf_counter()
        self.loop.run_until_complete(_all(self.pipeline, requests, callers, n_requests))
        return Taken(n_requests, time.perf_counter() - started, cpu_s(process) - before)

    def close(self) -> None:
        self.loop.run_until_complete(self.pipeline.close())
        self.loop.close()


_kept: list[Inside] = []  # of the process that `another_process` started


def run_inside(payloads: Sequence[bytes], callers: int, n_requests: int) -> Taken:
    """`Inside.run` in this process, whose pipeline is made at the first call and kept."""
    if not _kept:
        _kept.append(Inside())
    return _kept[0].run(payloads, callers, n_requests)


async def _pipeline() -> Pipeline:
    settings = Settings(cpu_threads=1, whisper="none")
    pipeline = Pipeline(models.load(settings), settings)
    await warm_up(pipeline.runner)
    return pipeline


async def _all(
    pipeline: Pipeline, requests: Sequence[AnalyzeEmotionRequest], callers: int, n_requests: int
) -> None:
    numbers = itertools.count()

    async def caller() -> None:
        while (number := next(numbers)) < n_requests:
            await pipeline.analyze(requests[number % len(requests)])

    await asyncio.gather(*(caller() for _ in range(callers)))
