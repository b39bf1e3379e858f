"""Live calls at once: how long after somebody stops speaking the final utterance comes.

A real server process, and a client in a process of its own on the same machine, which sends frames
of 100 ms at the pace at which they would be spoken. The end of speech is the composed call's truth
(−40 dB of the clip's peak), so that the silence that ends an utterance is part of the latency.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from emotion.v1.call_pb2 import StreamCallConfig, StreamCallRequest, Utterance
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub
from emotion.v1.types_pb2 import Role

from bench.calls import compose
from bench.speed.processes import serving

FRAME_S = 0.1
FRAME_BYTES = int(FRAME_S * compose.LINE_RATE_HZ) * 2  # stereo μ-law
TARGET_S = 1.0
RAMP_S = 5.0  # over which the calls begin
N_CALLS = 12
TOLERANCE_S = 0.3


@dataclass(frozen=True)
class Level:
    """So many calls at once. Latency is from the end of speech to its final utterance's arrival;
    `late_p95_s` is how much the client itself sent its frames too late."""

    streams: int
    utterances: int
    p50_s: float
    p95_s: float
    late_p95_s: float
    refused_one_more: str


def run(streams: Sequence[int], seconds: float, seed: int) -> dict[str, Any]:
    """Levels in rising order, up to the first whose p95 is over the target."""
    with tempfile.TemporaryDirectory() as folder:
        truths = compose.compose(Path(folder), N_CALLS, seed, "dev")
        levels = []
        for n in sorted(streams):
            with serving(max_streams=n) as server:
                levels.append(_measured(server.address, n, seconds, seed, truths))
            print(levels[-1], file=sys.stderr, flush=True)
            if levels[-1].p95_s > TARGET_S:
                break
    good = [level.streams for level in levels if level.p95_s <= TARGET_S]
    return {
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[2], 1),
        "target_p95_s": TARGET_S,
        "most_streams_within": max(good, default=0),
        "levels": [asdict(level) for level in levels],
    }


def _measured(address: str, n: int, seconds: float, seed: int, truths: Sequence[Path]) -> Level:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_client, (address, n, seconds, seed, truths))


def _client(address: str, n: int, seconds: float, seed: int, truths: Sequence[Path]) -> Level:
    return asyncio.run(_calls(address, n, seconds, seed, truths))


async def _calls(address: str, n: int, seconds: float, seed: int, truths: Sequence[Path]) -> Level:
    draw = random.Random(seed)
    recordings = [(compose.load(path), _samples(path)) for path in truths]
    latencies: list[float] = []
    late: list[float] = []
    async with grpc.aio.insecure_channel(address) as channel:
        stub = EmotionServiceStub(channel)

        async def call() -> None:
            truth, samples = draw.choice(recordings)
            await asyncio.sleep(draw.uniform(0, RAMP_S))
            await _call(
                stub, truth, samples[: int(seconds / FRAME_S) * FRAME_BYTES], latencies, late
            )

        calls = [asyncio.create_task(call()) for _ in range(n)]
        await asyncio.sleep(RAMP_S + 1)
        refused = await _one_more(stub)
        await asyncio.gather(*calls)
    p50, p95 = np.quantile(latencies, (0.5, 0.95))
    return Level(
        n,
        len(latencies),
        round(float(p50), 3),
        round(float(p95), 3),
        round(float(np.quantile(late, 0.95)), 3),
        refused,
    )


async def _call(
    stub: EmotionServiceStub,
    truth: compose.Truth,
    samples: bytes,
    latencies: list[float],
    late: list[float],
) -> None:
    stream = stub.StreamCall()
    started = time.monotonic()

    async def speak() -> None:
        await stream.write(_config())
        for index, at in enumerate(range(0, len(samples), FRAME_BYTES)):
            due = started + (index + 1) * FRAME_S  # a frame can be sent once it has been spoken
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            late.append(time.monotonic() - due)
            await stream.write(StreamCallRequest(audio=samples[at : at + FRAME_BYTES]))
        await stream.done_writing()

    speaking = asyncio.create_task(speak())
    async for response in stream:
        if response.HasField("utterance") and not speaking.done():
            end_s = _end_s(truth, response.utterance)
            if end_s is not None:
                latencies.append(time.monotonic() - started - end_s)
    await speaking


def _end_s(truth: compose.Truth, utterance: Utterance) -> float | None:
    """Where the last turn in an utterance really ends; None where it holds none."""
    start_s = utterance.start_offset.ToNanoseconds() / 1e9
    end_s = utterance.end_offset.ToNanoseconds() / 1e9
    ends = [
        turn.end_s
        for turn in truth.turns
        if turn.channel == utterance.channel
        and turn.start_s < end_s
        and start_s < turn.end_s < end_s + TOLERANCE_S
    ]
    return max(ends, default=None)


async def _one_more(stub: EmotionServiceStub) -> str:
    """The status that a stream beyond the limit gets."""
    stream = stub.StreamCall(iter([_config()]))
    try:
        async for _ in stream:
            pass
    except grpc.aio.AioRpcError as error:
        return f"{error.code().name}: {error.details()}"
    return "OK"


def _config() -> StreamCallRequest:
    return StreamCallRequest(
        config=StreamCallConfig(
            encoding=StreamCallConfig.MULAW,
            sample_rate_hz=compose.LINE_RATE_HZ,
            channel_roles=[Role.CUSTOMER, Role.AGENT],
        )
    )


def _samples(truth: Path) -> bytes:
    content = truth.with_suffix(".wav").read_bytes()
    return content[content.index(b"data") + 8 :]
