"""Bytes that are no request, sent to the services that come with gRPC (health, reflection): refused
as by our own (see `server.wire`). gRPC itself would tell UNKNOWN, and log it as the server's fault.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from modalities.errors import InputError
from server.errors import RejectedError, to_status


class Parsing:
    """A server as code that was generated sees it: adds its handlers so that they parse in the
    handler what would else be parsed before it."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Nothing: they are the same that are added by their names."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        parsing = {name: _parsing(handler) for name, handler in handlers.items()}
        self._server.add_registered_method_handlers(service, parsing)


def _parsing(handler: Any) -> Any:
    parse = handler.request_deserializer
    if handler.request_streaming:
        behaviour = {"stream_stream": _stream(handler.stream_stream, parse)}
    elif handler.response_streaming:
        behaviour = {"unary_stream": _unary(handler.unary_stream, parse)}
    else:
        behaviour = {"unary_unary": _unary(handler.unary_unary, parse)}
    return handler._replace(request_deserializer=None, **behaviour)


def _unary(serve: Callable[..., Any], parse: Callable[[bytes], Any]) -> Callable[..., Any]:
    async def parsing(raw: bytes, context: grpc.aio.ServicerContext) -> Any:
        return await serve(await _parsed(parse, raw, context), context)

    return parsing


def _stream(serve: Callable[..., Any], parse: Callable[[bytes], Any]) -> Callable[..., Any]:
    async def parsing(raws: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> Any:
        async def requests() -> AsyncIterator[Any]:
            async for raw in raws:
                yield await _parsed(parse, raw, context)

        async for response in serve(requests(), context):
            yield response

    return parsing


async def _parsed(
    parse: Callable[[bytes], Any], raw: bytes, context: grpc.aio.ServicerContext
) -> Any:
    try:
        return parse(raw)
    except DecodeError:
        status = to_status(RejectedError([InputError("the bytes are not such a request")]))
        await context.abort_with_status(rpc_status.to_status(status))
