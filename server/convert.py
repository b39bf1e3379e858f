"""Analyses → messages of the API."""

from __future__ import annotations

from collections.abc import Sequence

from emotion.v1.advice_pb2 import Advice as AdviceMessage
from emotion.v1.conversation_pb2 import ConversationSummary, MessageResult
from emotion.v1.emotion_service_pb2 import (
    AnalyzeConversationRequest,
    AnalyzeConversationResponse,
    AnalyzeEmotionResponse,
)
from emotion.v1.explanation_pb2 import Explanation
from emotion.v1.types_pb2 import (
    Box,
    Metadata,
    ModalityResult,
    PictureResult,
    ReadMessage,
    Role,
    SideResult,
    TranscriptSegment,
    Word,
)
from emotion.v1.types_pb2 import Modality as ModalityValue
from emotion.v1.types_pb2 import Transcript as TranscriptMessage
from google.protobuf.duration_pb2 import Duration

from fusion.conversation import summarise
from fusion.pool import Fused
from modalities.errors import InputError
from modalities.image.ocr import Box as PixelBox
from modalities.image.prepare import PreparedImage
from modalities.image.sides import Side
from modalities.reading import score_of
from server import analysis as domain
from server.analysis import Analysis, Call, State
from server.convert_estimate import (
    Fields,
    estimate_of,
    fused_estimate,
    source_results,
)
from server.course import customer_scores
from server.follow import Advised
from server.moments import Moment


def emotion_response(
    analysis: Analysis,
    advised: Sequence[Advised],
    explanation: Explanation | None,
    call: Call,
) -> AnalyzeEmotionResponse:
    fused = analysis.fused
    return AnalyzeEmotionResponse(
        fused=fused_estimate(fused),
        sources=source_results(fused) if fused else (),
        modalities=_modalities(analysis),
        transcript=_transcript(analysis),
        messages=_messages(analysis),
        pictures=_pictures(analysis),
        metadata=metadata_of(call),
        request_id=call.request_id,
        advice=map(advice_of, advised),
        explanation=explanation,
    )


def conversation_response(
    request: AnalyzeConversationRequest,
    analyses: Sequence[Analysis],
    moments: Sequence[Moment],
    advised: Sequence[Advised],
    satisfaction: float | None,
    call: Call,
) -> AnalyzeConversationResponse:
    response = AnalyzeConversationResponse(
        metadata=metadata_of(call), request_id=call.request_id, advice=map(advice_of, advised)
    )
    for index, (message, analysis) in enumerate(zip(request.messages, analyses, strict=True)):
        offset = message.offset if message.HasField("offset") else None
        response.messages.append(message_result(index, message.role, offset, analysis))
    if scores := customer_scores(moments):
        response.customer.CopyFrom(conversation_summary(scores, satisfaction))
    return response


def advice_of(advised: Advised) -> AdviceMessage:
    advice = advised.advice
    message = AdviceMessage(
        rule=advice.rule,
        text=advice.text[advised.language],
        language=advised.language,
        priority=advice.priority,
        tags=advice.tags,
        index=advised.index,
        offset=None if advice.offset_s is None else duration_of(advice.offset_s),
        book_revision=advised.book_revision,
    )
    message.facts.update(advice.facts)
    return message


def message_result(
    index: int, role: Role, offset: Duration | None, analysis: Analysis
) -> MessageResult:
    """Of one message; `role` and `offset` as its sender said."""
    return MessageResult(
        index=index,
        role=role,
        offset=offset,
        estimate=fused_estimate(analysis.fused),
        modalities=_modalities(analysis),
        transcript=_transcript(analysis),
        messages=_messages(analysis),
        pictures=_pictures(analysis),
    )


def conversation_summary(
    scores: Sequence[float], satisfaction: float | None
) -> ConversationSummary:
    """Of the customer's scores in order, at least one."""
    shape = summarise(scores)
    return ConversationSummary(
        message_count=len(scores),
        score=shape.score,
        start=shape.start,
        end=shape.end,
        lowest=shape.lowest,
        shift=shape.shift,
        satisfaction=satisfaction,
    )


def _modalities(analysis: Analysis) -> list[Fields]:
    """ModalityResults."""
    return [_modality(outcome, analysis.fused) for outcome in analysis.outcomes]


