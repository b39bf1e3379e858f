"""Bytes → requests, and errors → statuses."""

from __future__ import annotations

import grpc
import pytest
from emotion.v1.conversation_pb2 import Message
from emotion.v1.emotion_service_pb2 import (
    AnalyzeConversationRequest,
    AnalyzeEmotionRequest,
)
from emotion.v1.types_pb2 import Context, Text
from google.rpc import error_details_pb2

from modalities.errors import InputError, LimitError, OverloadedError, UnavailableError
from server.errors import NotFoundError, RejectedError, StoppingError, to_status
from server.wire import parse


def test_a_good_request_is_parsed() -> None:
    request = AnalyzeEmotionRequest(text=Text(content="好 🙂"), context=Context(tags=["a", "b"]))
    assert parse(AnalyzeEmotionRequest, request.SerializeToString()) == request
    assert parse(AnalyzeEmotionRequest, b"") == AnalyzeEmotionRequest()


def test_every_string_that_is_not_utf8_is_named() -> None:
    request = AnalyzeConversationRequest(
        context=Context(tags=["fine", "QQQQ"]),
        messages=[Message(text=Text(content="fine")), Message(text=Text(content="QQQQ"))],
    )
    raw = request.SerializeToString().replace(b"QQQQ", b"Q\xc3\x28Q")
    with pytest.raises(RejectedError) as refused:
        parse(AnalyzeConversationRequest, raw)
    fields = [violation.field for violation in refused.value.violations]
    assert fields == ["context.tags[1]", "messages[1].text.content"]


@pytest.mark.parametrize("raw", [b"\xff", b"\x12\x7f", b"\x0a\x02\x0a\x05"])
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(RejectedError):
        parse(AnalyzeEmotionRequest, raw)


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (InputError("bad", "text"), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_CONTENT"),
        (LimitError("much", "text"), grpc.StatusCode.INVALID_ARGUMENT, "LIMIT_EXCEEDED"),
        (OverloadedError("full", 2.5), grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
        (UnavailableError("no", "do"), grpc.StatusCode.FAILED_PRECONDITION, "MODEL_UNAVAILABLE"),
        (NotFoundError("who"), grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
        (StoppingError(), grpc.StatusCode.UNAVAILABLE, "STOPPING"),
        (TimeoutError(), grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
        (ValueError("secret"), grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
def test_errors_become_statuses(error: Exception, code: grpc.StatusCode, reason: str) -> None:
    status = to_status(error, "id-1")
    assert status.code == code.value[0]
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (reason, "emotion.v1")
    assert info.metadata["request_id"] == "id-1"
    assert "secret" not in str(status)


def test_overload_says_when_to_come_back() -> None:
    retry = error_details_pb2.RetryInfo()
    assert to_status(OverloadedError("full", 2.5)).details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 2500
