"""StreamCall: a call while it is held."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from emotion.v1.call_pb2 import StreamCallConfig, StreamCallRequest
from emotion.v1.conversation_pb2 import Message

from modalities.errors import InputError, LimitError
from modalities.voice.chunks import ChunkDecoder, chunk_decoder
from modalities.voice.transcribe import language_code
from server.calls.convert import response_of
from server.calls.scoring import Policy
from server.calls.session import CallSession
from server.checks import call_of, message_content, role_of
from server.pipeline import Pipeline
from server.streams import Stream

MAX_ROLES = 2
MIN_STATE_INTERVAL_S, STATE_INTERVAL_S = 1.0, 5.0


class LiveCalls:
    """The handler of StreamCall, as `server.rpc` takes it."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline, self.settings = pipeline, pipeline.settings

    async def stream_call(self, stream: Stream) -> None:
        """One call. A client that does not take its answers is not listened to.

        Raises InputError on a request that does not fit, LimitError (an InputError) at a limit,
        and what `stream` raises.
        """
        request: StreamCallRequest | None = await stream.read()
        if request is None and stream.stopping:
            return
        if request is None or request.WhichOneof("request") != "config":
            raise InputError("the first request must be the configuration", "config")
        stream.note.request = request.config
        with _within("config"):
            session, decoder = self._start(request.config)
        async with session:
            hearing = asyncio.create_task(self._hear(stream, session, decoder))
            try:
                async for event in session.events():
                    await stream.send(response_of(event, session.call))
                await hearing
            finally:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)

    def _start(self, config: StreamCallConfig) -> tuple[CallSession, ChunkDecoder]:
        call = call_of(config, None)
        roles = [
            role_of(value, f"channel_roles[{index}]")
            for index, value in enumerate(config.channel_roles)
        ]
        if not 1 <= len(roles) <= MAX_ROLES:
            raise InputError(f"one role for each channel, up to {MAX_ROLES}", "channel_roles")
        if config.encoding not in StreamCallConfig.Encoding.values():
            raise InputError("not an Encoding", "encoding")
        encoding = StreamCallConfig.Encoding.Name(config.encoding)
        decoder = chunk_decoder(encoding, config.sample_rate_hz, len(roles))
        interval_s = STATE_INTERVAL_S
        if config.HasField("state_interval"):
            interval_s = config.state_interval.ToNanoseconds() / 1e9
            if interval_s < MIN_STATE_INTERVAL_S:
                raise InputError(f"at least {MIN_STATE_INTERVAL_S:g} s", "state_interval")
        language = None
        if config.context.language and "whisper" not in self.pipeline.models.missing:
            with _within("context.language"):
                language = language_code(config.context.language)
        session = CallSession(
            self.pipeline,
            call,
            roles,
            Policy(config.score_unknown_roles, self.settings.score_agents),
            language=language,
            interim=config.interim_results,
            state_interval_s=interval_s,
            following=self.pipeline.follow(config.context, call, "StreamCall"),
        )
        return session, decoder

    async def _hear(self, stream: Stream, session: CallSession, decoder: ChunkDecoder) -> None:
        """Requests → session; whatever goes wrong ends the session's events."""
        over: LimitError | None = None
        try:
            while over is None and (request := await stream.read()) is not None:
                match request.WhichOneof("request"):
                    case "audio":
                        if len(request.audio) > self.settings.max_chunk_bytes:
                            limit = self.settings.max_chunk_bytes
                            raise LimitError(f"more than {limit} bytes", "audio")
                        await session.feed(decoder.feed(request.audio))
                    case "message":
                        await self._tell(request.message, session)
                    case "config":
                        raise InputError("only the first request is one", "config")
                    case _:
                        raise InputError("audio or a message is needed", "audio")
                if session.duration_s > self.settings.max_call_s:
                    over = LimitError(
                        f"a call is at most {self.settings.max_call_s:g} seconds long", "audio"
                    )
            await session.feed(decoder.finish())
            await session.finish(_notes(stream, decoder, over))
        except Exception as error:
            await session.fail(error)
            raise
        if over:
            raise over

    async def _tell(self, message: Message, session: CallSession) -> None:
        if message.HasField("audio"):
            raise InputError("a call's audio comes as `audio`", "message.audio")
        content = message_content(message, "message", self.settings)
        if session.n_messages >= self.settings.max_messages:
            raise LimitError(f"more than {self.settings.max_messages} messages", "message")
        offset_s = message.offset.ToNanoseconds() / 1e9 if message.HasField("offset") else None
        await session.message(content, offset_s)


def _notes(stream: Stream, decoder: ChunkDecoder, over: LimitError | None) -> list[str]:
    notes = []
    if over:
        notes.append(over.reason)
    elif stream.stopping:
        notes.append("the server stops: the call was cut short")
    if decoder.bytes_left:
        notes.append(f"the last {decoder.bytes_left} bytes are no whole sample or packet")
    if decoder.corrupt_packets:
        notes.append(f"{decoder.corrupt_packets} packets could not be decoded")
    return notes


@contextmanager
def _within(field: str) -> Iterator[None]:
    """Put `field` before the field of an InputError."""
    try:
        yield
    except InputError as error:
        error.field = f"{field}.{error.field}" if error.field else field
        raise
