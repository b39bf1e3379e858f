"""The load generator: requests over gRPC, in a process of its own.

Messages are bytes here, neither made nor read while the clock runs: what it takes from the machine
is little and the same for every server.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
import numpy as np

METHOD = "/emotion.v1.EmotionService/AnalyzeEmotion"
OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@dataclass(frozen=True)
class Answers:
    """`seconds` and `codes` of each request, in the order in which they were sent."""

    wall_s: float
    seconds: tuple[float, ...]
    codes: tuple[str, ...]

    @property
    def good(self) -> int:
        return self.codes.count("OK")

    def quantile_ms(self, q: float, *, good: bool = True) -> float | None:
        """Of those that were answered, or of those that were not; None where there is none."""
        kept = [s for s, c in zip(self.seconds, self.codes, strict=True) if (c == "OK") == good]
        return round(1000 * float(np.quantile(kept, q)), 2) if kept else None


def closed_loop(address: str, payloads: Sequence[bytes], clients: int, n_requests: int) -> Answers:
    """So many clients, each of which waits for its answer before it asks again."""
    return asyncio.run(_closed(address, payloads, clients, n_requests))


def open_loop(
    address: str,
    payloads: Sequence[bytes],
    rate: float,
    seconds: float,
    deadline_s: float,
    seed: int,
) -> Answers:
    """Poisson arrivals, `rate` a second, however slowly they are answered. A request's time begins
    when it was due: where the generator itself is late, that counts."""
    return asyncio.run(_open(address, payloads, rate, seconds, deadline_s, seed))


async def _closed(
    address: str, payloads: Sequence[bytes], clients: int, n_requests: int
) -> Answers:
    seconds, codes = [0.0] * n_requests, [""] * n_requests
    numbers = itertools.count()
    async with grpc.aio.insecure_channel(address, OPTIONS) as channel:
        call = channel.unary_unary(METHOD)
        await call(payloads[0])  # the connection stands

        async def client() -> None:
            while (number := next(numbers)) < n_requests:
                started = time.perf_counter()
                codes[number] = await _code(call, payloads[number % len(payloads)], None)
                seconds[number] = time.perf_counter() - started

        started = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        wall_s = time.perf_counter() - started
    return Answers(wall_s, tuple(seconds), tuple(codes))


async def _open(
    address: str,
    payloads: Sequence[bytes],
    rate: float,
    seconds: float,
    deadline_s: float,
    seed: int,
) -> Answers:
    rng = np.random.default_rng(seed)
    due = np.cumsum(rng.exponential(1 / rate, max(1, round(rate * seconds)))).tolist()
    took, codes = [0.0] * len(due), [""] * len(due)
    async with grpc.aio.insecure_channel(address, OPTIONS) as channel:
        call = channel.unary_unary(METHOD)
        await call(payloads[0])
        started = time.perf_counter()

        async def ask(number: int) -> None:
            codes[number] = await _code(call, payloads[number % len(payloads)], deadline_s)
            took[number] = time.perf_counter() - started - due[number]

        asked = []
        for number, at in enumerate(due):
            if (wait := started + at - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            asked.append(asyncio.create_task(ask(number)))
        await asyncio.gather(*asked)
        wall_s = time.perf_counter() - started
    return Answers(wall_s, tuple(took), tuple(codes))


async def _code(
    call: grpc.aio.UnaryUnaryMultiCallable, payload: bytes, deadline_s: float | None
) -> str:
    try:
        await call(payload, timeout=deadline_s)
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    return "OK"
