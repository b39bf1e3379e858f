"""POST /api/<Service>/<Method>: a request's JSON in, the response's JSON out.

A server-streaming method's responses come as lines (NDJSON) and not as server-sent events, which a
page cannot ask for with a token. A blank line now and then shows that the server is still there.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
from aiohttp import web
from emotion.v1 import (
    alert_service_pb2,
    conversation_service_pb2,
    emotion_service_pb2,
    feedback_service_pb2,
    model_service_pb2,
)
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from server.console.answers import (
    NO_STORE,
    error_response,
    message_json,
    rpc_error_body,
    rpc_error_response,
)

MAX_BODY_BYTES = 48 * 1024 * 1024  # max_message_bytes in base64, and some
MAX_DEPTH = 32  # of a request's JSON
MAX_TOKEN_CHARACTERS = 4096
TIMEOUT_S = 300.0
ALIVE_S = 15.0  # between blank lines

# What the page needs, and no more.
METHODS: dict[str, MethodDescriptor] = {
    f"{service.name}/{name}": service.methods_by_name[name]
    for service, names in (
        (emotion_service_pb2.DESCRIPTOR.services_by_name["EmotionService"], ["AnalyzeEmotion"]),
        (
            conversation_service_pb2.DESCRIPTOR.services_by_name["ConversationService"],
            ["ListConversations", "GetConversation", "ListTrends", "StreamConversations"],
        ),
        (
            feedback_service_pb2.DESCRIPTOR.services_by_name["FeedbackService"],
            ["CreateFeedback", "ListFeedback", "ListReviewItems"],
        ),
        (alert_service_pb2.DESCRIPTOR.services_by_name["AlertService"], ["ListAlerts"]),
        (
            model_service_pb2.DESCRIPTOR.services_by_name["ModelService"],
            ["ListModels", "GetServiceLimits"],
        ),
    )
    for name in names
}


class Gateway:
    """Passes requests on, each with the token that it came with; keeps none."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def call(self, request: web.Request) -> web.StreamResponse:
        """The handler."""
        method = METHODS.get("{service}/{method}".format(**request.match_info))
        if method is None:
            return error_response(404, "NOT_FOUND", "the console has no such method")
        try:
            metadata = metadata_of(request.headers.get("Authorization", ""))
            message = await asyncio.to_thread(_parse, method, await request.read())
        except ValueError as error:
            return error_response(400, "INVALID_ARGUMENT", str(error))
        make = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
        ask = make(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=type(message).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        try:
            if method.server_streaming:
                return await _stream(request, ask(message, metadata=metadata))
            answer = await ask(message, metadata=metadata, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return rpc_error_response(error)
        text = await asyncio.to_thread(message_json, answer)
        return web.Response(text=text, content_type="application/json", headers=NO_STORE)


def metadata_of(authorization: str) -> tuple[tuple[str, str], ...]:
    """gRPC's metadata of an Authorization header; raises ValueError on one that cannot be sent."""
    if len(authorization) > MAX_TOKEN_CHARACTERS:
        raise ValueError("the token is too long")
    if not authorization.isascii() or not authorization.isprintable():
        raise ValueError("a token is of printable ASCII characters")
    return (("authorization", authorization),) if authorization else ()


def _parse(method: MethodDescriptor, body: bytes) -> Message:
    """Raises ValueError."""
    message: Message = GetMessageClass(method.input_type)()
    try:
        return Parse(body or b"{}", message, max_recursion_depth=MAX_DEPTH)
    except (ParseError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no {method.input_type.name} in JSON: {error}"[:500]) from None


async def _stream(request: web.Request, call: Any) -> web.StreamResponse:
    """Raises AioRpcError where the server refuses at once."""
    reading: asyncio.Task[Any] = asyncio.create_task(call.read())
    try:
        await call.initial_metadata()
        if call.done() and await call.code() is not grpc.StatusCode.OK:
            await reading  # raises
        response = web.StreamResponse(headers=NO_STORE)
        response.content_type = "application/x-ndjson"
        await response.prepare(request)
        while True:
            await asyncio.wait({reading}, timeout=ALIVE_S)
            if not reading.done():
                await response.write(b"\n")
                continue
            try:
                message = reading.result()
            except grpc.aio.AioRpcError as error:
                body = json.dumps(rpc_error_body(error), ensure_ascii=False)
                await response.write(f"{body}\n".encode())
                break
            if message is grpc.aio.EOF:
                break
            reading = asyncio.create_task(call.read())
            await response.write(f"{message_json(message)}\n".encode())
        await response.write_eof()
        return response
    finally:
        reading.cancel()
        call.cancel()
        await asyncio.gather(reading, return_exceptions=True)
