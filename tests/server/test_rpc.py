"""The gate and the error mapping, on a real gRPC server with handlers made for the purpose."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import grpc
import pytest
from emotion.v1.emotion_service_pb2 import (
    DESCRIPTOR,
    AnalyzeConversationRequest,
    AnalyzeConversationResponse,
    AnalyzeEmotionRequest,
    AnalyzeEmotionResponse,
)
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from server.rpc import Gate, Handler, service_handlers


def serving(
    handlers: dict[str, Handler], gate: Gate, work: Callable[[EmotionServiceStub], Awaitable[None]]
) -> Awaitable[None]:
    async def main() -> None:
        server = grpc.aio.server()
        service = DESCRIPTOR.services_by_name["EmotionService"]
        server.add_generic_rpc_handlers((service_handlers(service, handlers, gate),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                await work(EmotionServiceStub(channel))
        finally:
            await server.stop(0)

    return main()


def slow_and_free(entered: asyncio.Event, leave: asyncio.Event) -> dict[str, Handler]:
    """Of a method that waits for `leave` once it is `entered`, and of one that does not."""

    async def slow(request: AnalyzeEmotionRequest, _: float | None) -> AnalyzeEmotionResponse:
        entered.set()
        await leave.wait()
        return AnalyzeEmotionResponse(request_id=request.request_id)

    async def free(
        _request: AnalyzeConversationRequest, _: float | None
    ) -> AnalyzeConversationResponse:
        return AnalyzeConversationResponse()

    return {"AnalyzeEmotion": slow, "AnalyzeConversation": free}


def test_the_gate_bounds_a_method_and_not_the_others() -> None:
    async def main() -> None:
        gate, entered, leave = Gate(1), asyncio.Event(), asyncio.Event()

        async def work(stub: EmotionServiceStub) -> None:
            first = stub.AnalyzeEmotion(AnalyzeEmotionRequest(request_id="first"))
            await entered.wait()
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.AnalyzeEmotion(AnalyzeEmotionRequest())
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            status = rpc_status.from_call(refused.value)
            assert status is not None
            assert status.details[1].Is(error_details_pb2.RetryInfo.DESCRIPTOR)
            await stub.AnalyzeConversation(AnalyzeConversationRequest())

            draining = asyncio.create_task(gate.drain(10))
            await asyncio.sleep(0)
            with pytest.raises(grpc.aio.AioRpcError) as stopping:
                await stub.AnalyzeConversation(AnalyzeConversationRequest())
            assert stopping.value.code() is grpc.StatusCode.UNAVAILABLE
            leave.set()
            assert (await first).request_id == "first"
            assert await draining

        await serving(slow_and_free(entered, leave), gate, work)

    asyncio.run(main())


def test_the_gate_bounds_the_bytes_of_all_methods_together() -> None:
    async def main() -> None:
        gate, entered, leave = Gate(9, max_bytes=900), asyncio.Event(), asyncio.Event()

        async def work(stub: EmotionServiceStub) -> None:
            large = AnalyzeConversationRequest(request_id="x" * 800)
            await stub.AnalyzeConversation(AnalyzeConversationRequest(request_id="x" * 1000))
            first = stub.AnalyzeEmotion(AnalyzeEmotionRequest(request_id="x" * 600))
            await entered.wait()
            await stub.AnalyzeConversation(AnalyzeConversationRequest())
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.AnalyzeConversation(large)
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            leave.set()
            await first
            await stub.AnalyzeConversation(large)

        await serving(slow_and_free(entered, leave), gate, work)

    asyncio.run(main())


def test_a_drain_that_takes_too_long_says_so() -> None:
    async def main() -> bool:
        gate = Gate(1)
        gate.enter("AnalyzeEmotion")
        return await gate.drain(0.01)

    assert asyncio.run(main()) is False


def test_a_client_that_gives_up_ends_the_handler() -> None:
    async def main() -> None:
        gate, entered, ended = Gate(1), asyncio.Event(), asyncio.Event()

        async def endless(_request: AnalyzeEmotionRequest, _: float | None) -> None:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async def work(stub: EmotionServiceStub) -> None:
            call = stub.AnalyzeEmotion(AnalyzeEmotionRequest())
            await entered.wait()
            call.cancel()
            await asyncio.wait_for(ended.wait(), 10)
            assert await gate.drain(10)

        await serving({"AnalyzeEmotion": endless}, gate, work)

    asyncio.run(main())


def test_an_unexpected_error_tells_its_id_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def failing(_request: AnalyzeEmotionRequest, _: float | None) -> None:
            raise ValueError("what the customer wrote")

        async def work(stub: EmotionServiceStub) -> None:
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await stub.AnalyzeEmotion(AnalyzeEmotionRequest(request_id="id-7"))
            assert failed.value.code() is grpc.StatusCode.INTERNAL
            assert failed.value.details() == "internal error; request_id id-7"

        await serving({"AnalyzeEmotion": failing}, Gate(1), work)

    from server.logs import JsonFormatter

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    (record,) = [r for r in caplog.records if r.getMessage() == "request"]
    line = JsonFormatter().format(record)
    assert '"request_id": "id-7"' in line
    assert '"error": "ValueError"' in line
    assert "test_rpc" in line
    assert "what the customer wrote" not in line
