"""AlertService on a real gRPC server: a watch's alerts arrive at a client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from alert_sources import end
from emotion.v1.alert_service_pb2 import (
    Alert,
    AlertFilter,
    ListAlertsRequest,
    StreamAlertsRequest,
)
from emotion.v1.alert_service_pb2_grpc import AlertServiceStub

from server.alerts.alerting import Alerting
from server.alerts.log import MAX_WAITING, AlertLog
from server.alerts.service import ALERTS, AlertHandlers
from server.alerts.watch import WatchOptions
from server.alerts.webhook import Delivery, Poster
from server.errors import StateError
from server.rpc import Gate, service_handlers, subscription_handlers


def serving(
    log: AlertLog | None, gate: Gate, work: Callable[[AlertServiceStub], Awaitable[None]]
) -> None:
    async def main() -> None:
        server, handlers = grpc.aio.server(), AlertHandlers(log)
        server.add_generic_rpc_handlers(
            (
                service_handlers(ALERTS, {"ListAlerts": handlers.list_alerts}, gate),
                subscription_handlers(ALERTS, {"StreamAlerts": handlers.stream_alerts}, gate),
            )
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                await asyncio.wait_for(work(AlertServiceStub(channel)), 20)
        finally:
            await server.stop(0)

    asyncio.run(main())


def alert(number: int, **fields: object) -> Alert:
    return Alert(**{"id": f"a{number}", "kind": "SPIKE", "scope": "TAG", "name": "x", **fields})


def test_a_spike_arrives_at_a_client(tmp_path: Path) -> None:
    alerting = Alerting(tmp_path, WatchOptions(), Poster((), "", 1.0), Delivery())

    async def work(stub: AlertServiceStub) -> None:
        wanted = AlertFilter(kinds=[Alert.SPIKE], scopes=[Alert.TAG], names=["shoes"])
        stream = stub.StreamAlerts(StreamAlertsRequest(filter=wanted))
        await stream.initial_metadata()
        ending = threading.Thread(target=conversations)
        ending.start()
        got = await stream.read()
        ending.join()
        assert (got.kind, got.scope, got.name) == (Alert.SPIKE, Alert.TAG, "shoes")
        listed = await stub.ListAlerts(ListAlertsRequest(filter=wanted))
        assert list(listed.alerts) == [got]
        stream.cancel()

    def conversations() -> None:
        end(alerting.watch, 1000, 0.1, "shoes", seed=21)
        end(alerting.watch, 120, 0.4, "shoes", seed=2, first=1000)

    try:
        with pytest.raises(StateError, match="another server"):
            Alerting(tmp_path, WatchOptions(), Poster((), "", 1.0), Delivery())
        serving(alerting.log, Gate(4), work)
    finally:
        alerting.close()
    again = Alerting(tmp_path, WatchOptions(), Poster((), "", 1.0), Delivery())
    again.close()
    assert [alert.scope for alert in again.log.newest_first()] == [Alert.TAG, Alert.OVERALL]


def test_pages(tmp_path: Path) -> None:
    log = AlertLog(tmp_path / "alerts.jsonl")
    for number in range(5):
        log.add(alert(number, name="ab"[number % 2]))

    async def work(stub: AlertServiceStub) -> None:
        request, ids = ListAlertsRequest(page_size=2), []
        while True:
            page = await stub.ListAlerts(request)
            ids.append([one.id for one in page.alerts])
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert ids == [["a4", "a3"], ["a2", "a1"], ["a0"]]
        request = ListAlertsRequest(page_size=2, filter=AlertFilter(names=["a"]))
        page = await stub.ListAlerts(request)
        assert [one.id for one in page.alerts] == ["a4", "a2"]
        request.page_token = page.next_page_token
        page = await stub.ListAlerts(request)
        assert ([one.id for one in page.alerts], page.next_page_token) == (["a0"], "")
        for wrong in (ListAlertsRequest(page_size=-1), ListAlertsRequest(page_token="none")):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await stub.ListAlerts(wrong)
            assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    serving(log, Gate(4), work)


def test_a_client_that_is_too_slow_is_told(tmp_path: Path) -> None:
    log = AlertLog(tmp_path / "alerts.jsonl")

    async def work(stub: AlertServiceStub) -> None:
        stream = stub.StreamAlerts(StreamAlertsRequest())
        await stream.initial_metadata()
        for number in range(MAX_WAITING + 50):  # all at once: the loop sends none meanwhile
            log.add(alert(number))
        got: list[str] = []
        with pytest.raises(grpc.aio.AioRpcError) as error:
            while True:
                got.append((await stream.read()).id)
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert got == [f"a{number}" for number in range(MAX_WAITING)]

    serving(log, Gate(4), work)


def test_the_gate_bounds_streams_and_its_end_ends_them(tmp_path: Path) -> None:
    log, gate = AlertLog(tmp_path / "alerts.jsonl"), Gate(1)

    async def work(stub: AlertServiceStub) -> None:
        first = stub.StreamAlerts(StreamAlertsRequest())
        await first.initial_metadata()
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.StreamAlerts(StreamAlertsRequest()).read()
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await stub.ListAlerts(ListAlertsRequest())
        assert await gate.drain(10)
        assert await first.read() is grpc.aio.EOF
        assert await first.code() is grpc.StatusCode.OK

    serving(log, gate, work)


def test_a_server_that_watches_nothing_says_so() -> None:
    async def work(stub: AlertServiceStub) -> None:
        for call in (
            stub.ListAlerts(ListAlertsRequest()),
            stub.StreamAlerts(StreamAlertsRequest()).read(),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await call
            assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert "setting alerts" in (error.value.details() or "")

    serving(None, Gate(4), work)
