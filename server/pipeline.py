"""A request → its answer: check, prepare, infer, combine, fuse, assemble.

The same pipeline answers in process and behind the server. It knows no gRPC and no tensors.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from emotion.v1.emotion_service_pb2 import (
    AnalyzeConversationRequest,
    AnalyzeConversationResponse,
    AnalyzeEmotionRequest,
    AnalyzeEmotionResponse,
)
from emotion.v1.types_pb2 import Context

from fusion.satisfaction import Turn
from modalities.errors import EmotionError, InputError, LanguageError, UnavailableError
from modalities.reading import Modality, Reading
from server import convert
from server.analysis import Analysis, Call, ChatSide, Content, Line, Outcome, Speech, State
from server.checks import call_of, conversation_contents, emotion_content
from server.course import course, turns, whole
from server.errors import RejectedError
from server.explain import explain
from server.follow import Followers, Following
from server.logs import LOG
from server.models import Models
from server.observe import metrics
from server.read_image import read_images
from server.read_text import read_text
from server.read_voice import read_voice
from server.runner import WHOLE_REQUEST, Runner, together
from server.settings import Settings
from server.turns import Place


class FailedError(EmotionError):
    """The service itself failed on all that the request holds."""


class Pipeline:
    """Belongs to the event loop in which it was made; `close` it there, or use it in an
    `async with`.

    Both methods raise InputError or RejectedError on a request that cannot be answered,
    OverloadedError and TimeoutError (the deadline is a time.monotonic()), and FailedError.
    """

    def __init__(
        self, models: Models, settings: Settings, followers: Followers | None = None
    ) -> None:
        self.models, self.settings = models, settings
        self.followers = followers or Followers()
        self.runner = Runner(models, settings)

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def analyze(
        self, request: AnalyzeEmotionRequest, deadline: float | None = None
    ) -> AnalyzeEmotionResponse:
        """One emotion of all that the request holds."""
        call = call_of(request, deadline)
        content = emotion_content(request, self.settings)
        following = self.follow(request.context, call, "AnalyzeEmotion")
        with call.stage("total"):
            analysis = await self.analyze_content(content, call)
            _settle([analysis])
            moment = whole(0, content, analysis)
            advised = following.add(moment)
            explanation = None
            if request.config.explain:
                advice = [one.advice for one in advised]
                language = following.language(moment)
                explanation = await explain(analysis, content, advice, language, call, self.runner)
        following.end()
        return convert.emotion_response(analysis, advised, explanation, call)

    async def analyze_conversation(
        self, request: AnalyzeConversationRequest, deadline: float | None = None
    ) -> AnalyzeConversationResponse:
        """One emotion a message, and the course of the customer's."""
        call = call_of(request, deadline)
        contents = conversation_contents(request, self.settings)
        following = self.follow(request.context, call, "AnalyzeConversation")
        with call.stage("total"):
            analyses = await self._in_order(contents, call)
            _settle(analyses)
            moments = course(contents, analyses, _offsets_s(request))
            satisfaction = await self.satisfaction(turns(moments), call)
            advised = following.add_all(moments)
        following.end(satisfaction)
        return convert.conversation_response(
            request, analyses, moments, advised, satisfaction, call
        )

    def follow(self, context: Context, call: Call, method: str) -> Following:
        """Whatever goes along with the conversation of `call`; raises as `Followers.begin`."""
        return self.followers.begin(context, call.request_id, method, self.runner.models_of(call))

    async def analyze_content(
        self, content: Content, call: Call, place: Place | None = None
    ) -> Analysis:
        """Whatever of it can be read, with what was said before its `place`; alone where it has
        none. Raises as `analyze`, but not for content that is broken."""
        text, audio, images, sender = content.text, content.audio, content.images, content.sender
        place, runner = place or Place(), self.runner
        work: dict[Modality, Awaitable[Outcome]] = {}
        if text:
            work[Modality.TEXT] = read_text(text, sender, place, call, runner)
        if audio:
            work[Modality.VOICE] = read_voice(audio, sender, place, call, runner)
        if images:
            work[Modality.IMAGE] = read_images(images, sender, place, call, runner)

        async def read(modality: Modality, one: Awaitable[Outcome]) -> Outcome:
            outcome = await guard(modality, one, call)
            place.tell(modality)  # where it says no word, or failed before it was known
            return outcome

        found = await together([read(modality, one) for modality, one in work.items()])
        outcomes = {outcome.modality: outcome for outcome in found}
        analysis = Analysis([outcomes.get(one) or Outcome(one, State.ABSENT) for one in Modality])
        for outcome in analysis.outcomes:
            metrics.modality_ended(outcome.modality.value, outcome.state.value)
        await self._fuse(analysis, call)
        return analysis

    async def satisfaction(self, read: Sequence[Turn], call: Call) -> float | None:
        """In [-1, 1]; None without a model for it, or where the customer says no word."""
        head = self.runner.models_of(call).satisfaction
        if head is None or not any(turn.from_customer for turn in read):
            return None
        call.models[head.name] = head.revision
        answer = await self.runner.prepare(call, Modality.TEXT, lambda: head.predict([read]))
        return float(answer[0])

    async def close(self) -> None:
        """Finish what was accepted and end the threads."""
        await self.runner.close()

    async def _in_order(self, contents: Sequence[Content], call: Call) -> list[Analysis]:
        """Of a conversation's messages, each read with those before it."""
        work: list[Awaitable[Analysis]] = []
        place: Place | None = None
        for content in contents:
            place = Place(place, content.modalities)
            work.append(self.analyze_content(content, call, place))
        return await together(work)

    async def _fuse(self, analysis: Analysis, call: Call) -> None:
        """Everything of one analysis that needs the pool, in one batch."""
        if not analysis.readings:
            return
        speeches = [
            speech
            for outcome in analysis.outcomes
            if outcome.transcript
            for speech in outcome.transcript.segments
        ]
        parts: list[Outcome | Speech] = [*analysis.outcomes, *speeches]
        lines = [line for outcome in analysis.outcomes for line in outcome.lines if line.reading]
        pooled: list[Outcome | Speech | Line | ChatSide] = [
            part for part in parts if len(part.readings) > 1
        ]
        pooled += lines
        pooled += [side for outcome in analysis.outcomes for side in outcome.sides]
        items: list[Sequence[Reading]] = [analysis.readings, *(part.readings for part in pooled)]
        call.models["fusion"] = self.models.fusion.revision
        analysis.fused, *answers = await self.runner.infer(call, "fusion", items)
        for part, answer in zip(pooled, answers, strict=True):
            part.pooled = answer


