"""A server under clients of all sorts for a long time: what of memory, files and threads is left.

Good clients ask for answers, bad ones send what is broken, hasty ones cancel, slow ones hold a live
call open and do not take what they are sent.
"""

from __future__ import annotations

import functools
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
from emotion.v1.call_pb2 import StreamCallRequest
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench.faults import malformed, seeds
from bench.faults.malformed import FORBIDDEN, good_call
from bench.faults.serving import Server

MINUTES, SEED, SAMPLE_S = 20.0, 20261124, 10.0
FLAT = 1.05  # memory of the last third over that of the second
PAUSE_S, HASTE_S, SLOW_S, DEADLINE_S = 0.05, 0.05, 3.0, 60.0
STREAM = "emotion.v1.EmotionService/StreamCall"
ANALYZE = "emotion.v1.EmotionService/AnalyzeEmotion"


@dataclass(frozen=True)
class Sample:
    """Of the server, at some time."""

    minute: float
    memory_mib: float
    files: int
    threads: int
    decoders: int
    health: str
    calls: int


def run(minutes: float = MINUTES, seed: int = SEED) -> dict[str, Any]:
    """Figures; `passed` says whether memory stays flat and no code is one that must not be."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, malformed.server(Path(folder)) as server:
        ended = threading.Event()
        clients = [
            threading.Thread(target=_client, args=(kind, server, seed, counts, ended))
            for kind in CLIENTS
        ]
        for client in clients:
            client.start()
        samples = list(_samples(server, minutes, counts))
        ended.set()
        for client in clients:
            client.join()
        good, errors = good_call(server.address), Counter(_errors(server))
        status = server.stop()
    thirds = [samples[len(samples) * k // 3 : len(samples) * (k + 1) // 3] for k in range(3)]
    memory = [sum(s.memory_mib for s in third) / max(len(third), 1) for third in thirds]
    forbidden = {
        name: count
        for name, count in counts.items()
        if any(name.endswith(code.name) for code in FORBIDDEN)
    }
    return {
        "minutes": minutes,
        "outcomes": dict(sorted(counts.items())),
        "forbidden": forbidden,
        "memory_mib_by_third": [round(mib, 1) for mib in memory],
        "memory_ratio": round(memory[2] / memory[1], 3),
        "first_and_last": [asdict(samples[0]), asdict(samples[-1])],
        "errors_in_log": dict(errors),
        "good_call": good,
        "exit_status": status,
        "passed": (
            not forbidden
            and memory[2] <= FLAT * memory[1]
            and {sample.health for sample in samples} == {"SERVING"}
            and good == ["USED"] * 3
            and status == 0
        ),
    }


def _samples(server: Server, minutes: float, counts: Counter[str]) -> Iterator[Sample]:
    """One every SAMPLE_S (of a short run at least nine), each printed as it is taken."""
    begun, every_s = time.monotonic(), min(SAMPLE_S, minutes * 60 / 9)
    with grpc.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while (gone_s := time.monotonic() - begun) < minutes * 60:
            time.sleep(every_s)
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=5.0)
                health = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            except grpc.RpcError as error:
                health = error.code().name
            sample = Sample(
                minute=round(gone_s / 60, 1),
                memory_mib=round(server.memory_mib(), 1),
                files=server.n_files(),
                threads=server.n_threads(),
                decoders=len(server.pids) - 1,
                health=health,
                calls=sum(counts.values()),
            )
            print(sample, file=sys.stderr, flush=True)
            yield sample


def _errors(server: Server) -> Iterator[str]:
    for line in server.lines():
        if line.get("level") == "error":
            yield f"{line['event'][:80]} {line.get('error', '')}"


def _client(
    kind: str, server: Server, seed: int, counts: Counter[str], ended: threading.Event
) -> None:
    """Calls of one kind, one after the other; `counts` gets the kind with each one's code."""
    draw = random.Random(f"{seed} {kind}")
    with grpc.insecure_channel(server.address) as channel:
        while not ended.wait(PAUSE_S):
            try:
                CLIENTS[kind](channel, draw)
                code = "OK"
            except grpc.RpcError as error:
                code = error.code().name
            counts[f"{kind} {code}"] += 1


def _good(channel: grpc.Channel, draw: random.Random) -> None:
    (request,) = draw.choice(seeds.requests()[ANALYZE])
    EmotionServiceStub(channel).AnalyzeEmotion(request, timeout=DEADLINE_S)


def _live(channel: grpc.Channel, draw: random.Random) -> None:
    """A live call that is sent as fast as it is taken."""
    call = draw.choice(seeds.requests()[STREAM])
    for _ in EmotionServiceStub(channel).StreamCall(iter(call), timeout=DEADLINE_S):
        pass


def _bad(channel: grpc.Channel, draw: random.Random) -> None:
    method, call = _broken(channel).call(draw)
    if (error := malformed.send(channel, method, call)) is not None:
        raise error


@functools.cache
def _broken(channel: grpc.Channel) -> malformed.Broken:
    return malformed.Broken(channel)


def _hasty(channel: grpc.Channel, draw: random.Random) -> None:
    """Given up at any time, by the deadline or by hand."""
    (request,) = draw.choice(seeds.requests()[ANALYZE])
    call = EmotionServiceStub(channel).AnalyzeEmotion.future(
        request, timeout=draw.uniform(0.001, 4 * HASTE_S)
    )
    if draw.random() < 0.5:
        time.sleep(draw.uniform(0, HASTE_S))
        call.cancel()
    try:
        call.result()
    except grpc.FutureCancelledError:
        return


def _slow(channel: grpc.Channel, draw: random.Random) -> None:
    """Sends a live call without end and takes nothing; then hangs up."""
    config, *frames = draw.choice(seeds.requests()[STREAM])

    def speak() -> Iterator[Message]:
        yield config
        while True:
            yield from (frame for frame in frames if isinstance(frame, StreamCallRequest))

    call = EmotionServiceStub(channel).StreamCall(speak(), timeout=DEADLINE_S)
    time.sleep(draw.uniform(0, SLOW_S))
    call.cancel()


CLIENTS: Mapping[str, Callable[[grpc.Channel, random.Random], None]] = {
    "good": _good,
    "live": _live,
    "bad": _bad,
    "hasty": _hasty,
    "slow": _slow,
}
