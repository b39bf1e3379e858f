"""From gRPC's raw bytes to a typed handler and back; errors become google.rpc.Status."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from modalities.errors import EmotionError, OverloadedError
from server.errors import StoppingError, reason_of, to_status
from server.logs import LOG, REQUEST
from server.observe import metrics
from server.observe.tracing import request_span
from server.security import guard
from server.streams import DRAIN_S, Note, Responses, Stream
from server.wire import parse

# Takes the parsed request and the deadline, a time.monotonic() or None.
Handler: TypeAlias = Callable[[Any, float | None], Awaitable[Message]]
StreamHandler: TypeAlias = Callable[[Stream], Awaitable[None]]
# Takes the parsed request and where its responses go; runs until it is cancelled.
Subscription: TypeAlias = Callable[[Any, Responses], Coroutine[Any, Any, None]]

Result = TypeVar("Result")

EXPECTED = (
    "INVALID_ARGUMENT",
    "FAILED_PRECONDITION",
    "NOT_FOUND",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
    "ABORTED",
)


class Gate:
    """Lets in a bounded number of requests of each method, so many bytes of all together, and none
    once the server stops; a unary one for at most `max_request_s`, whatever deadline it has.

    Not grpc's `maximum_concurrent_rpcs`, which would refuse health checks too.
    """

    def __init__(
        self, max_concurrent: int, max_request_s: float = 600.0, max_bytes: float = math.inf
    ) -> None:
        self.max_concurrent, self.max_request_s = max_concurrent, max_request_s
        self.max_bytes = max_bytes
        self.running: Counter[str] = Counter()
        self._n_bytes = 0
        self.closed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self, method: str, n_bytes: int = 0) -> None:
        """Raises StoppingError or OverloadedError; one that is alone has never too many bytes."""
        if self.closed.is_set():
            raise StoppingError
        if self.running[method] >= self.max_concurrent:
            raise OverloadedError(f"{self.max_concurrent} requests of {method} are running", 1.0)
        if self._n_bytes and self._n_bytes + n_bytes > self.max_bytes:
            raise OverloadedError("requests under way hold as many bytes as they may", 1.0)
        self.running[method] += 1
        self._n_bytes += n_bytes
        self._idle.clear()

    def leave(self, method: str, n_bytes: int = 0) -> None:
        self.running[method] -= 1
        self._n_bytes -= n_bytes
        if not self.running.total():
            self._idle.set()

    async def drain(self, within_s: float) -> bool:
        """Let nobody in any more; False where some are still running after `within_s`."""
        self.closed.set()
        try:
            await asyncio.wait_for(self._idle.wait(), within_s)
        except TimeoutError:
            return False
        return True


def unary_handlers(
    service: ServiceDescriptor, handlers: Mapping[str, Handler], gate: Gate
) -> dict[str, Any]:
    """gRPC's handlers of a service's unary methods by their names."""
    return {
        name: grpc.unary_unary_rpc_method_handler(
            _unary(service.methods_by_name[name], handler, gate)
        )
        for name, handler in handlers.items()
    }


def service_handlers(
    service: ServiceDescriptor, handlers: Mapping[str, Handler], gate: Gate
) -> grpc.GenericRpcHandler:
    """The same in one."""
    return grpc.method_handlers_generic_handler(
        service.full_name, unary_handlers(service, handlers, gate)
    )


def stream_handlers(
    service: ServiceDescriptor, handlers: Mapping[str, StreamHandler], gate: Gate, idle_s: float
) -> grpc.GenericRpcHandler:
    """Handlers of a service's bidirectional methods by their names; a stream that stands still
    for `idle_s` seconds, in either direction, ends with ABORTED."""
    return grpc.method_handlers_generic_handler(
        service.full_name,
        {
            name: grpc.stream_stream_rpc_method_handler(
                _streaming(service.methods_by_name[name], handler, gate, idle_s)
            )
            for name, handler in handlers.items()
        },
    )


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


def refusal(method: MethodDescriptor, streaming: bool, error: EmotionError) -> Any:
    """A handler that refuses a request before its body is read; of a client's stream it takes
    what is on its way, see `Stream.drain`."""

    async def work(*_: object) -> None:
        raise error

    async def serve(_requests: object, context: grpc.aio.ServicerContext) -> None:
        await _guarded(method, Gate(1), context, Note(), work)

    return grpc.stream_stream_rpc_method_handler(
        _streaming(method, work, Gate(1), DRAIN_S) if streaming else serve
    )


def _unary(method: MethodDescriptor, handler: Handler, gate: Gate) -> Callable[..., Any]:
    request_class = GetMessageClass(method.input_type)

    async def serve(raw: bytes, context: grpc.aio.ServicerContext) -> bytes | None:
        note, left_s = Note(n_bytes=len(raw)), context.time_remaining()
        within_s = gate.max_request_s if left_s is None else min(left_s, gate.max_request_s)
        deadline = time.monotonic() + within_s

        async def work() -> bytes:
            guard.take(len(raw))
            note.request = parse(request_class, raw)
            async with asyncio.timeout(within_s):
                response = await handler(note.request, deadline)
            return response.SerializeToString()

        return await _guarded(method, gate, context, note, work)

    return serve


def _streaming(
    method: MethodDescriptor, handler: StreamHandler, gate: Gate, idle_s: float
) -> Callable[..., Any]:
    request_class = GetMessageClass(method.input_type)

    async def serve(_requests: object, context: grpc.aio.ServicerContext) -> None:
        note = Note()
        stream = Stream(context, request_class, note, gate.closed, idle_s)
        try:
            await _guarded(method, gate, context, note, lambda: handler(stream), stream.drain)
        finally:
            await stream.close()

    return serve


def _subscription(
    method: MethodDescriptor, handler: Subscription, gate: Gate
) -> Callable[..., Any]:
    request_class = GetMessageClass(method.input_type)

    async def serve(raw: bytes, context: grpc.aio.ServicerContext) -> None:
        note = Note(n_bytes=len(raw))

        async def work() -> None:
            guard.take(len(raw))
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

        await _guarded(method, gate, context, note, work)

    return serve


async def _guarded(
    method: MethodDescriptor,
    gate: Gate,
    context: grpc.aio.ServicerContext,
    note: Note,
    work: Callable[[], Awaitable[Result]],
    before_abort: Callable[[], Awaitable[None]] | None = None,
) -> Result:
    """The result of `work`; one line in the log, and an error as its status."""
    started = time.monotonic()
    note.span = request_span(method.containing_service.full_name, method.name, context)
    REQUEST.set(note)
    n_bytes = note.n_bytes  # of a stream it grows
    try:
        gate.enter(method.name, n_bytes)
        try:
            result = await work()
        finally:
            gate.leave(method.name, n_bytes)
        _log(method, note, started, "OK")
        return result
    except asyncio.CancelledError:  # the client gave up, or its deadline passed
        _log(method, note, started, "CANCELLED")
        raise
    except Exception as error:
        details = to_status(error, note.request_id)
        status = rpc_status.to_status(details)
        code, reason = status.code.name, reason_of(details)
        _log(method, note, started, code, None if code in EXPECTED else error, reason)
    if before_abort is not None:
        await before_abort()
    await context.abort_with_status(status)
    raise AssertionError("abort raises")


def _log(
    method: MethodDescriptor,
    note: Note,
    started: float,
    code: str,
    error: Exception | None = None,
    reason: str = "",
) -> None:
    """One line in the log, the request in the metrics, and the end of its span."""
    seconds = time.monotonic() - started
    LOG.log(
        logging.INFO if error is None else logging.ERROR,
        "request",
        exc_info=error,
        extra={
            "method": method.name,
            "request_id": note.request_id[:64],
            "code": code,
            "bytes": note.n_bytes,
            "seconds": round(seconds, 4),
            **guard.caller_note(),
        },
    )
    metrics.request_ended(method.name, code, reason, seconds)
    if note.span is not None:
        note.span.end(grpc.StatusCode[code].value[0], code, note.request_id[:64])
