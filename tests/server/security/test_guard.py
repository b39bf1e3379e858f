"""The guard on a real gRPC server, with handlers made for the purpose."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Unpack

import grpc
import pytest
from emotion.v1.call_pb2 import StreamCallRequest, StreamCallResponse
from emotion.v1.emotion_service_pb2 import (
    DESCRIPTOR,
    AnalyzeConversationRequest,
    AnalyzeConversationResponse,
    AnalyzeEmotionRequest,
    AnalyzeEmotionResponse,
)
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub
from google.longrunning import operations_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from server import client
from server.rpc import Gate, refusal, service_handlers, stream_handlers
from server.security import guard
from server.security.guard import Guard
from server.security.quota import Bucket
from server.security.scopes import SCOPES, Scope
from server.security.tokens import TokenFile, Tokens
from server.streams import Stream

PROTO = Path(__file__).parents[3] / "proto" / "emotion" / "v1"
Work = Callable[[EmotionServiceStub, str], Awaitable[None]]


def serving(tokens: Tokens, work: Work, **access: Unpack[client.Access]) -> None:
    """A server whose unary method says who called; `work` has a stub, and its address."""

    async def analyze(_: AnalyzeEmotionRequest, _deadline: float | None) -> AnalyzeEmotionResponse:
        caller = guard.caller()
        assert caller is not None
        return AnalyzeEmotionResponse(request_id=caller.id)

    async def endless(_: object, _deadline: float | None) -> AnalyzeConversationResponse:
        return await asyncio.Event().wait()

    async def stream(stream: Stream) -> None:
        while await stream.read() is not None:
            await stream.send(StreamCallResponse())

    async def main() -> None:
        server = grpc.aio.server(
            interceptors=[Guard(tokens, refusal)],
            options=[("grpc.max_receive_message_length", -1)],
        )
        service, gate = DESCRIPTOR.services_by_name["EmotionService"], Gate(10, max_request_s=1.0)
        unary = {"AnalyzeEmotion": analyze, "AnalyzeConversation": endless}
        server.add_generic_rpc_handlers(
            (
                service_handlers(service, unary, gate),
                stream_handlers(service, {"StreamCall": stream}, gate, 10.0),
            )
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            address = f"127.0.0.1:{port}"
            async with client.aio_channel(address, **access) as channel:
                await work(EmotionServiceStub(channel), address)
        finally:
            await server.stop(0)

    asyncio.run(main())


@pytest.fixture
def file(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "tokens.json")


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def test_every_method_of_every_service_needs_a_scope() -> None:
    files = [importlib.import_module(f"emotion.v1.{p.stem}_pb2") for p in PROTO.glob("*.proto")]
    methods = {
        method.full_name
        for file in (*files, operations_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    reflection = {name for name in SCOPES if name.startswith("grpc.reflection.")}
    assert methods == SCOPES.keys() - reflection


def test_the_handler_knows_who_calls(file: TokenFile) -> None:
    token, secret = file.create("desk", [Scope.ANALYZE])

    async def work(stub: EmotionServiceStub, _: str) -> None:
        answer = await stub.AnalyzeEmotion(AnalyzeEmotionRequest(), metadata=bearer(secret))
        assert answer.request_id == token.id

    serving(Tokens(file), work)


def test_a_client_sends_its_token_within_this_machine(file: TokenFile) -> None:
    token, secret = file.create("desk", [Scope.ANALYZE])

    async def work(stub: EmotionServiceStub, address: str) -> None:
        assert (await stub.AnalyzeEmotion(AnalyzeEmotionRequest())).request_id == token.id
        call = stub.StreamCall()
        await call.write(StreamCallRequest(audio=b"\0"))
        assert isinstance(await call.read(), StreamCallResponse)
        await call.done_writing()
        answer = await asyncio.to_thread(
            client.analyze, address, AnalyzeEmotionRequest(), 30.0, token=secret
        )
        assert answer.request_id == token.id

    serving(Tokens(file), work, token=secret)


def test_a_method_without_a_scope_is_refused(
    file: TokenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = file.create("root", [Scope.ADMIN])
    monkeypatch.setattr(guard, "SCOPES", {})

    async def work(stub: EmotionServiceStub, _: str) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.AnalyzeEmotion(AnalyzeEmotionRequest(), metadata=bearer(secret))
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED

    serving(Tokens(file), work)


def test_a_body_is_not_read_before_the_token(file: TokenFile) -> None:
    file.create("desk", [Scope.ANALYZE])
    request = AnalyzeEmotionRequest()
    request.audio.content = bytes(64 << 20)

    async def work(stub: EmotionServiceStub, _: str) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.AnalyzeEmotion(request)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert rpc_status.from_call(refused.value) is not None

    serving(Tokens(file), work)


def test_a_stream_is_refused_with_its_reason(file: TokenFile) -> None:
    file.create("desk", [Scope.ANALYZE])

    async def work(stub: EmotionServiceStub, _: str) -> None:
        call = stub.StreamCall()  # without a token
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.write(StreamCallRequest(audio=bytes(3200)))
            await call.read()
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED

    serving(Tokens(file), work)


def test_a_stream_ends_when_its_token_is_revoked(
    file: TokenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.security.tokens.FOLLOW_S", 0.0)
    token, secret = file.create("desk", [Scope.ANALYZE])

    async def work(stub: EmotionServiceStub, _: str) -> None:
        call = stub.StreamCall(metadata=bearer(secret))
        await call.write(StreamCallRequest(audio=b"\0"))
        assert isinstance(await call.read(), StreamCallResponse)
        file.revoke(token.id)
        await call.write(StreamCallRequest(audio=b"\0"))
        await call.done_writing()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call.read()
        assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED

    serving(Tokens(file), work)


def test_a_request_ends_whatever_deadline_it_has(file: TokenFile) -> None:
    _, secret = file.create("desk", [Scope.ANALYZE])

    async def work(stub: EmotionServiceStub, _: str) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await stub.AnalyzeConversation(AnalyzeConversationRequest())
        assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    serving(Tokens(file), work, token=secret)


@pytest.mark.parametrize(("quota", "n_served"), [("requests_per_minute", 2), ("bytes_per_day", 1)])
def test_a_quota_says_when_to_come_back(file: TokenFile, quota: str, n_served: int) -> None:
    _, secret = file.create("desk", [Scope.ANALYZE], **{quota: 2})
    request = AnalyzeEmotionRequest(request_id="of more than two bytes")

    async def work(stub: EmotionServiceStub, _: str) -> None:
        for _ in range(n_served):
            await stub.AnalyzeEmotion(request, metadata=bearer(secret))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.AnalyzeEmotion(request, metadata=bearer(secret))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        status = rpc_status.from_call(refused.value)
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        assert status.details[0].Unpack(info)
        assert info.reason == "QUOTA_EXCEEDED"
        assert status.details[1].Unpack(retry)
        assert retry.retry_delay.ToMilliseconds() > 0

    serving(Tokens(file), work)


def test_a_bucket_refills_and_pays_its_debt() -> None:
    now = 0.0
    bucket = Bucket(60, 60.0, clock=lambda: now)
    bucket.take(90)
    assert bucket.wait_s() == pytest.approx(31)
    now = 31.5
    assert bucket.wait_s() == 0
    now = 1000.0
    assert bucket.wait_s() == 0
    bucket.take(60)  # never more than full
    assert bucket.wait_s() > 0
