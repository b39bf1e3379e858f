"""What the models make of a call's speech and messages, and whose emotion is scored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from fusion.pool import Fused
from modalities.errors import InputError, OverloadedError
from modalities.reading import Modality, Reading, Source
from modalities.voice.listen import Heard
from modalities.voice.prepare import Segment
from server.analysis import Analysis, Call, Content, Outcome, Role, Speech, State
from server.logs import LOG
from server.pipeline import Pipeline
from server.read_voice import note_voice_models, transcribe
from server.speakers import Standing, heard_after
from server.turns import Place

Result = TypeVar("Result")

SURE_SPEECH = 0.85  # mean probability of its frames; below it are music and some noisy speech
PATIENCE_S = 10.0  # for a model whose queue is full
AT_ONCE: AbstractAsyncContextManager[Any] = nullcontext()  # all stretches of a call as they come
FAILED = "the service failed on it"


@dataclass(frozen=True)
class Policy:
    """Whose emotion is scored; the customer's always.

    An agent's only where the one who runs the service has said so: in the EU, Art. 5(1)(f) of the
    AI Act prohibits emotion recognition of people at work.
    """

    score_unknown_roles: bool = False
    score_agents: bool = False

    def refusal(self, role: Role | None) -> str:
        """Why the emotion of `role` is not scored; empty where it is."""
        if role is Role.CUSTOMER:
            return ""
        if role is None:
            return "" if self.score_unknown_roles else "it is not known who speaks"
        if role is Role.AGENT:
            return "" if self.score_agents else "the emotion of agents is not scored"
        return "it is no person's speech"


@dataclass
class Score:
    """What the models make of one stretch of speech; fields as in Utterance, `words` the text
    model's reading of `text`, or in `words_not_read` why there is none."""

    readings: Sequence[Reading] = ()
    fused: Fused | None = None
    text: str = ""
    confidence: float | None = None
    language: str = ""
    words: Reading | None = None
    words_not_read: str = ""
    not_scored: str = ""


class Scorer:
    """Of one call. Nothing that goes wrong with a stretch or a message ends the call. A stretch is
    given to the models within `turn`."""

    def __init__(
        self,
        pipeline: Pipeline,
        call: Call,
        policy: Policy,
        language: str | None,
        patience_s: float,
        turn: AbstractAsyncContextManager[Any],
    ) -> None:
        self.pipeline, self.runner, self.call = pipeline, pipeline.runner, call
        self.policy, self.language, self.patience_s = policy, language, patience_s
        self._turn = turn

    async def score(
        self, heard: Heard, role: Role | None, place: Place, standing: Standing
    ) -> Score:
        """Its emotion, where `role` is to be scored, and what is said at that place of the call,
        after what the speaker said before its standing."""
        models, not_scored = self.runner.models_of(self.call), self.policy.refusal(role)
        reader = models.voice
        if heard.probability < SURE_SPEECH:  # no emotion and no words are made of what may be music
            return Score(not_scored=not_scored or "it is hardly speech")
        if reader is None:
            return Score(not_scored=not_scored or models.missing["voice"].reason)
        if not reader.whisper:
            place.close()  # there will be no words
            if not_scored:
                return Score(not_scored=not_scored)
        segment = replace(heard.segment, language=self.language, emotion=not not_scored)
        try:
            async with self._turn:
                work = partial(self._read, segment, role, not_scored, place, standing)
                return await patiently(work, self.patience_s)
        except OverloadedError as error:
            return Score(not_scored=not_scored or error.reason)
        except Exception:
            LOG.exception("utterance failed", extra={"request_id": self.call.request_id})
            return Score(not_scored=not_scored or FAILED)

    async def analyze(self, content: Content, place: Place) -> Analysis:
        """Of a message."""
        try:
            work = partial(self.pipeline.analyze_content, content, self.call, place)
            return await patiently(work, self.patience_s)
        except (InputError, OverloadedError) as error:
            state = State.REJECTED if isinstance(error, InputError) else State.FAILED
            return _unread(content, state, error.reason)
        except Exception:
            LOG.exception("message failed", extra={"request_id": self.call.request_id})
            return _unread(content, State.FAILED, FAILED)

    async def _read(
        self,
        segment: Segment,
        role: Role | None,
        not_scored: str,
        place: Place,
        standing: Standing,
    ) -> Score:
        results = await self.runner.infer(self.call, "voice", [segment])
        note_voice_models(results, self.call, self.runner)
        readings: list[Reading] = []
        if results[0].emotion is not None:
            reader = self.runner.models_of(self.call).voice
            assert reader is not None
            readings = [await heard_after(results[0], reader, standing)]
        spoken = Speech(segment.start_s, segment.end_s, segment.loudness_dbfs, readings)
        transcript = await transcribe([spoken], results, role, place, self.call, self.runner)
        score = Score(
            text=spoken.text,
            confidence=spoken.confidence,
            language=spoken.language,
            words=next((r for r in spoken.readings if r.source is Source.TRANSCRIPT), None),
            not_scored=not_scored,
        )
        if score.text and score.words is None:
            score.words_not_read = spoken.unread.reason if spoken.unread else transcript.reason
        if not spoken.readings and not not_scored:
            score.not_scored = results[0].not_heard
        elif not not_scored:
            score.readings = spoken.readings
            self.call.models["fusion"] = self.runner.models_of(self.call).fusion.revision
            (score.fused,) = await self.runner.infer(self.call, "fusion", [spoken.readings])
        return score


async def patiently(work: Callable[[], Awaitable[Result]], patience_s: float) -> Result:
    """`work`, again while a queue is full: a call cannot come back later. Raises OverloadedError
    after `patience_s`."""
    give_up = time.monotonic() + patience_s
    while True:
        try:
            return await work()
        except OverloadedError as error:
            if time.monotonic() + error.retry_after_s > give_up:
                raise
            await asyncio.sleep(error.retry_after_s)


def _unread(content: Content, state: State, reason: str) -> Analysis:
    """Of a message that could not be read at all."""
    parts = {
        Modality.TEXT: content.text,
        Modality.VOICE: content.audio,
        Modality.IMAGE: content.images,
    }
    return Analysis(
        [
            Outcome(modality, state, reason) if part else Outcome(modality, State.ABSENT)
            for modality, part in parts.items()
        ]
    )
