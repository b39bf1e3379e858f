"""From gRPC's raw bytes to a typed handler and back; errors become google.rpc.Status."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from modalities.errors import OverloadedError
from server.errors import StoppingError, to_status
from server.logs import LOG
from server.wire import parse

# Takes the parsed request and the deadline, a time.monotonic() or None.
Handler: TypeAlias = Callable[[Any, float | None], Awaitable[Message]]

EXPECTED = ("INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED")


class Gate:
    """Lets in a bounded number of requests of each method, and none once the server stops.

    Not grpc's `maximum_concurrent_rpcs`, which would refuse health checks too.
    """

    def __init__(self, max_concurrent: int) -> None:
        self.max_concurrent = max_concurrent
        self.running: Counter[str] = Counter()
        self._open = True
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self, method: str) -> None:
        """Raises StoppingError or OverloadedError."""
        if not self._open:
            raise StoppingError
        if self.running[method] >= self.max_concurrent:
            raise OverloadedError(f"{self.max_concurrent} requests of {method} are running", 1.0)
        self.running[method] += 1
        self._idle.clear()

    def leave(self, method: str) -> None:
        self.running[method] -= 1
        if not self.running.total():
            self._idle.set()

    async def drain(self, within_s: float) -> bool:
        """Let nobody in any more; False where some are still running after `within_s`."""
        self._open = False
        try:
            await asyncio.wait_for(self._idle.wait(), within_s)
        except TimeoutError:
            return False
        return True


def service_handlers(
    service: ServiceDescriptor, handlers: Mapping[str, Handler], gate: Gate
) -> grpc.GenericRpcHandler:
    """Handlers of a service's unary methods by their names."""
    return grpc.method_handlers_generic_handler(
        service.full_name,
        {
            name: grpc.unary_unary_rpc_method_handler(
                _unary(service.methods_by_name[name], handler, gate)
            )
            for name, handler in handlers.items()
        },
    )


def _unary(method: MethodDescriptor, handler: Handler, gate: Gate) -> Callable[..., Any]:
    request_class = GetMessageClass(method.input_type)

    async def serve(raw: bytes, context: grpc.aio.ServicerContext) -> bytes:
        started = time.monotonic()
        left_s = context.time_remaining()
        request: Any = None
        try:
            gate.enter(method.name)
            try:
                request = parse(request_class, raw)
                deadline = None if left_s is None else started + left_s
                response = await handler(request, deadline)
                _log(method, request, started, "OK", len(raw))
                return response.SerializeToString()
            finally:
                gate.leave(method.name)
        except asyncio.CancelledError:  # the client gave up, or its deadline passed
            _log(method, request, started, "CANCELLED", len(raw))
            raise
        except Exception as error:
            status = to_status(error, getattr(request, "request_id", ""))
            code = rpc_status.to_status(status).code.name
            _log(method, request, started, code, len(raw), None if code in EXPECTED else error)
        await context.abort_with_status(rpc_status.to_status(status))
        raise AssertionError("abort raises")

    return serve


def _log(
    method: MethodDescriptor,
    request: Any,
    started: float,
    code: str,
    size: int,
    error: Exception | None = None,
) -> None:
    LOG.log(
        logging.INFO if error is None else logging.ERROR,
        "request",
        exc_info=error,
        extra={
            "method": method.name,
            "request_id": getattr(request, "request_id", "")[:64],
            "code": code,
            "bytes": size,
            "seconds": round(time.monotonic() - started, 4),
        },
    )
