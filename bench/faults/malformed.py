"""Thousands of broken requests to every method that a server has, over a real port.

Each is a real request (`seeds`) that is changed as bytes, in its fields, or in the media that it
holds; of a stream, any of its messages, and their order. Which methods there are the server says
itself, by reflection: one that has no seed gets fields filled at random.
"""

from __future__ import annotations

import random
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub
from emotion.v1.types_pb2 import ModalityResult
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from bench.faults import seeds
from bench.faults.mutate import fill, mutate_bytes, mutate_field
from bench.faults.serving import Server, serving

N, SEED, CLIENTS = 10_000, 20261124, 4
FLAT = 1.05  # memory of the last third over that of the second
DEADLINE_S, LISTENING_S = 60.0, 0.2  # of what only listens
FORBIDDEN = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
HEAVY = {"AnalyzeEmotion": 8.0, "StreamCall": 4.0, "AnalyzeConversation": 3.0}  # others 1
SAMPLE_S = 0.25
N_FILLED = 8  # calls of a method that has no seed
KEY = "5a" * 32  # of the store


@dataclass
class Found:
    """What came of the calls: their codes by method, and those that must not be."""

    codes: dict[str, Counter[str]] = field(default_factory=dict)
    forbidden: list[str] = field(default_factory=list)
    done: int = 0
    memory_mib: list[tuple[int, float]] = field(default_factory=list)  # after so many calls

    def add(self, method: str, index: int, error: grpc.RpcError | None) -> None:
        code = grpc.StatusCode.OK if error is None else error.code()
        self.codes.setdefault(method, Counter())[code.name] += 1
        if error is not None and code in FORBIDDEN:
            self.forbidden.append(f"{index} {method}: {code.name}: {error.details()}")
        self.done += 1


def run(n: int = N, seed: int = SEED) -> dict[str, Any]:
    """Figures; `passed` says whether the issue's bounds hold."""
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as running:
        found = attack(running, n, seed)
        good = good_call(running.address)
        errors = [line for line in running.lines() if line.get("level") == "error"]
        status = running.stop()
    second, third = (_mean(found, n * part // 3, n * (part + 1) // 3) for part in (1, 2))
    return {
        "requests": found.done,
        "methods": len(found.codes),
        "codes": dict(sum(found.codes.values(), Counter())),
        "forbidden": found.forbidden[:20],
        "memory_mib": [round(second, 1), round(third, 1)],
        "memory_ratio": round(third / second, 3),
        "errors_in_log": [f"{line['event']} {line.get('error', '')}" for line in errors[:20]],
        "good_call": good,
        "exit_status": status,
        "passed": (
            found.done == n
            and not found.forbidden
            and third <= FLAT * second
            and good == ["USED"] * 3
            and status == 0
        ),
    }


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """One with all that can be switched on."""
    (folder / "calls").mkdir()
    (folder / "calls" / "call.wav").write_bytes(seeds.recording("wav"))
    with serving(
        folder,
        *(f"store={folder}/store.sqlite", f"store_key={KEY}", "store_content=true"),
        f"alerts={folder}/alerts",
        *(f"call_roots={folder}/calls", f"call_output_root={folder}/tables"),
    ) as running:
        yield running


def attack(server: Server, n: int, seed: int) -> Found:
    """`n` calls from CLIENTS threads; call i is the same in every run of a seed."""
    found, lock = Found(), threading.Lock()
    with grpc.insecure_channel(server.address) as channel:
        makes = Broken(channel)

        def work(index: int) -> None:
            draw = random.Random(seed * 1_000_003 + index)
            method, call = makes.call(draw)
            error = send(channel, method, call)
            with lock:
                found.add(method.full_name, index, error)

        with _watching(server, found), ThreadPoolExecutor(CLIENTS) as pool:
            for _ in pool.map(work, range(n)):
                pass
    return found


def good_call(address: str) -> list[str]:
    """The states of text, voice and image of a call that holds all three."""
    example = seeds.requests()["emotion.v1.EmotionService/AnalyzeEmotion"][-1][0]
    request = AnalyzeEmotionRequest.FromString(example.SerializeToString())
    with grpc.insecure_channel(address) as channel:
        response = EmotionServiceStub(channel).AnalyzeEmotion(request, timeout=DEADLINE_S)
    return [ModalityResult.State.Name(result.state) for result in response.modalities]


class Broken:
    """Makes broken calls of all methods that the server at `channel` has."""

    def __init__(self, channel: grpc.Channel) -> None:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool, known, draw = DescriptorPool(database), seeds.requests(), random.Random(0)
        self._calls: dict[MethodDescriptor, list[list[bytes]]] = {}
        for service in sorted(database.get_services()):
            for method in pool.FindServiceByName(service).methods:
                calls = known.get(f"{service}/{method.name}") or [
                    [_filled(method, draw)] for _ in range(N_FILLED)
                ]
                self._calls[method] = [[one.SerializeToString() for one in call] for call in calls]
        self._weights = [HEAVY.get(method.name, 1.0) for method in self._calls]

    def call(self, draw: random.Random) -> tuple[MethodDescriptor, list[bytes]]:
        """A method, and the messages to send it."""
        (method,) = draw.choices(list(self._calls), self._weights)
        return method, _broken(method, draw.choice(self._calls[method]), draw)


def _filled(method: MethodDescriptor, draw: random.Random) -> Message:
    message = GetMessageClass(method.input_type)()
    fill(message, draw)
    return message


def _broken(method: MethodDescriptor, call: list[bytes], draw: random.Random) -> list[bytes]:
    """The call with one message of it changed, or several; of a stream also their order."""
    call = list(call)
    for _ in range(draw.choice((1, 1, 1, 3))):
        at = draw.randrange(len(call))
        if draw.random() < 0.4:
            call[at] = mutate_bytes(call[at], draw)
            continue
        message = GetMessageClass(method.input_type)()
        try:
            message.ParseFromString(call[at])
        except DecodeError:  # broken before: broken again, as bytes
            call[at] = mutate_bytes(call[at], draw)
            continue
        mutate_field(message, draw)
        call[at] = message.SerializeToString()
    if method.client_streaming and draw.random() < 0.3:
        at, other = draw.randrange(len(call)), draw.randrange(len(call))
        call[at], call[other] = call[other], call[at]
        del call[draw.randrange(len(call)) + 1 :]
    return call


def send(
    channel: grpc.Channel, method: MethodDescriptor, call: list[bytes]
) -> grpc.RpcError | None:
    """Its error; None where it is answered, also where a stream is still open at its end."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    try:
        if method.client_streaming:
            for _ in channel.stream_stream(path)(iter(call), timeout=DEADLINE_S):
                pass
        elif method.server_streaming:
            for _ in channel.unary_stream(path)(call[0], timeout=LISTENING_S):
                pass
        else:
            channel.unary_unary(path)(call[0], timeout=DEADLINE_S)
    except grpc.RpcError as error:
        return error
    return None


@contextmanager
def _watching(server: Server, found: Found) -> Iterator[None]:
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_S):
            found.memory_mib.append((found.done, server.memory_mib()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _mean(found: Found, first: int, last: int) -> float:
    values = [mib for done, mib in found.memory_mib if first <= done < last]
    return sum(values) / max(len(values), 1)
