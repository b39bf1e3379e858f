"""Processes that are killed under load: each request ends in an answer or in an error of a kind.

Whether a request was lost the server's own log tells: what it says it answered must have come.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pyarrow.parquet as pq
from emotion.v1.call_pb2 import BatchAnalyzeCallsMetadata, BatchAnalyzeCallsRequest
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.longrunning.operations_pb2 import Operation
from google.protobuf.duration_pb2 import Duration
from grpc_status import rpc_status

from bench.faults import seeds
from bench.faults.malformed import good_call
from bench.faults.serving import Server, serving

CLIENTS, STREAMS, SEED = 8, 4, 20261124
SECONDS, KILL_EVERY_S = 8.0, 0.4
DEADLINE_S, FRAME_S = 30.0, 0.1
N_CALLS = 24
ALLOWED = ("OK", "UNAVAILABLE told")
UNTOLD = "untold"  # an error that is the client's own: nobody is there, or listens any more
STREAM = "emotion.v1.EmotionService/StreamCall"


@dataclass
class Load:
    """What the clients saw: outcomes by request id, an error's reason after its code."""

    outcomes: dict[str, str] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(self.outcomes.values()))

    def lost(self, server: Server) -> int:
        """Requests that never ended; those that the server let in (they are in its log), and whose
        client was told nothing; and those that it thinks it answered, and did not."""
        codes = {
            line.get("request_id"): line["code"]
            for line in server.lines()
            if line["event"] == "request"
        }
        untold = [
            one
            for one, outcome in self.outcomes.items()
            if one in codes
            and (outcome.endswith(UNTOLD) or (codes[one] == "OK") != (outcome == "OK"))
        ]
        return len(self.begun - self.outcomes.keys()) + len(untold)


def run() -> dict[str, Any]:
    """Figures by check; `passed` says whether nothing was lost in any."""
    found: dict[str, Any] = {}
    for check in (decoders_killed, server_killed, server_stopped, job_resumed):
        with tempfile.TemporaryDirectory() as folder:
            found[check.__name__] = check(Path(folder))
    return found | {"passed": all(one["passed"] for one in found.values())}


def decoders_killed(folder: Path, seconds: float = SECONDS) -> dict[str, Any]:
    """SIGKILL to one of the decoders' processes again and again."""
    with serving(folder) as server:
        draw, killed = random.Random(SEED), 0

        async def harm() -> None:
            nonlocal killed
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                await asyncio.sleep(KILL_EVERY_S)
                for pid in draw.sample(server.pids[1:], min(1, len(server.pids) - 1)):
                    os.kill(pid, signal.SIGKILL)
                    killed += 1

        load = asyncio.run(_under_load(server, harm))
        good, lost = good_call(server.address), load.lost(server)
        status = server.stop()
    return {
        "killed": killed,
        "outcomes": load.counts,
        "lost": lost,
        "good_call": good,
        "passed": killed > 0 == lost
        and set(load.counts) == {"OK"}  # a modality's state says what was lost
        and good == ["USED"] * 3
        and status == 0,
    }


def server_killed(folder: Path) -> dict[str, Any]:
    """SIGKILL to the server: its clients are told, and another one serves at once."""
    with serving(folder) as server:
        decoders: list[int] = []

        async def harm() -> None:
            await asyncio.sleep(SECONDS / 4)
            decoders.extend(server.pids[1:])
            server.process.kill()

        load = asyncio.run(_under_load(server, harm))
        lost = load.lost(server)
    with serving(folder) as again:
        good = good_call(again.address)
    return {
        "outcomes": load.counts,
        "lost": lost,
        "decoders": len(decoders),
        "decoders_left": sum(Path(f"/proc/{pid}").exists() for pid in decoders),
        "good_call": good,
        "passed": lost == 0
        and set(load.counts) == {"OK", f"UNAVAILABLE {UNTOLD}"}
        and good == ["USED"] * 3,
    }


def server_stopped(folder: Path) -> dict[str, Any]:
    """SIGTERM: what was accepted is answered, live calls get their summary; what comes later is
    refused, and in the last moment not taken from the network any more."""
    with serving(folder) as server:
        status: int | None = None

        async def harm() -> None:
            nonlocal status
            await asyncio.sleep(SECONDS / 4)
            status = await asyncio.to_thread(server.stop)

        load = asyncio.run(_under_load(server, harm))
        lost = load.lost(server)
        finished = any(line.get("finished") is True for line in server.lines())
    streams = [outcome for one, outcome in load.outcomes.items() if one.startswith("stream")]
    return {
        "outcomes": load.counts,
        "streams": dict(Counter(streams)),
        "lost": lost,
        "exit_status": status,
        "passed": lost == 0 == status
        and finished
        and set(streams) == {"OK"}
        and all(outcome in ALLOWED or outcome.endswith(UNTOLD) for outcome in load.counts),
    }


