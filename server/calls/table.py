"""What a scored recording is as rows: one of `CALLS`, and one of `UTTERANCES` for each stretch of
speech. Each column states what it holds, and its unit where it has one, in its field's metadata.
Tables and the report made of them are kept: transcripts lose their personal data on the way in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from fusion.conversation import summarise
from fusion.labels import valence_arousal
from modalities.reading import EMOTIONS, SENTIMENTS, Source
from server.analysis import Role
from server.calls.events import CallSummary, Utterance
from server.calls.recorded import RecordedCall, Recording
from server.calls.shape import CallShape, ChannelShape, Peak, ScoreCourse
from server.privacy.redact import redact

OK, UNREADABLE, FAILED = "OK", "UNREADABLE", "FAILED"
UNKNOWN = "UNKNOWN"

_FLOAT, _SECONDS, _COUNT, _STRING = pa.float32(), pa.float64(), pa.int32(), pa.string()


def _field(name: str, kind: pa.DataType, about: str, unit: str = "") -> pa.Field:
    return pa.field(name, kind, metadata={"about": about} | ({"unit": unit} if unit else {}))


_PEAK = pa.struct(
    [
        _field("start_s", _SECONDS, "start of the utterance, from the call's beginning", "s"),
        _field("end_s", _SECONDS, "its end", "s"),
        _field("score", _FLOAT, "its score, in [-1, 1]"),
    ]
)
_COURSE = pa.struct(
    [
        _field("utterance_count", _COUNT, "how many utterances were scored"),
        _field("score", _FLOAT, "their mean, in [-1, 1]"),
        _field("start", _FLOAT, "mean over the first quarter of them"),
        _field("end", _FLOAT, "mean over the last quarter of them"),
        _field("lowest", _FLOAT, "lowest mean of three in a row"),
        _field("shift", _FLOAT, "end - start; null below two utterances"),
        _field("quarters", pa.list_(_FLOAT), "mean of each quarter of the call's time; NaN: none"),
        _field("lowest_moments", pa.list_(_PEAK), "at most three, the lowest first"),
        _field("highest_moments", pa.list_(_PEAK), "at most three, the highest first"),
    ]
)
_CHANNEL = pa.struct(
    [
        _field("channel", _COUNT, "from 0"),
        _field("role", _STRING, "CUSTOMER, AGENT, SYSTEM or UNKNOWN"),
        _field("utterance_count", _COUNT, "how many utterances it has"),
        _field("talk_s", _SECONDS, "how long somebody spoke on it", "s"),
        _field("interruption_count", _COUNT, "how often it cut in and the other one stopped first"),
        _field("loudness_dbfs", _FLOAT, "mean power of its speech; null without speech", "dBFS"),
        _field("speaking_rate_per_minute", _FLOAT, "words, or characters of Chinese", "1/min"),
        _field("course", _COURSE, "the course of its score; null where nothing was scored"),
        _field("loudness_by_second_dbfs", pa.list_(_FLOAT), "mean power of each second", "dBFS"),
    ]
)
CALLS = pa.schema(
    [
        _field("path", _STRING, "the recording, as found"),
        _field("status", _STRING, "OK; UNREADABLE: the file is at fault; FAILED: the service is"),
        _field("error", _STRING, "why it was not scored; null where it was"),
        _field("size_bytes", pa.int64(), "size of the file", "B"),
        _field("modified_at", pa.timestamp("us", "UTC"), "when the file was last written"),
        _field("codec", _STRING, "how its audio is coded"),
        _field("duration_s", _SECONDS, "its length", "s"),
        _field("silence_s", _SECONDS, "how long nobody spoke", "s"),
        _field("non_talk_s", _SECONDS, "how much of that in stretches of at least 3 s", "s"),
        _field("overlap_s", _SECONDS, "how long several channels spoke at once", "s"),
        _field("utterance_count", _COUNT, "how many rows it has in the table of utterances"),
        _field("customer_utterance_count", _COUNT, "how many of the customer's were scored"),
        _field("customer_score", _FLOAT, "their mean, in [-1, 1]; null without any"),
        _field("customer_score_start", _FLOAT, "mean over the first quarter of them"),
        _field("customer_score_end", _FLOAT, "mean over the last quarter of them"),
        _field("customer_score_lowest", _FLOAT, "lowest mean of three in a row"),
        _field("customer_score_shift", _FLOAT, "end - start; null below two"),
        _field("satisfaction", _FLOAT, "predicted from the words of both sides, in [-1, 1]"),
        _field("notes", pa.list_(_STRING), "what a reader of the scores should know"),
        _field("channels", pa.list_(_CHANNEL), "one for each channel, in order"),
    ]
)
UTTERANCES = pa.schema(
    [
        _field("path", _STRING, "the recording, as in the table of calls"),
        _field("index", _COUNT, "its number in the call, from 0, by the time when it ended"),
        _field("channel", _COUNT, "from 0"),
        _field("role", _STRING, "CUSTOMER, AGENT, SYSTEM or UNKNOWN"),
        _field("start_s", _SECONDS, "its start, from the call's beginning", "s"),
        _field("end_s", _SECONDS, "its end, from the call's beginning", "s"),
        _field("loudness_dbfs", _FLOAT, "mean power of its samples", "dBFS"),
        _field("text", _STRING, "what is said, personal data replaced; null if unknown"),
        _field("text_confidence", _FLOAT, "mean probability of the text's tokens"),
        _field("language", _STRING, "of the text, a BCP-47 tag"),
        _field("score", _FLOAT, "P(positive) - P(negative), in [-1, 1]; null where not scored"),
        *(_field(f"sentiment_{name}", _FLOAT, "probability") for name in SENTIMENTS),
        *(_field(f"emotion_{name}", _FLOAT, "probability") for name in EMOTIONS),
        _field("valence", _FLOAT, "in [-1, 1]"),
        _field("arousal", _FLOAT, "in [-1, 1]"),
        _field("confidence", _FLOAT, "probability that the likeliest sentiment is right"),
        _field("abstained", pa.bool_(), "true where the confidence is too low to rely on"),
        _field("voice_share", _FLOAT, "share of the sound in the score, in [0, 1]"),
        _field("transcript_share", _FLOAT, "share of the words in the score, in [0, 1]"),
        _field("not_scored", _STRING, "why there is no score; null where there is one"),
    ]
)
# A call and its utterances as one row: what the journal keeps.
NESTED = CALLS.append(pa.field("utterances", pa.list_(pa.struct(list(UTTERANCES)[1:]))))


def file_row(recording: Recording) -> dict[str, Any]:
    """What is known of a recording before it is opened."""
    return {
        "path": recording.name,
        "size_bytes": recording.size_bytes,
        "modified_at": recording.modified_at,
    }


def failed_row(recording: Recording, status: str, reason: str) -> dict[str, Any]:
    """The row of `NESTED` of a recording that could not be scored."""
    return file_row(recording) | {
        "status": status,
        "error": reason,
        "utterance_count": 0,
        "utterances": [],
    }


def scored_row(recording: Recording, call: RecordedCall) -> dict[str, Any]:
    """The row of `NESTED` of a recording that was scored."""
    summary = call.summary
    row = file_row(recording) | {
        "status": OK,
        "error": None,
        "codec": call.codec,
        "duration_s": summary.shape.duration_s,
        "silence_s": summary.shape.silence_s,
        "non_talk_s": summary.shape.non_talk_s,
        "overlap_s": summary.shape.overlap_s,
        "utterance_count": len(call.utterances),
        "customer_utterance_count": len(summary.customer_scores),
        "satisfaction": summary.satisfaction,
        "notes": list(summary.notes),
        "channels": [
            _channel_row(shape, loudness)
            for shape, loudness in zip(summary.shape.channels, call.loudness_dbfs, strict=True)
        ],
        "utterances": [_utterance_row(one) for one in call.utterances],
    }
    if summary.customer_scores:
        course = summarise(summary.customer_scores)
        row["customer_score"] = course.score
        for name in ("start", "end", "lowest", "shift"):
            row[f"customer_score_{name}"] = getattr(course, name)
    return row


def summary_of(row: Mapping[str, Any]) -> CallSummary:
    """The summary of a row of `NESTED` whose status is OK: `scored_row` turned round."""
    customer = [
        one["score"]
        for one in row["utterances"]
        if one["role"] == Role.CUSTOMER and one["score"] is not None
    ]
    shape = CallShape(
        duration_s=row["duration_s"],
        silence_s=row["silence_s"],
        non_talk_s=row["non_talk_s"],
        overlap_s=row["overlap_s"],
        channels=tuple(_channel_shape(channel) for channel in row["channels"]),
    )
    return CallSummary(shape, customer, row["satisfaction"], row["notes"])


def described(fields: Iterable[pa.Field], within: str = "") -> Iterator[tuple[str, str, str, str]]:
    """(name, type, unit, what it holds) of each column, and of each part of a nested one."""
    for field in fields:
        kind, about = field.type, field.metadata or {}
        name, is_list = within + field.name, pa.types.is_list(field.type)
        inner = kind.value_type if is_list else kind
        plain = "struct" if pa.types.is_struct(inner) else str(inner)
        unit, text = (about.get(key, b"").decode() for key in (b"unit", b"about"))
        yield name, f"list of {plain}" if is_list else plain, unit, text
        if pa.types.is_struct(inner):
            yield from described(inner, f"{name}[]." if is_list else f"{name}.")


def _channel_row(shape: ChannelShape, loudness: np.ndarray) -> dict[str, Any]:
    row = {name: getattr(shape, name) for name in _CHANNEL.names if hasattr(shape, name)}
    return row | {
        "role": shape.role or UNKNOWN,
        "course": shape.course and _course_row(shape.course),
        "loudness_by_second_dbfs": loudness,
    }


def _course_row(course: ScoreCourse) -> dict[str, Any]:
    row = {name: getattr(course, name) for name in _COURSE.names}
    for name in ("lowest_moments", "highest_moments"):
        row[name] = [vars(peak) for peak in row[name]]
    return row


def _channel_shape(row: Mapping[str, Any]) -> ChannelShape:
    values = {name: row[name] for name in ChannelShape.__dataclass_fields__}
    course = row["course"]
    if course is not None:
        peaks = {
            name: tuple(Peak(**peak) for peak in course[name])
            for name in ("lowest_moments", "highest_moments")
        }
        values["course"] = ScoreCourse(**course | peaks | {"quarters": tuple(course["quarters"])})
    values["role"] = None if row["role"] == UNKNOWN else Role(row["role"])
    return ChannelShape(**values)


def _utterance_row(one: Utterance) -> dict[str, Any]:
    row: dict[str, Any] = {
        "index": one.index,
        "channel": one.channel,
        "role": one.role or UNKNOWN,
        "start_s": one.start_s,
        "end_s": one.end_s,
        "loudness_dbfs": one.loudness_dbfs,
        "text": redact(one.text).text or None,
        "text_confidence": one.confidence,
        "language": one.language or None,
        "not_scored": one.not_scored or None,
    }
    if (fused := one.fused) is None:
        return row
    shares = {share.source: share.share for share in fused.sources}
    valence, arousal = valence_arousal(np.exp(fused.log_emotions).tolist())
    sentiments = zip(SENTIMENTS, np.exp(fused.log_sentiment), strict=True)
    emotions = zip(EMOTIONS, np.exp(fused.log_emotions), strict=True)
    return row | {
        "score": one.score,
        **{f"sentiment_{name}": p for name, p in sentiments},
        **{f"emotion_{name}": p for name, p in emotions},
        "valence": valence,
        "arousal": arousal,
        "confidence": fused.confidence,
        "abstained": fused.abstained,
        "voice_share": shares.get(Source.VOICE),
        "transcript_share": shares.get(Source.TRANSCRIPT),
    }
