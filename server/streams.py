"""A call's two directions on the wire, bounded in time, and what the log tells of it."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import grpc
from google.protobuf.message import Message

from server.checks import is_request_id
from server.errors import IdleError
from server.observe.tracing import RequestSpan
from server.security import guard
from server.wire import parse

DRAIN_S = 0.5  # that a client has to end its requests before an error ends the stream
SEND_S = 60.0  # that a subscriber may take for one response


@dataclass
class Note:
    """What the log tells of a request: its size, and the id of the message that has one; `made`
    is the id of one that has none or a bad one, or was refused before it was read."""

    request: Any = None
    n_bytes: int = 0
    span: RequestSpan | None = None

    @cached_property
    def made(self) -> str:
        return str(uuid.uuid4())

    @property
    def request_id(self) -> str:
        given = getattr(self.request, "request_id", "")
        return given if is_request_id(given) else self.made

    @property
    def trace_id(self) -> str:
        return self.span.trace_id if self.span else ""


class Stream:
    """Both directions of one bidirectional call, bounded: what is not read is not taken from the
    network, and `send` waits until the network takes it."""

    def __init__(
        self,
        context: grpc.aio.ServicerContext,
        request_class: type[Message],
        note: Note,
        closed: asyncio.Event,
        idle_s: float,
    ) -> None:
        self.note = note
        self._context, self._request_class, self._idle_s = context, request_class, idle_s
        self._reading: asyncio.Task[Any] | None = None
        self._closing = asyncio.create_task(closed.wait())

    @property
    def stopping(self) -> bool:
        """Whether the server stops, so that no more is read."""
        return self._closing.done()

    async def read(self) -> Any:
        """The next request; None once the client half-closes or the server stops.

        Raises IdleError where none comes for too long, RejectedError where it cannot be parsed,
        UnauthenticatedError where the caller's token was revoked or expired meanwhile.
        """
        if self._reading is None:
            self._reading = asyncio.create_task(self._context.read())
        done, _ = await asyncio.wait(
            {self._reading, self._closing},
            timeout=self._idle_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if self._closing in done:
            return None
        if not done:
            raise IdleError(f"no request came for {self._idle_s:g} seconds")
        raw, self._reading = self._reading.result(), None
        if raw is grpc.aio.EOF:
            return None
        self.note.n_bytes += len(raw)
        guard.take(len(raw))
        return parse(self._request_class, raw)

    async def send(self, response: Message) -> None:
        """Raises IdleError where the client does not take it for too long."""
        await _send(self._context, response, self._idle_s)

    async def drain(self) -> None:
        """Take and forget what the client still sends, for at most DRAIN_S.

        An error that meets a request on its way is lost: grpcio's asyncio client then tells
        INTERNAL instead (grpc/grpc#36066).
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while await (self._reading or self._context.read()) is not grpc.aio.EOF:
                    self._reading = None

    async def close(self) -> None:
        tasks = [task for task in (self._reading, self._closing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Responses:
    """The server's side of one server-streaming call."""

    def __init__(self, context: grpc.aio.ServicerContext) -> None:
        self._context = context

    async def open(self) -> None:
        """Tell the client, by the initial metadata, that it is served."""
        await self._context.send_initial_metadata(())

    async def send(self, response: Message) -> None:
        """Raises IdleError where the client does not take it for too long, UnauthenticatedError
        where its token was revoked or expired meanwhile."""
        guard.take(0)
        await _send(self._context, response, SEND_S)


async def _send(context: grpc.aio.ServicerContext, response: Message, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            await context.write(response.SerializeToString())
    except TimeoutError:
        raise IdleError(f"no answer was taken for {within_s:g} seconds") from None
