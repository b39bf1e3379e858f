"""AlertService: handlers, and how a server-streaming method is served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

import grpc
from emotion.v1.alert_service_pb2 import (
    DESCRIPTOR,
    ListAlertsRequest,
    ListAlertsResponse,
    StreamAlertsRequest,
)
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from modalities.errors import InputError, OverloadedError
from server.alerts.log import AlertLog, matches
from server.errors import IdleError, StateError
from server.rpc import Gate, Note, guarded
from server.wire import parse

ALERTS = DESCRIPTOR.services_by_name["AlertService"]
PAGE_SIZE, MAX_PAGE_SIZE = 20, 100
RETRY_AFTER_S = 1.0

SEND_S = 60.0  # that a client may take for one alert

# Takes the parsed request and where its responses go; runs until it is cancelled.
Subscription: TypeAlias = Callable[[Any, "Responses"], Coroutine[Any, Any, None]]


class AlertHandlers:
    """`log` is None where nothing is watched."""

    def __init__(self, log: AlertLog | None) -> None:
        self._log = log

    async def list_alerts(self, request: ListAlertsRequest, _: float | None) -> ListAlertsResponse:
        """A page token is the id of the last alert of the page before. Raises InputError."""
        if request.page_size < 0:
            raise InputError("a page size is not negative", "page_size")
        alerts = self._known().newest_first()
        if request.page_token:
            ids = [alert.id for alert in alerts]
            if request.page_token not in ids:
                raise InputError("not a token that this service gave, or too old", "page_token")
            alerts = alerts[ids.index(request.page_token) + 1 :]
        found = [alert for alert in alerts if matches(alert, request.filter)]
        page = found[: min(request.page_size or PAGE_SIZE, MAX_PAGE_SIZE)]
        more = len(found) > len(page)
        return ListAlertsResponse(alerts=page, next_page_token=page[-1].id if more else "")

    async def stream_alerts(self, request: StreamAlertsRequest, responses: Responses) -> None:
        """Raises OverloadedError where the client takes them too slowly."""
        with self._known().listening() as listener:
            await responses.open()
            while True:
                alert = await listener.alerts.get()
                if matches(alert, request.filter):
                    await responses.send(alert)
                if listener.overrun and listener.alerts.empty():
                    raise OverloadedError("alerts were not taken in time", RETRY_AFTER_S)

    def _known(self) -> AlertLog:
        """Raises StateError."""
        if self._log is None:
            raise StateError(
                "this server watches no conversations", "start it with the setting alerts"
            )
        return self._log


class Responses:
    """The server's side of one server-streaming call."""

    def __init__(self, context: grpc.aio.ServicerContext) -> None:
        self._context = context

    async def open(self) -> None:
        """Tell the client, by the initial metadata, that it is served."""
        await self._context.send_initial_metadata(())

    async def send(self, response: Message) -> None:
        """Raises IdleError where the client does not take it for too long."""
        try:
            async with asyncio.timeout(SEND_S):
                await self._context.write(response.SerializeToString())
        except TimeoutError:
            raise IdleError(f"no answer was taken for {SEND_S:g} seconds") from None


def subscription_handlers(
    service: ServiceDescriptor, handlers: Mapping[str, Subscription], gate: Gate
) -> grpc.GenericRpcHandler:
    """Handlers of a service's server-streaming methods by their names; a stream ends when the
    server stops."""
    return grpc.method_handlers_generic_handler(
        service.full_name,
        {
            name: grpc.unary_stream_rpc_method_handler(
                _subscription(service.methods_by_name[name], handler, gate)
            )
            for name, handler in handlers.items()
        },
    )


def _subscription(
    method: MethodDescriptor, handler: Subscription, gate: Gate
) -> Callable[..., Any]:
    request_class = GetMessageClass(method.input_type)

    async def serve(raw: bytes, context: grpc.aio.ServicerContext) -> None:
        note = Note(n_bytes=len(raw))

        async def work() -> None:
            note.request = parse(request_class, raw)
            serving = asyncio.create_task(handler(note.request, Responses(context)))
            closing = asyncio.create_task(gate.closed.wait())
            try:
                await asyncio.wait({serving, closing}, return_when=asyncio.FIRST_COMPLETED)
                if serving.done():
                    serving.result()
            finally:
                serving.cancel()
                closing.cancel()
                await asyncio.gather(serving, closing, return_exceptions=True)

        await guarded(method, gate, context, note, work)

    return serve
