"""The guard: who calls, and whether it may. It refuses before a request's body is read, so that
who does not belong fills no memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeAlias

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from modalities.errors import EmotionError
from server.errors import ForbiddenError, QuotaError, UnauthenticatedError
from server.security.quota import Quota
from server.security.scopes import OPEN, SCOPES
from server.security.tokens import Token, Tokens

# Makes the handler that refuses a method; the flag is whether its client streams.
Refusal: TypeAlias = Callable[[MethodDescriptor, bool, EmotionError], Any]


class Caller:
    """Who makes a call, for as long as it lasts."""

    def __init__(self, tokens: Tokens, quota: Quota) -> None:
        self.id = quota.token.id
        self._tokens, self._quota = tokens, quota

    def take(self, n_bytes: int) -> None:
        """Bytes that came; raises UnauthenticatedError where the token is valid no more."""
        self._quota.take_bytes(n_bytes)
        _valid(self._tokens.get(self.id))


_CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)


def caller() -> Caller | None:
    """Of the request that this task serves; None where the server has no tokens, or the token is
    not known."""
    return _CALLER.get()


def caller_note() -> dict[str, str]:
    """What the log tells of who calls: the token's id."""
    current = caller()
    return {"token": current.id} if current else {}


def take(n_bytes: int) -> None:
    """Of a request that came in, or 0 between a stream's responses; as `Caller.take`."""
    if (current := caller()) is not None:
        current.take(n_bytes)


class Guard(grpc.aio.ServerInterceptor):
    """Lets in who has a token for what it calls, within its quota; health is open to all."""

    def __init__(self, tokens: Tokens, refusal: Refusal) -> None:
        self._tokens, self._refusal = tokens, refusal
        self._quotas: dict[str, Quota] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        """The method's handler, or one that refuses."""
        handler = await continuation(details)
        method = details.method.lstrip("/").replace("/", ".")
        if handler is None or method in OPEN:  # without a handler gRPC says UNIMPLEMENTED
            return handler
        try:
            self._admit(method, details.invocation_metadata)
        except EmotionError as error:
            found = descriptor_pool.Default().FindMethodByName(method)
            return self._refusal(found, handler.request_streaming, error)
        return handler

    def _admit(self, method: str, metadata: Any) -> None:
        token = _valid(self._tokens.find(_bearer(metadata)))
        quota = self._quotas.get(token.id)
        if quota is None or quota.token != token:
            quota = self._quotas[token.id] = Quota(token)
        _CALLER.set(Caller(self._tokens, quota))
        if method not in SCOPES or not token.allows(SCOPES[method]):
            scope = SCOPES.get(method) or "no"
            raise ForbiddenError(f"{method.rpartition('.')[2]} needs a token of {scope} scope")
        if reached := quota.closed():
            said, wait_s = reached
            raise QuotaError(f"the token's quota of {said} is used up", wait_s)
        quota.take_request()


def _bearer(metadata: Any) -> str:
    """Raises UnauthenticatedError."""
    values = [value for key, value in metadata or () if key == "authorization"]
    kind, _, bearer = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if kind.lower() != "bearer" or not bearer:
        raise UnauthenticatedError("a bearer token is needed, as metadata 'authorization'")
    return bearer.strip()


def _valid(token: Token | None) -> Token:
    """Raises UnauthenticatedError."""
    if token is None:
        raise UnauthenticatedError("the token is not valid")
    if token.expired:
        raise UnauthenticatedError("the token has expired")
    return token
