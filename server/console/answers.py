"""Messages and errors of the API as JSON."""

from __future__ import annotations

import json
from typing import Any

import grpc
from aiohttp import web
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

NO_STORE = {"Cache-Control": "no-store"}
# As google.rpc.Code maps them.
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


def message_json(message: Message) -> str:
    """One line, in the words of the proto."""
    return MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        ensure_ascii=False,
        indent=None,
    )


def error_body(code: str, message: str, **more: Any) -> dict[str, Any]:
    """`code` is a gRPC status's name; the message says what to do where that is known."""
    known = {"code": code, "message": message, "reason": code, "violations": []}
    return {"error": known | more}


def error_response(status: int, code: str, message: str) -> web.Response:
    body = json.dumps(error_body(code, message), ensure_ascii=False)
    return web.Response(status=status, text=body, content_type="application/json", headers=NO_STORE)


def rpc_error_body(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """A failed call's code and message, its reason, the fields at fault, and when to try again."""
    code, message = error.code().name, error.details() or ""
    more: dict[str, Any] = {}
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        for kind in (
            error_details_pb2.ErrorInfo,
            error_details_pb2.BadRequest,
            error_details_pb2.RetryInfo,
        ):
            found = kind()
            if detail.Unpack(found):
                more |= _detail(found)
    if code == "UNAVAILABLE" and status is None:  # it does not come from the server
        message = "the server does not answer; check that it runs, and the console's --server"
    return error_body(code, message, **more)


def rpc_error_response(error: grpc.aio.AioRpcError) -> web.Response:
    body = rpc_error_body(error)
    return web.Response(
        status=HTTP_STATUS.get(body["error"]["code"], 500),
        text=json.dumps(body, ensure_ascii=False),
        content_type="application/json",
        headers=NO_STORE,
    )


def _detail(found: Message) -> dict[str, Any]:
    match found:
        case error_details_pb2.ErrorInfo():
            return {"reason": found.reason}
        case error_details_pb2.BadRequest():
            return {
                "violations": [
                    {"field": one.field, "description": one.description}
                    for one in found.field_violations
                ]
            }
    return {"retry_after_s": found.retry_delay.ToNanoseconds() / 1e9}
