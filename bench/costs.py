"""`python -m bench.costs`: processor time and memory of a server, item by item, for sizing.

A real server with one thread of torch is asked over its port, 8 callers at once; what its processes
use is counted, and the callers' not. Writes what `emotion plan` reads,
server/observe/costs.json, and the tables of docs/sizing.md.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import numpy as np
import typer
from emotion.v1.call_pb2 import StreamCallConfig, StreamCallRequest
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub
from emotion.v1.types_pb2 import AGENT, CUSTOMER

from bench import sizing_page
from bench.speed.content import half_speech, image_request, text_request, texts
from bench.speed.processes import Server, serving
from modalities.voice.stream import SAMPLE_RATE_HZ
from server import client
from server.observe.plan import COSTS

CALLERS = 8
MESSAGES, CALL_MINUTES, SCREENSHOTS = 2000, 8, 8
CHUNK_S = 0.2


def core_s(server: Server, ask: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Of one item."""
    with ThreadPoolExecutor(CALLERS) as callers:
        list(callers.map(ask, items[:CALLERS]))  # once for what is made at first use
        before = server.cpu_s()
        list(callers.map(ask, items))
        return (server.cpu_s() - before) / len(items)


def call_minute(seed: int) -> Iterator[StreamCallRequest]:
    """A minute of a stereo telephone line, in which each side speaks half of the time."""
    config = StreamCallConfig(
        encoding=StreamCallConfig.LINEAR16,
        sample_rate_hz=SAMPLE_RATE_HZ,
        channel_roles=[CUSTOMER, AGENT],
    )
    yield StreamCallRequest(config=config)
    sides = np.stack([half_speech(60, 2 * seed), half_speech(60, 2 * seed + 1)], axis=1)
    samples = (sides.clip(-1, 1) * 32767).astype("<i2")
    step = round(CHUNK_S * SAMPLE_RATE_HZ)
    for start in range(0, len(samples), step):
        yield StreamCallRequest(audio=samples[start : start + step].tobytes())


def measure(**settings: object) -> dict[str, float]:
    """Core-seconds of an item, and the memory of the processes at the end, in mebibytes."""
    with serving(**settings) as server, client.channel(server.address) as channel:
        stub = EmotionServiceStub(channel)
        text, stream = stub.AnalyzeEmotion, stub.StreamCall
        message = core_s(server, lambda one: text(text_request(one)), texts(MESSAGES))
        call = core_s(server, lambda one: list(stream(call_minute(one))), range(CALL_MINUTES))
        picture = core_s(server, lambda _: text(image_request()), range(SCREENSHOTS))
        return {
            "message_core_s": round(message, 5),
            "call_minute_core_s": round(call, 3),
            "screenshot_core_s": round(picture, 2),
            "memory_mib": round(server.rss_mib()),
        }


def main(
    whisper: Annotated[
        str | None, typer.Option(help="A checkpoint, to measure calls with transcripts, too.")
    ] = None,
) -> None:
    costs: dict[str, Any] = {
        "command": "python -m bench.costs",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        **measure(),
    }
    if whisper:
        transcribed = measure(whisper=whisper)
        costs["transcribed_call_minute_core_s"] = transcribed["call_minute_core_s"]
        costs["transcribed_memory_mib"] = transcribed["memory_mib"]
        costs["whisper"] = whisper
    COSTS.write_text(json.dumps(costs, indent=2) + "\n")
    sizing_page.write()
    print(COSTS.read_text())


if __name__ == "__main__":
    typer.run(main)