async def guard(modality: Modality, work: Awaitable[Outcome], call: Call) -> Outcome:
    """The outcome of one modality, whatever happens to it: the others are still scored."""
    try:
        return await work
    except WHOLE_REQUEST:
        raise
    except InputError as error:
        return Outcome(modality, State.REJECTED, error.reason, broken=[error])
    except UnavailableError as error:
        unread = error if isinstance(error, LanguageError) else None
        return Outcome(modality, State.UNAVAILABLE, error.reason, error.remedy, unread=unread)
    except Exception:
        LOG.exception(
            "modality failed", extra={"request_id": call.request_id, "modality": modality.value}
        )
        remedy = f"try again, or report request_id {call.request_id}"
        return Outcome(modality, State.FAILED, "the service failed on it", remedy)


def _offsets_s(request: AnalyzeConversationRequest) -> list[float | None]:
    return [
        message.offset.ToNanoseconds() / 1e9 if message.HasField("offset") else None
        for message in request.messages
    ]


def _settle(analyses: Sequence[Analysis]) -> None:
    """Refuse what has no answer at all: raises RejectedError where all of it is broken,
    FailedError where nothing is used and the service is to blame."""
    outcomes = [
        outcome
        for analysis in analyses
        for outcome in analysis.outcomes
        if outcome.state is not State.ABSENT
    ]
    if any(outcome.state is State.USED for outcome in outcomes):
        return
    if all(outcome.broken and outcome.state is State.REJECTED for outcome in outcomes):
        raise RejectedError([error for outcome in outcomes for error in outcome.broken])
    if any(outcome.state is State.FAILED for outcome in outcomes):
        raise FailedError("the service failed on the request")
