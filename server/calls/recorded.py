"""One recording → its utterances, its shape and its loudness, in bounded memory."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from emotion.v1.types_pb2 import Context

from modalities.errors import InputError
from modalities.reading import Array, Modality
from modalities.voice.stream import SAMPLE_RATE_HZ
from server.analysis import Call, Role
from server.calls.events import CallSummary, Event, Utterance
from server.calls.scoring import AT_ONCE, Policy, patiently
from server.calls.session import CallSession
from server.follow import Following
from server.pipeline import Pipeline
from server.runner import Generation, together
from server.workers.pool import DECODERS, RecordingFile

MAX_UNNAMED_CHANNELS = 2
FLOOR_DBFS = -100.0
PATIENCE_S = 600.0  # for a model whose queue is full: nobody waits


@dataclass(frozen=True)
class Recording:
    """A file, and what it is called in the table."""

    name: str
    path: Path
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True)
class CallOptions:
    """Who speaks.

    channel_roles   on each channel, None where that is not known; empty where nothing is known
    single_speaker  in recordings of one channel, where one person speaks in each
    """

    channel_roles: tuple[Role | None, ...] = ()
    single_speaker: Role | None = None
    score_unknown_roles: bool = False

    def __post_init__(self) -> None:
        if len(self.channel_roles) == 1:
            raise InputError(
                "say of at least two channels who speaks; single_speaker is for recordings of one",
                "channel_roles",
            )

    def roles(self, channels: int) -> tuple[Role | None, ...]:
        """Of a recording; raises InputError where its channels are not those that were named."""
        if channels == 1:
            return (self.single_speaker,)
        if self.channel_roles and len(self.channel_roles) != channels:
            named = len(self.channel_roles)
            raise InputError(f"it has {channels} channels, and roles were given for {named}")
        if not self.channel_roles and channels > MAX_UNNAMED_CHANNELS:
            raise InputError(f"it has {channels} channels: say who speaks on each of them")
        return self.channel_roles or (None,) * channels


@dataclass(frozen=True, eq=False)
class RecordedCall:
    """What a recording comes to, its utterances by their start; `loudness_dbfs` (channels, seconds)
    is the mean power of each second, the last one perhaps shorter."""

    utterances: Sequence[Utterance]
    summary: CallSummary
    codec: str
    loudness_dbfs: Array


async def score(
    path: Path,
    pipeline: Pipeline,
    options: CallOptions,
    heard: Callable[[float], None],
    turn: AbstractAsyncContextManager[Any] = AT_ONCE,
    generation: Generation | None = None,
) -> RecordedCall:
    """Score a file of any length; `heard` is told the seconds of audio, added up over channels,
    as they are read. What is damaged is left out and noted. `turn` as for a Scorer; by the models
    of `generation`, by default those that serve.

    Raises InputError where there is no call in it, OSError where it cannot be opened.
    """
    if not path.stat().st_size:
        raise InputError("the file is empty")
    call = Call(str(uuid.uuid4()), generation=generation)

    async def read() -> Array | None:
        return await pipeline.runner.prepare(call, Modality.VOICE, reader.read)

    limit_s = pipeline.settings.max_decode_s
    with await pipeline.runner.prepare(
        call, Modality.VOICE, lambda: _Reader(path, limit_s)
    ) as reader:
        block = await read()
        roles = options.roles(reader.file.channels)
        policy = Policy(options.score_unknown_roles, pipeline.settings.score_agents)
        following = await _following(path, pipeline, call)
        async with CallSession(
            pipeline,
            call,
            roles,
            policy,
            patience_s=PATIENCE_S,
            turn=turn,
            following=following,
        ) as session:

            async def feed() -> None:
                nonlocal block
                while block is not None:
                    await session.feed(block)
                    heard(block.size / SAMPLE_RATE_HZ)
                    block = await read()
                await session.finish(reader.file.notes)

            events: list[Event] = []

            async def collect() -> None:
                events.extend([event async for event in session.events()])

            await together([feed(), collect()])
        summary = events.pop()
        assert isinstance(summary, CallSummary)
        utterances = [event for event in events if isinstance(event, Utterance)]
        utterances.sort(key=lambda one: (one.start_s, one.channel))  # they come as they end
        loudness = np.stack(reader.loudness_dbfs, axis=1)
        return RecordedCall(utterances, summary, reader.file.codec, loudness)


async def _following(path: Path, pipeline: Pipeline, call: Call) -> Following | None:
    """Where there is a store it is recorded, as a conversation of the file's name."""
    if pipeline.followers.store is None:
        return None

    async def begin() -> Following:
        context = Context(conversation_id=path.name)
        return pipeline.follow(context, call, "BatchAnalyzeCalls")

    return await patiently(begin, PATIENCE_S)


class _Reader:
    """A file's blocks, and the loudness of each second of them."""

    def __init__(self, path: Path, limit_s: float) -> None:
        self.file = RecordingFile(DECODERS, path, limit_s)
        self.loudness_dbfs: list[Array] = []  # (channels,) of each second
        self._blocks = self.file.blocks()
        self._rest: Array | None = None  # less than a second

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def read(self) -> Array | None:
        """(channels, n) at 16 kHz, the next samples; None at the end."""
        block = next(self._blocks, None)
        if block is not None:
            rest = block if self._rest is None else np.concatenate([self._rest, block], axis=1)
            while rest.shape[1] >= SAMPLE_RATE_HZ:
                self.loudness_dbfs.append(_dbfs(rest[:, :SAMPLE_RATE_HZ]))
                rest = rest[:, SAMPLE_RATE_HZ:]
            self._rest = rest
        elif self._rest is not None and self._rest.size:
            self.loudness_dbfs.append(_dbfs(self._rest))
        return block


def _dbfs(samples: Array) -> Array:
    power = np.square(samples, dtype=np.float64).mean(1)  # (channels,)
    return (10 * np.log10(np.maximum(power, 10 ** (FLOOR_DBFS / 10)))).astype(np.float32)
