"""What can be said of a request before its content is looked into: its structure and its limits."""

from __future__ import annotations

import re
import uuid
from typing import TypeAlias

from emotion.v1 import call_pb2, conversation_pb2, emotion_service_pb2, types_pb2

from modalities.errors import InputError, LimitError
from server.analysis import BytesPart, Call, Content, Role, TextPart
from server.settings import Settings

AnalyzeRequest: TypeAlias = (
    emotion_service_pb2.AnalyzeEmotionRequest
    | emotion_service_pb2.AnalyzeConversationRequest
    | call_pb2.StreamCallConfig
)

MAX_PAGE_SIZE = 100

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def is_request_id(value: str) -> bool:
    """Whether it may stand in logs, and in the store, as a request's id."""
    return _REQUEST_ID.fullmatch(value) is not None


def request_id_of(request: AnalyzeRequest) -> str:
    """The request's id, made and set where it has none; raises InputError on a bad one."""
    if not request.request_id:
        request.request_id = str(uuid.uuid4())
    if not is_request_id(request.request_id):
        raise InputError("at most 64 of A-Z a-z 0-9 . _ : - are allowed", "request_id")
    return request.request_id


def call_of(request: AnalyzeRequest, deadline: float | None) -> Call:
    """The call of a request, whose config is checked."""
    request_id = request_id_of(request)
    sides = types_pb2.AnalysisConfig.CustomerSide
    if request.config.customer_side not in sides.values():
        raise InputError("not a CustomerSide", "config.customer_side")
    side = sides.Name(request.config.customer_side)
    return Call(
        request_id,
        deadline,
        customer_side="AUTO" if side == "CUSTOMER_SIDE_UNSPECIFIED" else side,
        words=request.config.words,
    )


def emotion_content(
    request: emotion_service_pb2.AnalyzeEmotionRequest, settings: Settings
) -> Content:
    """Raises InputError (LimitError over a limit) with the field."""
    if len(request.images) > settings.max_images:
        raise LimitError(f"more than {settings.max_images} images", "images")
    if not (request.HasField("text") or request.HasField("audio") or request.images):
        raise InputError("one of text, audio and images is needed", "text")
    return Content(
        _text(request.text, "text", settings) if request.HasField("text") else None,
        BytesPart("audio.content", request.audio.content) if request.HasField("audio") else None,
        tuple(
            BytesPart(f"images[{index}].content", image.content)
            for index, image in enumerate(request.images)
        ),
    )


def conversation_contents(
    request: emotion_service_pb2.AnalyzeConversationRequest, settings: Settings
) -> list[Content]:
    """One Content a message; raises InputError (LimitError over a limit) with the field."""
    if not request.messages:
        raise InputError("a conversation needs a message", "messages")
    if len(request.messages) > settings.max_messages:
        raise LimitError(f"more than {settings.max_messages} messages", "messages")
    if sum(message.HasField("image") for message in request.messages) > settings.max_images:
        raise LimitError(f"more than {settings.max_images} images in all", "messages")
    return [
        message_content(message, f"messages[{index}]", settings)
        for index, message in enumerate(request.messages)
    ]


def message_content(message: conversation_pb2.Message, at: str, settings: Settings) -> Content:
    """Of the message in field `at`; raises InputError (LimitError over a limit) with the field."""
    has_text, has_audio, has_image = (message.HasField(name) for name in ("text", "audio", "image"))
    if not (has_text or has_audio or has_image):
        raise InputError("one of text, audio and image is needed", at)
    role = role_of(message.role, f"{at}.role")
    if role is None and (has_text or has_audio):
        raise InputError("text and audio need a role", f"{at}.role")
    if message.HasField("offset") and message.offset.ToNanoseconds() < 0:
        raise InputError("an offset is not negative", f"{at}.offset")
    return Content(
        _text(message.text, f"{at}.text", settings) if has_text else None,
        BytesPart(f"{at}.audio.content", message.audio.content) if has_audio else None,
        (BytesPart(f"{at}.image.content", message.image.content),) if has_image else (),
        role or Role.CUSTOMER,
    )


def role_of(value: types_pb2.Role, at: str) -> Role | None:
    """The role in field `at`, None where it is unspecified; raises InputError on what is none."""
    if value not in types_pb2.Role.values():
        raise InputError("not a Role", at)
    return Role(types_pb2.Role.Name(value)) if value else None


def page_size_of(asked: int, default: int = 20) -> int:
    """How many items a page has (AIP-158): at most 100. Raises InputError on less than none."""
    if asked < 0:
        raise InputError("a page size is not negative", "page_size")
    return min(asked or default, MAX_PAGE_SIZE)


def _text(text: types_pb2.Text, at: str, settings: Settings) -> TextPart:
    if not text.content.strip():
        raise InputError("the text is empty or only white space", f"{at}.content")
    if len(text.content) > settings.max_text_characters:
        raise LimitError(f"more than {settings.max_text_characters} characters", f"{at}.content")
    return TextPart(f"{at}.content", text.content)