def _modality(outcome: domain.Outcome, fused: Fused | None) -> Fields:
    fields: Fields = {
        "modality": ModalityValue.Value(outcome.modality.name),
        "state": _state(outcome.state),
    }
    if outcome.state is State.ABSENT:
        return fields
    shares = fused.sources if fused else ()
    return fields | {
        "reason": outcome.reason,
        "remedy": outcome.remedy,
        "estimate": estimate_of(outcome.readings, outcome.pooled),
        "share": sum(one.share for one in shares if one.source.modality is outcome.modality),
        "sides": map(_side, outcome.sides),
    }


def _state(state: State) -> ModalityResult.State:
    return ModalityResult.State.Value(state.name)


def _transcript(analysis: Analysis) -> TranscriptMessage | None:
    for outcome in analysis.outcomes:
        if outcome.transcript is not None:
            return _transcript_of(outcome.transcript)
    return None


def _transcript_of(transcript: domain.Transcript) -> TranscriptMessage:
    texts = [speech.text for speech in transcript.segments if speech.text]
    languages = [speech.language for speech in transcript.segments if speech.language]
    return TranscriptMessage(
        state=_state(transcript.state),
        reason=transcript.reason,
        remedy=transcript.remedy,
        text=" ".join(texts),
        language=max(set(languages), key=languages.count) if languages else "",
        segments=[
            TranscriptSegment(
                start_offset=duration_of(speech.start_s),
                end_offset=duration_of(speech.end_s),
                text=speech.text,
                confidence=speech.confidence,
                words=[
                    Word(
                        text=word.text,
                        start_offset=duration_of(word.start_s),
                        end_offset=duration_of(word.end_s),
                    )
                    for word in speech.words
                ],
                estimate=estimate_of(speech.readings, speech.pooled),
                language=speech.language,
                loudness_dbfs=speech.loudness_dbfs,
            )
            for speech in transcript.segments
        ],
    )


def _messages(analysis: Analysis) -> list[ReadMessage]:
    return [_message(line) for outcome in analysis.outcomes for line in outcome.lines]


def _message(line: domain.Line) -> ReadMessage:
    read = line.read
    return ReadMessage(
        kind=ReadMessage.Kind.Value(read.kind.name),
        text=read.text,
        page=read.page,
        box=_box(read.box),
        side=_side_value(read.side),
        role=role_value(line.role),
        ocr_confidence=read.confidence,
        time_text=read.time_text,
        estimate=fused_estimate(line.pooled) if line.pooled else None,
        quoted_text=read.quoted,
        sender_name=read.sender,
    )


def _side(side: domain.ChatSide) -> SideResult:
    scores = [float(score_of(line.pooled.log_sentiment)) for line in side.lines if line.pooled]
    return SideResult(
        side=_side_value(side.side),
        role=role_value(side.role),
        estimate=fused_estimate(side.pooled),
        scores=scores,
        shift=summarise(scores).shift if scores else None,
    )


def _pictures(analysis: Analysis) -> list[PictureResult]:
    return [_picture(picture) for outcome in analysis.outcomes for picture in outcome.pictures]


def _picture(picture: PreparedImage | InputError) -> PictureResult:
    if isinstance(picture, InputError):
        return PictureResult(reason=picture.reason)
    return PictureResult(
        kind=PictureResult.Kind.Value(picture.kind.name),
        confidence=picture.classified.confidence,
        reason=picture.classified.reason,
        width=picture.width,
        height=picture.height,
        faces=[_box(face) for face in picture.faces],
    )


def _box(box: PixelBox) -> Box:
    left, top, right, bottom = box
    return Box(left=left, top=top, right=right, bottom=bottom)


def _side_value(side: Side) -> ReadMessage.Side:
    return ReadMessage.Side.Value(side.name if side is not Side.NONE else "SIDE_UNSPECIFIED")


def role_value(role: domain.Role | None) -> Role:
    return Role.Value(role.name) if role else Role.ROLE_UNSPECIFIED


def metadata_of(call: Call) -> Metadata:
    """What was noted about a call on its way."""
    return Metadata(
        models=[
            {"name": f"models/{name}", "revision": revision}
            for name, revision in sorted(call.models.items())
        ],
        timings=[
            {"stage": stage, "duration": duration_of(end - start)}
            for stage, (start, end) in sorted(call.stages.items())
        ],
        encoder_passes=call.encoder_passes,
    )


def duration_of(seconds: float) -> Duration:
    """In whole microseconds, towards zero in both its parts."""
    micros = round(seconds * 1e6)
    whole = int(micros / 1e6)
    return Duration(seconds=whole, nanos=1000 * (micros - whole * 1_000_000))
