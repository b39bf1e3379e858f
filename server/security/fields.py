"""Bounds of every field of every request, by its type, before any handler looks at it.

What has a limit of its own (ServiceLimits) is bounded where it is read. All else, and every field
that is yet to be added, is bounded here: strings, lists, times and numbers.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from modalities.errors import InputError, LimitError
from server.errors import MAX_VIOLATIONS, RejectedError

MAX_CHARACTERS, MAX_ITEMS = 1024, 100
MAX_NAME_BYTES = 255  # of a file, on most file systems
MAX_DURATION_S = 315_576_000_000  # google.protobuf.Duration's own, 10,000 years

# By the fields' full names; None is bounded by a setting, where the content is read.
CHARACTERS: Mapping[str, int | None] = {
    "emotion.v1.Text.content": None,
    "emotion.v1.Feedback.content": None,
    "emotion.v1.Context.conversation_id": 256,
    "emotion.v1.Context.customer_id": 256,
    "emotion.v1.Context.agent_id": 256,
    "emotion.v1.Context.channel": 256,
    "emotion.v1.Context.language": 64,
    "emotion.v1.Context.tags": 256,
}
ITEMS: Mapping[str, int | None] = {
    "emotion.v1.AnalyzeEmotionRequest.images": None,
    "emotion.v1.AnalyzeConversationRequest.messages": None,
    "emotion.v1.BatchAnalyzeCallsRequest.paths": 1000,
}
PATHS = frozenset(
    {"emotion.v1.BatchAnalyzeCallsRequest.paths", "emotion.v1.BatchAnalyzeCallsRequest.output"}
)
FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


def check(request: Message) -> None:
    """Raises RejectedError with the first fields that are out of bounds."""
    if violations := list(islice(_violations(request, ""), MAX_VIOLATIONS)):
        raise RejectedError(violations)


def _violations(message: Message, prefix: str) -> Iterator[InputError]:
    for field, value in message.ListFields():
        at = f"{prefix}{field.name}"
        if not field.is_repeated:
            yield from _of_value(field, value, at)
            continue
        most = ITEMS.get(field.full_name, MAX_ITEMS)
        if most is not None and len(value) > most:
            yield LimitError(f"more than {most:,} items", at)
            continue
        for index, one in enumerate(value):
            yield from _of_value(field, one, f"{at}[{index}]")


def _of_value(field: FieldDescriptor, value: Any, at: str) -> Iterator[InputError]:
    if field.message_type is not None:
        match field.message_type.full_name:
            case "google.protobuf.Duration" | "google.protobuf.Timestamp":
                if not _is_time(value):
                    yield InputError("no valid time", at)
            case _:
                yield from _violations(value, f"{at}.")
    elif field.type == field.TYPE_STRING:
        yield from _of_string(field.full_name, value, at)
    elif field.cpp_type in FLOATS and not math.isfinite(value):
        yield InputError("not a finite number", at)


def _of_string(name: str, value: str, at: str) -> Iterator[InputError]:
    most = CHARACTERS.get(name, MAX_CHARACTERS)
    if most is None:
        return
    if len(value) > most:
        yield LimitError(f"more than {most:,} characters", at)
    elif any(unicodedata.category(character) == "Cc" for character in value):
        yield InputError("control characters are not allowed", at)
    elif name in PATHS and any(len(part.encode()) > MAX_NAME_BYTES for part in value.split("/")):
        yield LimitError(f"a name in it has more than {MAX_NAME_BYTES} bytes", at)


def _is_time(value: Any) -> bool:
    """Of a Duration or a Timestamp: what protobuf itself converts without an error."""
    seconds, nanos = value.seconds, value.nanos
    signs_agree = seconds * nanos >= 0 or value.DESCRIPTOR.name == "Timestamp"
    return abs(seconds) <= MAX_DURATION_S and abs(nanos) < 1_000_000_000 and signs_agree
