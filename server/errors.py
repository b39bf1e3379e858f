"""Errors of the service itself, and what each becomes as a google.rpc.Status."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from modalities.errors import (
    EmotionError,
    InputError,
    LimitError,
    OverloadedError,
    UnavailableError,
)

DOMAIN = "emotion.v1"
MAX_VIOLATIONS = 10  # told: a status travels as metadata, of which clients take 8 KiB


class RejectedError(EmotionError):
    """Nothing of the request can be used; one violation for each part that is wrong."""

    refused = True  # the request is at fault, as the command's exit status says

    def __init__(self, violations: Sequence[InputError]) -> None:
        super().__init__("; ".join(described(violation) for violation in violations))
        self.violations = tuple(violations)


class NotFoundError(EmotionError):
    """There is no resource of that name."""


class UnauthenticatedError(EmotionError):
    """Who calls is not known."""


class ForbiddenError(EmotionError):
    """Who calls may not do this."""


class QuotaError(OverloadedError):
    """Who calls has asked for all that it may ask for in this time."""


class StoppingError(EmotionError):
    """The server is stopping and takes no new requests."""


class IdleError(EmotionError):
    """A stream's client sends nothing, or takes no answer, for too long."""


class StateError(EmotionError):
    """What is asked for cannot be done as things stand; `remedy` says what to do first."""

    code = "FAILED_PRECONDITION"

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy}")


class AddressError(EmotionError):
    """The server's address cannot be bound."""


def described(error: InputError) -> str:
    return f"{error.field}: {error.reason}" if error.field else error.reason


def to_status(error: BaseException, request_id: str = "") -> status_pb2.Status:
    """The status of `error`. Of an unexpected one it tells the request's id and no more."""
    details: list[Message] = []
    match error:
        case RejectedError() | InputError():
            violations = error.violations if isinstance(error, RejectedError) else (error,)
            over = any(isinstance(violation, LimitError) for violation in violations)
            violations = violations[:MAX_VIOLATIONS]
            code, message = grpc.StatusCode.INVALID_ARGUMENT, str(RejectedError(violations))
            reason = "LIMIT_EXCEEDED" if over else "INVALID_CONTENT"
            bad = error_details_pb2.BadRequest()
            for violation in violations:
                bad.field_violations.add(field=violation.field, description=violation.reason)
            details.append(bad)
        case OverloadedError():
            code, message = grpc.StatusCode.RESOURCE_EXHAUSTED, error.reason
            reason = "QUOTA_EXCEEDED" if isinstance(error, QuotaError) else "OVERLOADED"
            details.append(_retry(error.retry_after_s))
        case UnauthenticatedError():
            code, message = grpc.StatusCode.UNAUTHENTICATED, str(error)
            reason = "UNAUTHENTICATED"
        case ForbiddenError():
            code, message = grpc.StatusCode.PERMISSION_DENIED, str(error)
            reason = "PERMISSION_DENIED"
        case StoppingError():
            code, message = grpc.StatusCode.UNAVAILABLE, "the server is stopping"
            reason = "STOPPING"
            details.append(_retry(1.0))
        case UnavailableError():
            code = grpc.StatusCode.FAILED_PRECONDITION
            message, reason = f"{error.reason}; {error.remedy}", "MODEL_UNAVAILABLE"
        case NotFoundError():
            code, message, reason = grpc.StatusCode.NOT_FOUND, str(error), "NOT_FOUND"
        case IdleError():
            code, message, reason = grpc.StatusCode.ABORTED, str(error), "STREAM_IDLE"
        case StateError():
            code, message = grpc.StatusCode.FAILED_PRECONDITION, str(error)
            reason = error.code
        case TimeoutError():
            code, reason = grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"
            message = "the deadline passed before the answer was there"
        case _:
            code, reason = grpc.StatusCode.INTERNAL, "INTERNAL"
            message = f"internal error; request_id {request_id}"
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)
    if request_id:
        info.metadata["request_id"] = request_id
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in (info, *details):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def reason_of(status: status_pb2.Status) -> str:
    """Of the ErrorInfo of a status that `to_status` made."""
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return info.reason


def _retry(after_s: float) -> error_details_pb2.RetryInfo:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(round(after_s * 1000))
    return retry
