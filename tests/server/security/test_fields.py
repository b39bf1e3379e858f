"""Bounds of all fields of all requests, asked of a running server and found by their types."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from emotion.v1.emotion_service_pb2 import AnalyzeConversationRequest, AnalyzeEmotionRequest
from google.longrunning import operations_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from server_process import Server

from server.security.fields import ITEMS, PATHS

PROTO = Path(__file__).parents[3] / "proto" / "emotion" / "v1"
FILES = [importlib.import_module(f"emotion.v1.{path.stem}_pb2") for path in PROTO.glob("*.proto")]
METHODS = [
    method
    for file in (*FILES, operations_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
SENTINEL = "隐私"  # stands in every content: no error may quote it
OVERSIZED = SENTINEL * 10_000
TIMES = ("google.protobuf.Duration", "google.protobuf.Timestamp")


def fields(message: Descriptor) -> Iterator[tuple[FieldDescriptor, ...]]:
    """The way to each field, through the messages that it lies in."""
    for field in message.fields:
        yield (field,)
        if field.message_type is not None and field.message_type.full_name not in TIMES:
            for rest in fields(field.message_type):
                yield (field, *rest)


def request_with(
    message: Descriptor, way: tuple[FieldDescriptor, ...], fill: object, times: int = 1
) -> tuple[Message, str]:
    """A request whose last field of `way` is `fill`, `times` over, and the field's path."""
    request = at = GetMessageClass(message)()
    names = []
    for field in way[:-1]:  # a message of a conversation needs a role, too
        names.append(f"{field.name}[0]" if field.is_repeated else field.name)
        at = getattr(at, field.name)
        if field.is_repeated:
            at = at.add()
        else:
            at.SetInParent()
        if "role" in at.DESCRIPTOR.fields_by_name:
            at.role = 1
    last = way[-1]
    if not last.is_repeated:
        if last.message_type is None:
            setattr(at, last.name, fill)
        else:
            getattr(at, last.name).MergeFrom(fill)
    else:
        getattr(at, last.name).extend([fill] * times)
    names.append(f"{last.name}[0]" if last.is_repeated and times == 1 else last.name)
    return request, ".".join(names)


def refused(server: Server, method: MethodDescriptor, request: Message) -> tuple[str, list[str]]:
    """The code and the fields that a request is refused with."""
    call = server.channel.stream_stream(  # on the wire a unary call is a stream of one
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
    )(iter([request]), timeout=60)
    with pytest.raises(grpc.RpcError) as error:
        list(call)
    assert SENTINEL not in error.value.details()
    bad = error_details_pb2.BadRequest()
    for detail in rpc_status.from_call(call).details:
        detail.Unpack(bad)
    return error.value.code().name, [violation.field for violation in bad.field_violations]


def ways(*types: int) -> list[tuple[MethodDescriptor, tuple[FieldDescriptor, ...]]]:
    return [
        (method, way)
        for method in METHODS
        for way in fields(method.input_type)
        if way[-1].type in types
    ]


def test_every_string_is_bounded(server: Server) -> None:
    strings = [
        (method, way)
        for method, way in ways(FieldDescriptor.TYPE_STRING)
        # bounded where content is read: behind the store, and behind the stream's first request
        if way[-1].full_name != "emotion.v1.Feedback.content" and way[0].name != "message"
    ]
    assert len(strings) > 40
    for method, way in strings:
        request, path = request_with(method.input_type, way, OVERSIZED)
        code, found = refused(server, method, request)
        assert (code, path in found) == ("INVALID_ARGUMENT", True), (method.full_name, path, found)


def test_every_list_is_bounded(server: Server) -> None:
    lists = [
        (method, way)
        for method in METHODS
        for way in fields(method.input_type)
        if way[-1].is_repeated
    ]
    assert len(lists) > 8
    for method, way in lists:
        item = way[-1].message_type
        fill = GetMessageClass(item)() if item else "" if way[-1].type == way[-1].TYPE_STRING else 0
        over = (ITEMS.get(way[-1].full_name, 0) or 1000) + 1
        request, path = request_with(method.input_type, way, fill, over)
        code, found = refused(server, method, request)
        assert (code, path in found) == ("INVALID_ARGUMENT", True), (method.full_name, path, found)


def test_every_time_is_valid(server: Server) -> None:
    times = [
        (method, way)
        for method, way in ways(FieldDescriptor.TYPE_MESSAGE)
        if way[-1].message_type.full_name in TIMES
    ]
    assert times
    for method, way in times:
        for seconds, nanos in ((1 << 62, 0), (0, -(1 << 31)), (0, (1 << 31) - 1)):
            bad = GetMessageClass(way[-1].message_type)(seconds=seconds, nanos=nanos)
            request, path = request_with(method.input_type, way, bad)
            code, found = refused(server, method, request)
            assert (code, path in found) == ("INVALID_ARGUMENT", True), (method.full_name, path)


def test_ids_and_paths_hold_no_control_characters(server: Server) -> None:
    controls = [
        (method, way)
        for method, way in ways(FieldDescriptor.TYPE_STRING)
        if way[-1].full_name in PATHS or way[0].name in ("context", "page_token", "name")
    ]
    for method, way in controls:
        for value in ("a\0.parquet", "a\n{}", "\x1b[2J"):
            request, path = request_with(method.input_type, way, value)
            code, found = refused(server, method, request)
            assert (code, path in found) == ("INVALID_ARGUMENT", True), (method.full_name, path)


def test_a_status_stays_small_enough_for_every_client(server: Server) -> None:
    request = AnalyzeConversationRequest()
    for _ in range(500):
        request.messages.add().text.content = "not UTF-8"
    raw = request.SerializeToString().replace(b"not UTF-8", b"\xff" * 9)
    call = server.channel.unary_unary("/emotion.v1.EmotionService/AnalyzeConversation")
    with pytest.raises(grpc.RpcError) as error:
        call(raw, timeout=60)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_longest_that_is_allowed_is_served(server: Server) -> None:
    request = AnalyzeEmotionRequest()
    request.text.content = "太好了\n\t谢谢"
    request.context.conversation_id = "客" * 256
    request.context.tags.extend(["tag"] * 100)
    assert server.emotion.AnalyzeEmotion(request, timeout=60).fused.emotions
