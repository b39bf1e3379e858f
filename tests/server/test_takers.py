"""Takers on a real gRPC server: calls come in together, and nothing else about them changes."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
import pytest
from emotion.v1.emotion_service_pb2 import (
    DESCRIPTOR,
    AnalyzeEmotionRequest,
    AnalyzeEmotionResponse,
)
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub

from server import takers
from server.rpc import Gate, Handler, unary_handlers
from server.takers import Takers

EMOTION = DESCRIPTOR.services_by_name["EmotionService"]
N_TAKERS = 8


async def answering(request: AnalyzeEmotionRequest, _: float | None) -> AnalyzeEmotionResponse:
    await asyncio.sleep(0.001)
    return AnalyzeEmotionResponse(request_id=request.request_id)


def serving(
    work: Callable[[str], Awaitable[None]],
    handler: Handler = answering,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
) -> None:
    """`work` with the address of a server with takers, which all end with it."""

    async def main() -> None:
        server = grpc.aio.server(interceptors=interceptors)
        taking = Takers(server, interceptors)
        taking.add(
            EMOTION.full_name, unary_handlers(EMOTION, {"AnalyzeEmotion": handler}, Gate(99))
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        tasks = taking.start(N_TAKERS)
        try:
            await work(f"127.0.0.1:{port}")
        finally:
            await server.stop(0)
            await asyncio.wait_for(asyncio.gather(*tasks), 10)

    asyncio.run(main())


async def call(stub: EmotionServiceStub, name: str) -> AnalyzeEmotionResponse:
    response: AnalyzeEmotionResponse = await stub.AnalyzeEmotion(
        AnalyzeEmotionRequest(request_id=name), timeout=10
    )
    return response


def test_the_installed_grpcio_is_known() -> None:
    assert grpc.__version__.startswith(takers.KNOWN), (
        "read AnalyzeEmotion's way through the new grpcio's AioServer, then add its version"
    )


@pytest.mark.parametrize("known", [takers.KNOWN, ("0.",)])
def test_all_calls_are_answered(known: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takers, "KNOWN", known)

    async def work(address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            names = [f"call-{number}" for number in range(20 * N_TAKERS)]
            answers = await asyncio.gather(*(call(EmotionServiceStub(channel), n) for n in names))
            assert [answer.request_id for answer in answers] == names

    serving(work)


class Turns(grpc.aio.ServerInterceptor):
    """Notes in which turn of the event loop each call came in."""

    def __init__(self) -> None:
        self.now, self.of_calls = 0, list[int]()

    def count(self) -> None:
        self.now += 1
        asyncio.get_running_loop().call_soon(self.count)

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        self.of_calls.append(self.now)
        return await continuation(details)


@pytest.mark.parametrize(("known", "together"), [(takers.KNOWN, True), (("0.",), False)])
def test_calls_that_wait_come_in_together(
    known: tuple[str, ...], together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takers, "KNOWN", known)
    turns = Turns()

    async def work(address: str) -> None:
        with grpc.insecure_channel(address) as channel:
            stub, answers = EmotionServiceStub(channel), list[Any]()

            def send() -> None:
                grpc.channel_ready_future(channel).result(10)
                answers.extend(
                    stub.AnalyzeEmotion.future(AnalyzeEmotionRequest(), timeout=10)
                    for _ in range(N_TAKERS)
                )

            sending = threading.Thread(target=send)
            await asyncio.sleep(0.1)  # until the takers have asked
            sending.start()
            sending.join()
            time.sleep(0.5)  # the loop is busy while the calls arrive
            turns.count()
            await asyncio.to_thread(lambda: [answer.result() for answer in answers])

    serving(work, interceptors=[turns])
    assert len(turns.of_calls) == N_TAKERS
    n_turns = len(set(turns.of_calls))
    assert n_turns <= 3 if together else n_turns == N_TAKERS


class Refusing(grpc.aio.ServerInterceptor):
    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        async def refuse(_request: Any, context: grpc.aio.ServicerContext) -> None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "nobody")

        return grpc.unary_unary_rpc_method_handler(refuse)


def test_no_call_passes_by_an_interceptor() -> None:
    async def work(address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            stub = EmotionServiceStub(channel)
            for _ in range(2):
                found = await asyncio.gather(
                    *(call(stub, "x") for _ in range(3 * N_TAKERS)), return_exceptions=True
                )
                codes = {one.code() for one in found if isinstance(one, grpc.aio.AioRpcError)}
                assert codes == {grpc.StatusCode.UNAUTHENTICATED}
                assert not any(isinstance(one, AnalyzeEmotionResponse) for one in found)

    serving(work, interceptors=[Refusing()])


def test_takers_go_on_after_calls_that_fail_or_are_cancelled() -> None:
    begun = 0

    async def handler(request: AnalyzeEmotionRequest, _: float | None) -> AnalyzeEmotionResponse:
        nonlocal begun
        begun += 1
        if request.request_id == "fails":
            raise RuntimeError("on purpose")
        if request.request_id == "hangs":
            await asyncio.Event().wait()
        return AnalyzeEmotionResponse(request_id=request.request_id)

    async def work(address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            stub = EmotionServiceStub(channel)
            for name in ("fails", "hangs"):
                n_before = begun
                calls = [asyncio.create_task(call(stub, name)) for _ in range(3 * N_TAKERS)]
                async with asyncio.timeout(10):
                    while begun < n_before + len(calls):
                        await asyncio.sleep(0.01)
                if name == "hangs":
                    for one in calls:
                        one.cancel()
                found = await asyncio.gather(*calls, return_exceptions=True)
                assert not any(isinstance(one, AnalyzeEmotionResponse) for one in found)
            answers = await asyncio.gather(*(call(stub, "works") for _ in range(3 * N_TAKERS)))
            assert {answer.request_id for answer in answers} == {"works"}

    serving(work, handler)


def test_a_taker_that_waits_holds_nothing_of_its_last_call() -> None:
    class Content:
        pass

    seen: list[weakref.ref[Content]] = []

    class Aborting(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            async def abort(_request: Any, context: grpc.aio.ServicerContext) -> None:
                content = Content()  # which the traceback of what abort raises holds
                seen.append(weakref.ref(content))
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "on purpose")

            return grpc.unary_unary_rpc_method_handler(abort)

    async def work(address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            stub = EmotionServiceStub(channel)
            calls = (call(stub, "x") for _ in range(3 * N_TAKERS))
            await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.sleep(0.5)
        gc.collect()
        assert len(seen) == 3 * N_TAKERS
        n_held = sum(content() is not None for content in seen)
        assert n_held <= 2, "more than grpc.aio's own loop holds, with its last call"

    serving(work, interceptors=[Aborting()])
