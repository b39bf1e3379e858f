"""GET /api/microphone: a WebSocket that is a StreamCall.

The page sends {"authorization": …, "config": StreamCallConfig}, then the samples as binary
messages, then any text for the end; it gets each response as JSON, and {"error": …} where the call
fails. A page cannot set a WebSocket's headers, so the token comes in its first message.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import grpc
from aiohttp import WSMsgType, web
from emotion.v1.call_pb2 import StreamCallConfig, StreamCallRequest
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub
from google.protobuf.json_format import ParseDict, ParseError

from server.console.answers import error_body, message_json, rpc_error_body
from server.console.gateway import metadata_of

MAX_CHUNK_BYTES = 256 * 1024
FIRST_S = 10.0  # for the configuration
ALIVE_S = 20.0  # between pings


class Microphone:
    """Passes a call on with the token that it came with."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = EmotionServiceStub(channel)

    async def listen(self, request: web.Request) -> web.WebSocketResponse:
        """The handler."""
        socket = web.WebSocketResponse(heartbeat=ALIVE_S, max_msg_size=MAX_CHUNK_BYTES)
        await socket.prepare(request)
        try:
            metadata, config = _first(await socket.receive_json(timeout=FIRST_S))
        except (ValueError, TypeError, TimeoutError):  # TypeError: the page is gone
            await socket.send_json(error_body("INVALID_ARGUMENT", "no configuration of a call"))
            await socket.close()
            return socket
        call = self._stub.StreamCall(metadata=metadata)
        hearing = asyncio.create_task(_hear(socket, call, config))
        try:
            while (response := await call.read()) is not grpc.aio.EOF:
                await socket.send_str(message_json(response))
        except grpc.aio.AioRpcError as error:
            with suppress(ConnectionError):
                await socket.send_json(rpc_error_body(error))
        finally:
            hearing.cancel()
            call.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
        await socket.close()
        return socket


def _first(message: Any) -> tuple[tuple[tuple[str, str], ...], StreamCallConfig]:
    """Raises ValueError."""
    try:
        config = ParseDict(message["config"], StreamCallConfig())
        return metadata_of(message.get("authorization", "")), config
    except (ParseError, AttributeError, LookupError, TypeError) as error:
        raise ValueError("no configuration") from error


async def _hear(socket: web.WebSocketResponse, call: Any, config: StreamCallConfig) -> None:
    """A page that goes away cancels its call."""
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # `listen` is told of it, too
        await call.write(StreamCallRequest(config=config))
        async for message in socket:  # on to its end, for the pings' sake
            if message.type is WSMsgType.BINARY:
                await call.write(StreamCallRequest(audio=message.data))
            elif message.type is WSMsgType.TEXT:
                await call.done_writing()
        call.cancel()
