"""Many calls of a method taken at once.

grpc.aio takes call after call, and from one to the next the event loop goes round five times. While
each round answers other callers, few calls are under way together, and batches stay small. Here
each of many takers asks gRPC for a call, sees it through, and asks for the next; a call that finds
none free is taken by grpc.aio as ever, or waits in gRPC's own queue.

Takers are made of private parts of grpcio, as its own loop is (`AioServer._server_main_loop`), so
only with versions where these are known. With others calls come in one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from grpc._cython import cygrpc

from server.logs import LOG

KNOWN = ("1.85.",)  # versions of grpcio, by what they begin with


class Takers:
    """Of a server with these interceptors, which has not started."""

    def __init__(
        self, server: grpc.aio.Server, interceptors: Sequence[grpc.aio.ServerInterceptor]
    ) -> None:
        self._server, self._interceptors = server, tuple(interceptors)
        self._handlers: dict[str, Any] = {}

    def add(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Serve these methods, whose calls are the many; they wait apart from all others."""
        self._server.add_registered_method_handlers(service, dict(handlers))
        self._handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    def start(self, n: int) -> list[asyncio.Task[None]]:
        """`n` takers for each method, once the server has started; they end when it stops."""
        if not grpc.__version__.startswith(KNOWN):
            LOG.warning("calls are taken one by one", extra={"grpcio": grpc.__version__})
            return []
        resolver = cygrpc._MethodResolver([], self._handlers)
        return [
            asyncio.create_task(self._take(method, resolver))
            for method in self._handlers
            for _ in range(n)
        ]

    async def _take(self, method: str, resolver: Any) -> None:
        server, loop = self._server._server, asyncio.get_running_loop()
        while server.is_running():
            try:
                call = await server._request_registered_call(method.encode())
            except cygrpc._RequestCallError:  # the server stops, or the call is gone already
                continue
            handling = cygrpc._handle_rpc(method, resolver, self._interceptors, call, loop, False)
            await cygrpc._schedule_rpc_coro(handling, call, loop, method)
            del call, handling  # a refused one holds its request, by its error's traceback
