"""Moments ↔ rows of the tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from sqlalchemy import Row

from modalities.reading import EMOTIONS, SENTIMENTS, Array, Quality, Reading, Source
from server.analysis import Role
from server.moments import Advice, ConversationInfo
from server.store.records import StoredConversation, StoredMoment

_NO_EMBEDDING: Array = np.zeros(0, np.float32)


def advice_row(key: int, number: int, position: int, advice: Advice) -> dict[str, Any]:
    return {
        "conversation": key,
        "number": number,
        "position": position,
        "rule": advice.rule,
        "offset_s": advice.offset_s,
        "priority": advice.priority,
        "tags": list(advice.tags),
        "text": dict(advice.text),
        "facts": dict(advice.facts),
    }


def reading_row(reading: Reading) -> dict[str, Any]:
    return {
        "source": reading.source.value,
        "log_sentiment": _bytes(reading.log_sentiment),
        "log_emotions": _bytes(reading.log_emotions),
        "quality": {name: float(value) for name, value in asdict(reading.quality).items()},
    }


def info(row: Row[Any]) -> ConversationInfo:
    """Of a conversation's row."""
    return ConversationInfo(
        request_id=row.request_id,
        method=row.method,
        started_at=row.started_at,
        conversation_id=row.conversation_id,
        customer_id=row.customer,
        agent_id=row.agent,
        channel=row.channel,
        language=row.language,
        tags=tuple(row.tags),
    )


def conversation(
    row: Row[Any],
    moments: Sequence[Row[Any]],
    readings: Sequence[Row[Any]],
    advice: Sequence[Row[Any]],
) -> StoredConversation:
    """From its rows, each table's in the order of its primary key."""
    read, advised = defaultdict[int, list[Row[Any]]](list), defaultdict[int, list[Row[Any]]](list)
    for one in readings:
        read[one.number].append(one)
    for one in advice:
        advised[one.number].append(one)
    return StoredConversation(
        row.key,
        info(row),
        row.ended_at,
        row.satisfaction,
        row.versions,
        row.book_revision,
        row.not_evaluable,
        [_moment(one, read[one.number], advised[one.number]) for one in moments],
    )


def _moment(
    row: Row[Any], readings: Sequence[Row[Any]], advice: Sequence[Row[Any]]
) -> StoredMoment:
    return StoredMoment(
        number=row.number,
        index=row._mapping["index"],  # a row is a tuple, which has a method of that name
        role=Role(row.role) if row.role else None,
        start_s=row.start_s,
        end_s=row.end_s,
        score=row.score,
        facts=row.facts,
        advice=[
            Advice(
                rule=one.rule,
                index=row.number,
                offset_s=one.offset_s,
                priority=one.priority,
                tags=tuple(one.tags),
                text=one.text,
                facts=one.facts,
            )
            for one in advice
        ],
        readings=[
            Reading(
                Source(one.source),
                _array(one.log_sentiment, len(SENTIMENTS)),
                _array(one.log_emotions, len(EMOTIONS)),
                _NO_EMBEDDING,
                Quality(**one.quality),
            )
            for one in readings
        ],
        contributions={Source(one.source): one.contribution for one in readings},
        shares={Source(one.source): one.share for one in readings},
        hashes={Source(one.source): one.hash for one in readings if one.hash},
    )


def _bytes(values: Array) -> bytes:
    """Little-endian, in the precision that they have."""
    return values.astype(values.dtype.newbyteorder("<")).tobytes()


def _array(content: bytes, n_values: int) -> Array:
    return np.frombuffer(content, f"<f{len(content) // n_values}").copy()  # torch wants to write


def single(value: float) -> float:
    """To the precision of the API's floats, in which what the pool adds up is the same however
    many items it pools at once."""
    return float(np.float32(value))
