"""StreamCall's requests, and its handler on a port in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import grpc
import pytest
from emotion.v1.call_pb2 import StreamCallConfig, StreamCallRequest, StreamCallResponse
from emotion.v1.conversation_pb2 import Message
from emotion.v1.emotion_service_pb2 import DESCRIPTOR
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub
from emotion.v1.types_pb2 import Role
from server_process import in_process

from server.calls.live import LiveCalls
from server.models import Models
from server.pipeline import Pipeline
from server.rpc import Gate, stream_handlers
from server.settings import Settings

SERVICE = DESCRIPTOR.services_by_name["EmotionService"]
CHUNK = 320  # 20 ms of two channels of μ-law


def config(**fields: object) -> StreamCallRequest:
    known = {
        "encoding": StreamCallConfig.MULAW,
        "sample_rate_hz": 8_000,
        "channel_roles": [Role.CUSTOMER, Role.AGENT],
    }
    return StreamCallRequest(config=StreamCallConfig(**{**known, **fields}))


def audio(content: bytes) -> StreamCallRequest:
    return StreamCallRequest(audio=content)


def message(**fields: object) -> StreamCallRequest:
    return StreamCallRequest(message=Message(**fields))


def chunks(content: bytes, size: int = CHUNK) -> list[StreamCallRequest]:
    return [audio(content[start : start + size]) for start in range(0, len(content), size)]


def final(responses: Iterable[StreamCallResponse]) -> list:
    return [r.utterance for r in responses if r.HasField("utterance") and r.utterance.is_final]


class Live:
    """LiveCalls on a port in this process."""

    def __init__(self, pipeline: Pipeline, gate: Gate, stub: EmotionServiceStub) -> None:
        self.pipeline, self.gate, self.stub = pipeline, gate, stub

    @property
    def n_running(self) -> int:
        return self.gate.running["StreamCall"]

    async def until_free(self) -> None:
        while self.n_running:
            await asyncio.sleep(0.01)


def live(loaded: Models, work: Callable[[Live], Awaitable[None]], **settings: object) -> None:
    async def serve(pipeline: Pipeline) -> None:
        gate, server = Gate(pipeline.settings.max_streams), grpc.aio.server()
        handlers = {"StreamCall": LiveCalls(pipeline).stream_call}
        idle_s = pipeline.settings.stream_idle_s
        server.add_generic_rpc_handlers((stream_handlers(SERVICE, handlers, gate, idle_s),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                await asyncio.wait_for(work(Live(pipeline, gate, EmotionServiceStub(channel))), 60)
        finally:
            await server.stop(0)

    in_process(loaded, serve, Settings(**settings))


async def ended(call: grpc.aio.StreamStreamCall) -> tuple[list[StreamCallResponse], grpc.RpcError]:
    responses: list[StreamCallResponse] = []
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for response in call:
            responses.append(response)  # noqa: PERF401 - what came before the error counts
    return responses, raised.value
