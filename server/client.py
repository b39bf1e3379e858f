"""The API as a client calls it: what the command line, the console and the demo use.

A channel to this machine is in plain text unless certificates are given; one to another machine
is TLS unless `plaintext` says otherwise. A token is sent over TLS, or within this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict, Unpack

import grpc
from emotion.v1 import emotion_service_pb2 as emotion
from emotion.v1 import emotion_service_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from modalities.errors import EmotionError, InputError
from server.security.address import is_local

OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class Access(TypedDict, total=False):
    """How a server is spoken to.

    ca           PEM of the authorities to trust; by default the public ones
    certificate  PEM of the client's own chain, and `key` its private key, for mutual TLS
    token        bearer token
    plaintext    no TLS to another machine
    """

    ca: Path | None
    certificate: Path | None
    key: Path | None
    token: str | None
    plaintext: bool


class CallError(EmotionError):
    """A call that failed; `refused` where the request was at fault."""

    def __init__(self, error: grpc.RpcError) -> None:
        code = error.code()
        super().__init__(f"{code.name}: {error.details()}")
        self.refused = code is grpc.StatusCode.INVALID_ARGUMENT


def channel(target: str, **access: Unpack[Access]) -> grpc.Channel:
    """To `target` (host:port). Raises InputError where a file cannot be read, or where a token
    would leave this machine in plain text."""
    token, credentials = access.get("token"), _credentials(target, **access)
    if credentials is not None:
        return grpc.secure_channel(target, credentials, OPTIONS)
    plain = grpc.insecure_channel(target, OPTIONS)
    return grpc.intercept_channel(plain, _Bearer(token)) if token else plain


def aio_channel(target: str, **access: Unpack[Access]) -> grpc.aio.Channel:
    """As `channel`, of asyncio."""
    token, credentials = access.get("token"), _credentials(target, **access)
    if credentials is not None:
        return grpc.aio.secure_channel(target, credentials, OPTIONS)
    interceptors = [kind(token) for kind in _AIO] if token else None
    return grpc.aio.insecure_channel(target, OPTIONS, interceptors=interceptors)


def analyze(
    server: str,
    request: emotion.AnalyzeEmotionRequest,
    timeout_s: float,
    **access: Unpack[Access],
) -> emotion.AnalyzeEmotionResponse:
    """AnalyzeEmotion at `server` (host:port); raises CallError, and as `channel`."""
    with channel(server, **access) as opened:
        stub = emotion_service_pb2_grpc.EmotionServiceStub(opened)
        try:
            return stub.AnalyzeEmotion(request, timeout=timeout_s)
        except grpc.RpcError as error:
            raise CallError(error) from None


def wait_until_serving(server: str, timeout_s: float, **access: Unpack[Access]) -> None:
    """Wait for the health service to say SERVING; raises CallError where it does not."""
    with channel(server, **access) as opened:
        stub = health_pb2_grpc.HealthStub(opened)
        request = health_pb2.HealthCheckRequest(service="emotion.v1.EmotionService")
        try:
            stub.Check(request, timeout=timeout_s, wait_for_ready=True)
        except grpc.RpcError as error:
            raise CallError(error) from None


def _credentials(target: str, **access: Unpack[Access]) -> grpc.ChannelCredentials | None:
    """TLS, with the token; None for plain text."""
    token, local = access.get("token"), is_local(target)
    files = {name: access.get(name) for name in ("ca", "certificate", "key")}
    if not any(files.values()) and (local or access.get("plaintext")):
        if token and not local:
            raise InputError("a token is not sent to another machine in plain text", "--plaintext")
        return None
    ca, certificate, key = (_read(name, path) for name, path in files.items())
    if (certificate is None) != (key is None):
        raise InputError("a certificate and its key are needed together", "--tls-certificate")
    tls = grpc.ssl_channel_credentials(ca, key, certificate)
    if not token:
        return tls
    return grpc.composite_channel_credentials(tls, grpc.access_token_call_credentials(token))


def _read(name: str, path: Any) -> bytes | None:
    try:
        return None if path is None else Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", f"--tls-{name}") from None


def _with_bearer(token: str, details: Any) -> Any:
    header = ("authorization", f"Bearer {token}")
    return details._replace(metadata=(*(details.metadata or ()), header))


class _Bearer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """The token within this machine: gRPC takes call credentials over TLS only."""

    def __init__(self, token: str) -> None:
        self._token = token

    def _call(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(_with_bearer(self._token, details), request)

    intercept_unary_unary = intercept_unary_stream = _call
    intercept_stream_unary = intercept_stream_stream = _call


class _AioBearer:
    def __init__(self, token: str) -> None:
        self._token = token

    async def _call(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(_with_bearer(self._token, details), request)


class _UnaryUnary(_AioBearer, grpc.aio.UnaryUnaryClientInterceptor):
    intercept_unary_unary = _AioBearer._call


class _UnaryStream(_AioBearer, grpc.aio.UnaryStreamClientInterceptor):
    intercept_unary_stream = _AioBearer._call


class _StreamUnary(_AioBearer, grpc.aio.StreamUnaryClientInterceptor):
    intercept_stream_unary = _AioBearer._call


class _StreamStream(_AioBearer, grpc.aio.StreamStreamClientInterceptor):
    intercept_stream_stream = _AioBearer._call


_AIO = (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)  # asyncio's take one kind each
