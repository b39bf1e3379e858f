"""A call, live or recorded: samples and messages in, events out, in bounded memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from modalities.errors import EmotionError
from modalities.reading import Array, Modality, Source
from modalities.voice.listen import STEP, Heard, Listener, SpeechEnded, SpeechStarted
from modalities.voice.stream import SAMPLE_RATE_HZ
from server.analysis import Analysis, Call, Content, Role
from server.calls.events import CallState, Event, MessageRead, Speech, Utterance
from server.calls.record import CallRecord
from server.calls.scoring import AT_ONCE, PATIENCE_S, Policy, Score, Scorer
from server.calls.shape import Span
from server.course import course
from server.follow import Following
from server.moments import Moment
from server.pipeline import Pipeline
from server.read_text import not_scored
from server.speakers import Standing
from server.turns import Place

Result = TypeVar("Result")
Maker = Callable[[], Awaitable[Sequence[Event]]]

MAX_WAITING = 16  # events of one call that wait for their scores, and as many for their reader
INTERIM_S = 1.0  # of new speech between interim utterances


@dataclass
class _Channel:
    role: Role | None
    listener: Listener = field(default_factory=Listener)
    interim: asyncio.Task[None] | None = None
    interim_s: float = 0.0  # how far the last interim utterance went
    standing: Standing | None = None  # of the last utterance


class CallSession:
    """One call of `len(roles)` channels; to be used in an `async with`, which frees all it holds.

    `feed`, `message` and `finish` are called one after the other; `events` is read at the same
    time by another task, and holds them up where it is not. Events come as they are known, but
    final utterances, messages and states in the order of the call, so that they are the same
    however the samples were cut; the summary is the last. `state_interval_s` None asks for no
    states.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        call: Call,
        roles: Sequence[Role | None],
        policy: Policy,
        *,
        language: str | None = None,
        interim: bool = False,
        state_interval_s: float | None = None,
        patience_s: float = PATIENCE_S,
        turn: AbstractAsyncContextManager[Any] = AT_ONCE,
        following: Following | None = None,
    ) -> None:
        self.pipeline, self.runner, self.call = pipeline, pipeline.runner, call
        self.policy, self.interim, self.following = policy, interim, following
        self._scorer = Scorer(pipeline, call, policy, language, patience_s, turn)
        self.roles = tuple(roles)
        self._channels = [_Channel(role) for role in roles]
        self._record = CallRecord(roles)
        self._waiting = np.zeros((len(roles), 0), np.float32)  # less than a step
        self._n_samples = 0  # listened to
        self._state_every = state_interval_s and max(STEP, round(state_interval_s * SAMPLE_RATE_HZ))
        self._n_final = self.n_messages = 0
        self._makers: asyncio.Queue[Maker | None] = asyncio.Queue(MAX_WAITING)
        self._events: asyncio.Queue[Event | Exception | None] = asyncio.Queue(MAX_WAITING)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._place: Place | None = None  # of the last utterance or message
        self._words_not_read: Counter[str] = Counter()  # utterances, by the reason
        self._deliverer = self._spawn(self._deliver())

    async def __aenter__(self) -> CallSession:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def duration_s(self) -> float:
        """How much audio came so far."""
        return (self._n_samples + self._waiting.shape[1]) / SAMPLE_RATE_HZ

    async def events(self) -> AsyncIterator[Event]:
        """All events, the summary last; raises what `fail` was told."""
        while (event := await self._events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event

    async def feed(self, samples: Array) -> None:
        """The next samples (channels, n) float32 at 16 kHz; n is free."""
        self._waiting = np.concatenate([self._waiting, samples], axis=1)
        await self._listen(STEP)

    async def _listen(self, least: int) -> None:
        """To what waits, down to fewer samples than `least`."""
        while self._waiting.shape[1] >= least:
            n = self._waiting.shape[1]
            if self._state_every:
                n = min(n, self._state_every - self._n_samples % self._state_every)
            part, self._waiting = self._waiting[:, :n], self._waiting[:, n:].copy()
            await self._sounds(part)
            if self._state_every and self._n_samples % self._state_every == 0:
                offset_s = self._n_samples / SAMPLE_RATE_HZ
                await self._promise(partial(self._state, offset_s, self._ongoing()))

    async def message(self, content: Content, offset_s: float | None = None) -> None:
        """A text or a picture, sent at `offset_s`; by default now."""
        offset_s = self.duration_s if offset_s is None else offset_s
        index, self.n_messages = self.n_messages, self.n_messages + 1
        await self._listen(1)  # however the samples before it were cut
        place = self._place = Place(self._place, content.modalities)
        task = self._reading(self._scorer.analyze(content, place), place)
        await self._promise(partial(self._message, task, index, content, offset_s))

    async def fail(self, error: Exception) -> None:
        """Nothing more can come, for this reason."""
        await self._events.put(error)

    async def finish(self, notes: Sequence[str] = ()) -> None:
        """No more comes: the last utterances and the summary follow, with `notes` in it."""
        await self._sounds(self._waiting, last=True)
        self._waiting = self._waiting[:, :0]
        await self._promise(partial(self._summary, notes))
        await self._promise(None)
        await self._deliverer

    async def _sounds(self, samples: Array, last: bool = False) -> None:
        def listen() -> list[tuple[int, SpeechStarted | SpeechEnded | Heard]]:
            heard = []
            for index, (channel, part) in enumerate(zip(self._channels, samples, strict=True)):
                heard += [(index, sound) for sound in channel.listener.feed(part)]
                if last:
                    heard += [(index, sound) for sound in channel.listener.finish()]
            return sorted(heard, key=lambda one: (one[1].known_s, one[0]))  # stable

        sounds = await self.runner.listen(listen)
        self._n_samples += samples.shape[1]
        for index, sound in sounds:
            channel = self._channels[index]
            if isinstance(sound, Heard):
                self._forget_interim(channel)
                place = self._place = Place(self._place, [Modality.VOICE])
                standing = channel.standing = Standing(channel.standing)
                work = self._scorer.score(sound, channel.role, place, standing)
                task = self._reading(work, place, standing)
                await self._promise(partial(self._final, task, index, sound))
            elif isinstance(sound, SpeechStarted):
                await self._events.put(Speech(True, sound.start_s, index, channel.role))
            else:
                self._forget_interim(channel)
                await self._events.put(Speech(False, sound.end_s, index, channel.role))
        if self.interim and not last:
            for index, channel in enumerate(self._channels):
                self._hear_interim(index, channel)

    def _ongoing(self) -> list[Span]:
        spans = []
        for index, channel in enumerate(self._channels):
            if heard := channel.listener.current():
                segment = heard.segment
                spans.append(Span(index, segment.start_s, segment.end_s, segment.loudness_dbfs))
        return spans

    def _hear_interim(self, index: int, channel: _Channel) -> None:
        start_s = channel.listener.current_start_s
        if start_s is None or channel.interim is not None or self.policy.refusal(channel.role):
            return
        now_s = self._n_samples / SAMPLE_RATE_HZ
        if now_s - max(channel.interim_s, start_s) >= INTERIM_S:
            channel.interim_s = now_s
            if heard := channel.listener.current():
                channel.interim = self._spawn(self._tell_interim(index, channel, heard))

    async def _tell_interim(self, index: int, channel: _Channel, heard: Heard) -> None:
        place, standing = Place(self._place), Standing(channel.standing)
        score = await self._scorer.score(heard, channel.role, place, standing)
        channel.interim = None
        await self._events.put(self._utterance(-1, index, heard, score))

    def _forget_interim(self, channel: _Channel) -> None:
        if channel.interim is not None:
            channel.interim.cancel()
            channel.interim = None

    async def _deliver(self) -> None:
        try:
            while (make := await self._makers.get()) is not None:
                for event in await make():
                    await self._events.put(event)
        finally:
            await self._events.put(None)

    async def _promise(self, make: Maker | None) -> None:
        """An event in its turn; raises what broke the delivery."""
        put = self._spawn(self._makers.put(make))
        await asyncio.wait({put, self._deliverer}, return_when=asyncio.FIRST_COMPLETED)
        if self._deliverer.done():
            await self._deliverer

    async def _final(self, task: asyncio.Task[Score], index: int, heard: Heard) -> Sequence[Event]:
        score = await task
        utterance = self._utterance(self._n_final, index, heard, score)
        self._n_final += 1
        self._record.add(utterance, score.words)
        if score.words_not_read:
            self._words_not_read[score.words_not_read] += 1
        if self.following is None:
            return [utterance]
        state = self._record.state(utterance.end_s, ())
        return [utterance, *self.following.add(_moment(utterance, heard, score, state))]

    async def _message(
        self, task: asyncio.Task[Analysis], index: int, content: Content, offset_s: float
    ) -> Sequence[Event]:
        analysis = await task
        moments = [
            replace(moment, index=index) for moment in course([content], [analysis], [offset_s])
        ]
        self._record.add_message(moments, offset_s)
        advised = self.following.add_all(moments) if self.following else []
        return [MessageRead(index, content.sender, offset_s, analysis), *advised]

    async def _state(self, offset_s: float, ongoing: Sequence[Span]) -> Sequence[Event]:
        return [self._record.state(offset_s, ongoing)]

    async def _summary(self, notes: Sequence[str]) -> Sequence[Event]:
        try:
            satisfaction = await self.pipeline.satisfaction(self._record.turns(), self.call)
        except EmotionError:
            satisfaction = None
        told = [
            f"channel {index}: {why}"
            for index, role in enumerate(self.roles)
            if (why := self.policy.refusal(role))
        ]
        if self._words_not_read:
            told.append(not_scored(self._words_not_read, self._n_final, "utterances"))
        if self.following is not None:
            self.following.end(satisfaction)
        return [self._record.summary(self.duration_s, satisfaction, [*notes, *told])]

    def _utterance(self, index: int, channel: int, heard: Heard, score: Score) -> Utterance:
        return Utterance(
            index=index,
            channel=channel,
            role=self.roles[channel],
            start_s=heard.segment.start_s,
            end_s=heard.segment.end_s,
            is_final=index >= 0,
            loudness_dbfs=heard.segment.loudness_dbfs,
            readings=score.readings,
            fused=score.fused,
            text=score.text,
            confidence=score.confidence,
            language=score.language,
            not_scored=score.not_scored,
        )

    def _reading(
        self, work: Coroutine[Any, Any, Result], place: Place, standing: Standing | None = None
    ) -> asyncio.Task[Result]:
        """A task, however it ends: nobody waits any longer for what is said at `place`, or for how
        its speaker sounds there."""
        task = self._spawn(work)
        task.add_done_callback(lambda _: place.close())
        if standing is not None:
            task.add_done_callback(lambda _: standing.close())
        return task

    def _spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _moment(utterance: Utterance, heard: Heard, score: Score, state: CallState) -> Moment:
    content = {
        Source.VOICE: heard.segment.samples.tobytes(),
        Source.TRANSCRIPT: score.text.encode(),
    }
    return Moment(
        utterance.index,
        utterance.role,
        utterance.readings,
        utterance.fused,
        utterance.text,
        score.words,
        utterance.start_s,
        utterance.end_s,
        state,
        {source: part for source, part in content.items() if part},
    )
