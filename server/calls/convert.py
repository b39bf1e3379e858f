"""Events of a call → messages of the API."""

from __future__ import annotations

from dataclasses import fields

from emotion.v1 import call_pb2 as pb

from server.analysis import Call
from server.calls import shape
from server.calls.events import CallState, CallSummary, Event, MessageRead, Speech, Utterance
from server.convert import (
    advice_of,
    conversation_summary,
    duration_of,
    message_result,
    metadata_of,
    role_value,
)
from server.convert_estimate import fused_estimate, source_results
from server.follow import Advised


def response_of(event: Event, call: Call) -> pb.StreamCallResponse:
    """What a live call's client is told of an event."""
    match event:
        case Speech():
            return pb.StreamCallResponse(speech=_speech(event))
        case Utterance():
            return pb.StreamCallResponse(utterance=_utterance(event))
        case MessageRead():
            offset = duration_of(event.offset_s)
            result = message_result(event.index, role_value(event.role), offset, event.analysis)
            return pb.StreamCallResponse(message=result)
        case Advised():
            return pb.StreamCallResponse(advice=advice_of(event))
        case CallState():
            return pb.StreamCallResponse(state=_state(event))
        case CallSummary():
            return pb.StreamCallResponse(summary=summary_of(event, call))


def summary_of(summary: CallSummary, call: Call) -> pb.CallSummary:
    scores = summary.customer_scores
    return pb.CallSummary(
        shape=shape_of(summary.shape),
        customer=conversation_summary(scores, summary.satisfaction) if scores else None,
        notes=summary.notes,
        metadata=metadata_of(call),
        request_id=call.request_id,
    )


def shape_of(whole: shape.CallShape) -> pb.CallShape:
    return pb.CallShape(
        duration=duration_of(whole.duration_s),
        silence=duration_of(whole.silence_s),
        non_talk=duration_of(whole.non_talk_s),
        overlap=duration_of(whole.overlap_s),
        channels=[
            pb.ChannelShape(
                channel=channel.channel,
                role=role_value(channel.role),
                utterance_count=channel.utterance_count,
                talk_time=duration_of(channel.talk_s),
                interruption_count=channel.interruption_count,
                loudness_dbfs=channel.loudness_dbfs,
                speaking_rate_per_minute=channel.speaking_rate_per_minute,
                course=_course(channel.course) if channel.course else None,
            )
            for channel in whole.channels
        ],
    )


def _course(course: shape.ScoreCourse) -> pb.ScoreCourse:
    values = {one.name: getattr(course, one.name) for one in fields(course)}
    for moments in ("lowest_moments", "highest_moments"):
        values[moments] = [
            pb.Peak(
                start_offset=duration_of(peak.start_s),
                end_offset=duration_of(peak.end_s),
                score=peak.score,
            )
            for peak in values[moments]
        ]
    return pb.ScoreCourse(**values)


def _speech(speech: Speech) -> pb.SpeechEvent:
    return pb.SpeechEvent(
        type=pb.SpeechEvent.STARTED if speech.started else pb.SpeechEvent.ENDED,
        offset=duration_of(speech.offset_s),
        channel=speech.channel,
        role=role_value(speech.role),
    )


def _utterance(utterance: Utterance) -> pb.Utterance:
    fused = utterance.fused
    return pb.Utterance(
        index=utterance.index,
        channel=utterance.channel,
        role=role_value(utterance.role),
        start_offset=duration_of(utterance.start_s),
        end_offset=duration_of(utterance.end_s),
        is_final=utterance.is_final,
        loudness_dbfs=utterance.loudness_dbfs,
        text=utterance.text,
        confidence=utterance.confidence,
        language=utterance.language,
        estimate=fused_estimate(fused) if fused else None,
        sources=source_results(fused) if fused else (),
        not_scored=utterance.not_scored,
    )


def _state(state: CallState) -> pb.CallState:
    return pb.CallState(
        offset=duration_of(state.offset_s),
        score=state.score,
        trend_per_minute=state.trend_per_minute,
        shift=state.shift,
        shape=shape_of(state.shape),
    )
