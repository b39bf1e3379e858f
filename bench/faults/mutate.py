"""Requests made wrong: bytes that are changed anywhere, and fields that are set to what is odd."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

MAX_DEPTH = 4  # of messages in messages that are filled
_INT32, _INT64 = 2**31, 2**63
_INTS = (0, 1, -1, 2, 7, 99, 1000, _INT32 - 1, -_INT32)
_LONG_INTS = (*_INTS, _INT64 - 1, -_INT64, 10**12, 315_576_000_001)
_FLOATS = (0.0, -0.0, 1.5, -1e300, 1e-320, math.inf, -math.inf, math.nan)
_STRINGS = (
    *("", " ", "\0", "\r\n", "../../etc/passwd", "/", "a" * 300, "operations/x", "name/", "%s%n"),
    *("\u202e\ufeff", "\U0001f621" * 50, "e" + "\u0301" * 200, "龘" * 12_000, "*" * 40 + "/**"),
    *(
        "[" * 500,
        "'; drop table moment; --",
        "a@b.cn 13800138000",
        "NaN",
        "-1",
        "zh",
        "\x7f\x1b[2J",
    ),
)
_EDGES = (b"", b"\0", b"\xff" * 9, b"\x80" * 12, b"\x7f\xff\xff\xff", b"RIFF", b"OggS", b"\x1a\x45")


def mutate_bytes(content: bytes, draw: random.Random) -> bytes:
    """1 to 8 changes: bits, bytes, parts taken out, doubled or swapped, the end cut off."""
    found = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4, 8))):
        draw.choice(_CHANGES)(found, draw)
    return bytes(found)


def mutate_field(message: Message, draw: random.Random) -> None:
    """Set a field somewhere in the message to something odd, take it out, or repeat it."""
    places = list(_places(message))
    if not places:
        return
    parent, field = draw.choice(places)
    how = draw.random()
    if field.is_repeated:
        values = getattr(parent, field.name)
        if how < 0.3:
            del values[:]
        elif how < 0.5 and values:
            values.extend([values[0]] * draw.choice((1, 3, 60, 600)))
        elif field.message_type is None:
            values.append(_odd(field, None, draw))
        else:
            fill(values.add(), draw)
    elif how < 0.15:
        parent.ClearField(field.name)
    elif field.message_type is not None:
        getattr(parent, field.name).SetInParent()
        fill(getattr(parent, field.name), draw)
    else:
        setattr(parent, field.name, _odd(field, getattr(parent, field.name), draw))


def fill(message: Message, draw: random.Random, depth: int = 0) -> None:
    """Any fields to anything that they can hold."""
    for field in message.DESCRIPTOR.fields:
        if draw.random() < 0.5 or depth > MAX_DEPTH:
            continue
        if field.message_type is None:
            value = _odd(field, None, draw)
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
        else:
            inner = getattr(message, field.name)
            inner = inner.add() if field.is_repeated else inner
            inner.SetInParent()
            fill(inner, draw, depth + 1)


def _places(message: Message) -> Iterator[tuple[Message, FieldDescriptor]]:
    """Every field that could be set, in what is there of the message."""
    for field in message.DESCRIPTOR.fields:
        yield message, field
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                yield from _places(inner)


def _odd(field: FieldDescriptor, value: Any, draw: random.Random) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            return draw.random() < 0.5
        case FieldDescriptor.CPPTYPE_ENUM:
            return draw.choice((0, 1, 2, 3, 99, -1, _INT32 - 1))
        case FieldDescriptor.CPPTYPE_INT32:
            return draw.choice(_INTS)
        case FieldDescriptor.CPPTYPE_INT64:
            return draw.choice(_LONG_INTS)
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            return draw.choice(_FLOATS)
        case FieldDescriptor.CPPTYPE_UINT32 | FieldDescriptor.CPPTYPE_UINT64:
            return draw.choice((0, 1, _INT32))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return mutate_bytes(value or draw.choice(_EDGES), draw)
    return draw.choice(_STRINGS)


def _flip(content: bytearray, draw: random.Random) -> None:
    if content:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def _overwrite(content: bytearray, draw: random.Random) -> None:
    at = draw.randrange(len(content) + 1)
    edge = draw.choice(_EDGES)
    content[at : at + len(edge)] = edge


def _insert(content: bytearray, draw: random.Random) -> None:
    at = draw.randrange(len(content) + 1)
    content[at:at] = draw.randbytes(draw.choice((1, 2, 8, 64)))


def _span(content: bytearray, draw: random.Random) -> slice:
    start = draw.randrange(len(content) + 1)
    return slice(start, start + draw.choice((1, 4, 32, 400, 10_000)))


def _remove(content: bytearray, draw: random.Random) -> None:
    del content[_span(content, draw)]


def _double(content: bytearray, draw: random.Random) -> None:
    span = _span(content, draw)
    content[span.start : span.start] = content[span]


def _move(content: bytearray, draw: random.Random) -> None:
    span = _span(content, draw)
    part = content[span]
    del content[span]
    at = draw.randrange(len(content) + 1)
    content[at:at] = part


def _truncate(content: bytearray, draw: random.Random) -> None:
    del content[draw.randrange(len(content) + 1) :]


_CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip, _flip, _flip, _overwrite, _overwrite, _insert, _remove, _double, _move, _truncate),
)
