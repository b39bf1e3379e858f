"""Analyses → messages of the API."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from emotion.v1.conversation_pb2 import ConversationSummary, MessageResult
from emotion.v1.emotion_service_pb2 import (
    AnalyzeConversationRequest,
    AnalyzeConversationResponse,
    AnalyzeEmotionResponse,
)
from emotion.v1.types_pb2 import (
    Box,
    Estimate,
    Fusion,
    LabelBias,
    Metadata,
    ModalityResult,
    ModelUse,
    PictureResult,
    ReadMessage,
    Role,
    Sentiment,
    SideResult,
    SourceResult,
    StageTiming,
    TranscriptSegment,
    Word,
)
from emotion.v1.types_pb2 import Modality as ModalityValue
from emotion.v1.types_pb2 import Transcript as TranscriptMessage
from google.protobuf.duration_pb2 import Duration

from fusion.conversation import summarise
from fusion.labels import valence_arousal
from fusion.pool import Fused, FusionPool, SourceShare
from modalities.errors import InputError
from modalities.image.ocr import Box as PixelBox
from modalities.image.prepare import PreparedImage
from modalities.image.sides import Side
from modalities.reading import EMOTIONS, SENTIMENTS, Array, Reading, score_of
from server import analysis as domain
from server.analysis import Analysis, Call, State
from server.course import Said


def emotion_response(analysis: Analysis, pool: FusionPool, call: Call) -> AnalyzeEmotionResponse:
    fused = analysis.fused
    response = AnalyzeEmotionResponse(
        fused=fused_estimate(fused),
        modalities=_modalities(analysis),
        transcript=_transcript(analysis),
        messages=_messages(analysis),
        pictures=_pictures(analysis),
        metadata=metadata_of(call),
        request_id=call.request_id,
    )
    if fused is not None:
        response.sources.extend(source_results(fused))
        response.fusion.CopyFrom(_fusion(fused, pool))
    return response


def conversation_response(
    request: AnalyzeConversationRequest,
    analyses: Sequence[Analysis],
    said: Sequence[Said],
    satisfaction: float | None,
    call: Call,
) -> AnalyzeConversationResponse:
    response = AnalyzeConversationResponse(metadata=metadata_of(call), request_id=call.request_id)
    for index, (message, analysis) in enumerate(zip(request.messages, analyses, strict=True)):
        offset = message.offset if message.HasField("offset") else None
        response.messages.append(message_result(index, message.role, offset, analysis))
    scores = [one.score for one in said if one.role is domain.Role.CUSTOMER]
    if scores:
        response.customer.CopyFrom(conversation_summary(scores, satisfaction))
    return response


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


def source_results(fused: Fused) -> list[SourceResult]:
    """The terms of an answer."""
    return [
        SourceResult(
            source=SourceResult.Source.Value(share.source.name),
            modality=ModalityValue.Value(share.source.modality.name),
            estimate=_estimate(share),
            weight=share.weight,
            contribution=share.contribution,
            share=share.share,
        )
        for share in fused.sources
    ]


def _estimate(said: Reading | SourceShare) -> Estimate:
    """What a source says as it stands; its confidence is its likeliest sentiment's probability."""
    confidence = float(np.exp(said.log_sentiment.max()))
    return _distributions(said.log_sentiment, said.log_emotions, confidence, False)


def fused_estimate(fused: Fused | None) -> Estimate:
    """The pool's answer; where there is none, an abstention."""
    if fused is None:
        return Estimate(abstained=True)
    return _distributions(
        fused.log_sentiment, fused.log_emotions, fused.confidence, fused.abstained
    )


def _of_part(readings: Sequence[Reading], pooled: Fused | None) -> Estimate | None:
    """The estimate of something with one source, or with two that were pooled."""
    if pooled is not None:
        return fused_estimate(pooled)
    return _estimate(readings[0]) if readings else None


def _distributions(
    log_sentiment: Array, log_emotions: Array, confidence: float, abstained: bool
) -> Estimate:
    valence, arousal = valence_arousal(log_emotions)
    estimate = Estimate(
        score=float(score_of(log_sentiment)),
        sentiment=Sentiment(**dict(zip(SENTIMENTS, np.exp(log_sentiment), strict=True))),
        valence=valence,
        arousal=arousal,
        confidence=confidence,
        abstained=abstained,
    )
    for label, probability in zip(EMOTIONS, np.exp(log_emotions), strict=True):
        estimate.emotions.add(label=label, probability=probability)
    return estimate


def _modalities(analysis: Analysis) -> list[ModalityResult]:
    shares = analysis.fused.sources if analysis.fused else ()
    return [
        ModalityResult(
            modality=ModalityValue.Value(outcome.modality.name),
            state=_state(outcome.state),
            reason=outcome.reason,
            remedy=outcome.remedy,
            estimate=_of_part(outcome.readings, outcome.pooled),
            share=sum(s.share for s in shares if s.source.modality is outcome.modality),
            sides=[_side(side) for side in outcome.sides],
        )
        for outcome in analysis.outcomes
    ]


def _state(state: State) -> ModalityResult.State:
    return ModalityResult.State.Value(state.name)


def _fusion(fused: Fused, pool: FusionPool) -> Fusion:
    return Fusion(
        temperature=pool.temperature,
        sentiment_bias=_biases(SENTIMENTS, pool.sentiment_bias),
        emotion_bias=_biases(EMOTIONS, pool.emotion_bias),
        bias_contribution=fused.bias_contribution,
        bias_share=fused.bias_share,
    )


def _biases(labels: Sequence[str], biases: Array) -> list[LabelBias]:
    return [LabelBias(label=label, bias=bias) for label, bias in zip(labels, biases, strict=True)]


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
                estimate=_of_part(speech.readings, speech.pooled),
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
            ModelUse(name=f"models/{name}", revision=revision)
            for name, revision in sorted(call.models.items())
        ],
        timings=[
            StageTiming(stage=stage, duration=duration_of(end - start))
            for stage, (start, end) in sorted(call.stages.items())
        ],
        encoder_passes=call.encoder_passes,
    )


def duration_of(seconds: float) -> Duration:
    """In whole microseconds."""
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e6) * 1000)
    return duration