def job_resumed(folder: Path) -> dict[str, Any]:
    """SIGKILL in the middle of BatchAnalyzeCalls: the same request goes on at the next server."""
    calls, tables = folder / "calls", folder / "tables"
    calls.mkdir()
    for index in range(N_CALLS):
        (calls / f"{index}.wav").write_bytes(seeds.recording("wav"))
    roots = (f"call_roots={calls}", f"call_output_root={tables}")
    request = BatchAnalyzeCallsRequest(
        paths=["*.wav"], output="calls.parquet", single_speaker="CUSTOMER"
    )
    with serving(folder, *roots, "calls_at_once=1") as server:
        with grpc.insecure_channel(server.address) as channel:
            first = EmotionServiceStub(channel).BatchAnalyzeCalls(request)
            before = 0
            while not before:
                before = len(list((tables / "calls.parquet.parts").glob("*.arrow")))
        server.process.kill()
        server.process.wait()
    with serving(folder, *roots) as server, grpc.insecure_channel(server.address) as channel:
        operations = operations_pb2_grpc.OperationsStub(channel)
        told = operations.GetOperation(operations_pb2.GetOperationRequest(name=first.name))
        second = EmotionServiceStub(channel).BatchAnalyzeCalls(request)
        ended = operations.WaitOperation(
            operations_pb2.WaitOperationRequest(name=second.name, timeout=Duration(seconds=120))
        )
        status = server.stop()
    audio_s = _metadata(ended).scored_audio.ToNanoseconds() / 1e9
    rows = pq.read_table(tables / "calls.parquet").num_rows
    return {
        "scored_before": before,
        "code_of_the_first": told.error.code,
        "rows": rows,
        "seconds_scored_again": round(audio_s, 2),
        "passed": 0 < before < N_CALLS == rows
        and told.error.code == grpc.StatusCode.ABORTED.value[0]
        and ended.HasField("response")
        and audio_s < N_CALLS * seeds.SECONDS
        and status == 0,
    }


async def _under_load(server: Server, harm: Callable[[], Coroutine[Any, Any, None]]) -> Load:
    """Clients that call until the harm is done, and live calls that last as long."""
    load, harming = Load(), asyncio.create_task(harm())
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = EmotionServiceStub(channel)
        await asyncio.gather(
            *(_client(stub, load, harming) for _ in range(CLIENTS)),
            *(_live(stub, load, harming) for _ in range(STREAMS)),
        )
    await harming
    return load


async def _client(stub: EmotionServiceStub, load: Load, harming: asyncio.Task[None]) -> None:
    contents = seeds.requests()["emotion.v1.EmotionService/AnalyzeEmotion"]
    draw = random.Random(id(stub))
    while not harming.done():
        request = AnalyzeEmotionRequest.FromString(draw.choice(contents)[0].SerializeToString())
        request.request_id = f"unary-{uuid.uuid4()}"
        load.begun.add(request.request_id)
        try:
            await stub.AnalyzeEmotion(request, timeout=DEADLINE_S)
            load.outcomes[request.request_id] = "OK"
        except grpc.aio.AioRpcError as error:
            load.outcomes[request.request_id] = _kind(error)
            await asyncio.sleep(0.05)


async def _live(stub: EmotionServiceStub, load: Load, harming: asyncio.Task[None]) -> None:
    """One call at the pace of speech; OK where its summary came."""
    config, *frames = seeds.requests()[STREAM][0]
    config.config.request_id = request_id = f"stream-{uuid.uuid4()}"
    load.begun.add(request_id)
    stream, has_summary = stub.StreamCall(timeout=DEADLINE_S), False

    async def speak() -> None:
        await stream.write(config)
        while not harming.done():
            for frame in frames[:-1]:
                await stream.write(frame)
                await asyncio.sleep(FRAME_S)
        await stream.done_writing()

    speaking = asyncio.create_task(speak())
    try:
        async for response in stream:
            has_summary |= response.HasField("summary")
        load.outcomes[request_id] = "OK" if has_summary else "no summary"
    except grpc.aio.AioRpcError as error:
        load.outcomes[request_id] = _kind(error)
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)


def _kind(error: grpc.aio.AioRpcError) -> str:
    """The code, and whether the server said it or the client found out by itself."""
    status = rpc_status.from_call(error)
    return f"{error.code().name} {'told' if status else UNTOLD}"


def _metadata(operation: Operation) -> BatchAnalyzeCallsMetadata:
    found = BatchAnalyzeCallsMetadata()
    operation.metadata.Unpack(found)
    return found
