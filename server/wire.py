"""Bytes → a request, with the field named where a string in it is not UTF-8.

A failure in a generated deserialiser reaches the client as INTERNAL, so handlers take raw bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.message import DecodeError, Message

from modalities.errors import InputError
from server.errors import RejectedError
from server.security import fields

Request = TypeVar("Request", bound=Message)


def parse(request_class: type[Request], raw: bytes) -> Request:
    """Raises RejectedError where `raw` is no such message, or a string in it is not UTF-8, or a
    field is out of bounds."""
    try:
        request = request_class.FromString(raw)
    except DecodeError:
        name = request_class.DESCRIPTOR.name
    else:
        fields.check(request)
        return request
    try:
        twin = _twin(request_class.DESCRIPTOR).FromString(raw)
    except DecodeError:
        raise RejectedError([InputError(f"the bytes are not an {name}")]) from None
    at = _not_utf8(twin, request_class.DESCRIPTOR, "")
    raise RejectedError([InputError("not valid UTF-8", field) for field in at])


@cache
def _twin(descriptor: Descriptor) -> type[Message]:
    """The same message with its strings as bytes, which parse whatever they hold."""
    pool = descriptor_pool.DescriptorPool()

    def add(file: FileDescriptor) -> None:
        for dependency in file.dependencies:
            add(dependency)
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        for message in proto.message_type:
            for field in message.field:
                if field.type == field.TYPE_STRING:
                    field.type = field.TYPE_BYTES
        pool.Add(proto)

    add(descriptor.file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(descriptor.full_name))


def _not_utf8(twin: Message, descriptor: Descriptor, prefix: str) -> Iterator[str]:
    for twin_field, value in twin.ListFields():
        field = descriptor.fields_by_name[twin_field.name]
        values: list[Any] = list(value) if field.is_repeated else [value]
        for index, one in enumerate(values):
            path = f"{prefix}{field.name}" + (f"[{index}]" if field.is_repeated else "")
            if field.type == field.TYPE_MESSAGE:
                yield from _not_utf8(one, field.message_type, path + ".")
            elif field.type == field.TYPE_STRING and not _is_utf8(one):
                yield path


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
