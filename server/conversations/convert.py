"""Stored and live conversations → messages of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from emotion.v1 import conversation_service_pb2 as pb

from server.conversations.live import LiveMoment, Update
from server.convert import advice_of, conversation_summary, duration_of, role_value
from server.follow import Advised
from server.moments import ConversationInfo
from server.privacy.redact import redact
from server.store.records import StoredConversation, StoredMoment
from server.trends import Trend


def stored_conversation(conversation: StoredConversation) -> pb.Conversation:
    """Without its moments."""
    message = _conversation(conversation.key, conversation.info)
    if conversation.ended_at is not None:
        message.end_time.FromDatetime(conversation.ended_at)
    if scores := conversation.customer_scores:
        message.customer.CopyFrom(conversation_summary(scores, conversation.satisfaction))
    return message


def stored_moment(
    moment: StoredMoment, texts: Mapping[int, str], language: str, book_revision: str
) -> pb.ConversationMoment:
    """`texts` by the moment's number."""
    advised = [Advised(one, moment.index, language, book_revision) for one in moment.advice]
    emotion = moment.facts.get("emotion") or ""
    live = LiveMoment(
        moment.number, moment.role, moment.start_s, moment.end_s, moment.score, emotion, advised
    )
    message = _moment(live)
    message.text = texts.get(moment.number, "")
    return message


def live_conversation(update: Update) -> pb.Conversation:
    """With its new moments."""
    message = _conversation(update.key, _redacted(update.info))
    if update.ended_at is not None:
        message.end_time.FromDatetime(update.ended_at)
    message.moments.extend(map(_moment, update.moments))
    for moment in message.moments:
        for advice in moment.advice:
            advice.ClearField("facts")  # what was said may be among them
    return message


def trend_message(trend: Trend) -> pb.Trend:
    return pb.Trend(
        group=trend.name,
        conversation_count=trend.n,
        unscored_count=trend.n_unscored,
        score=trend.score,
        negative_share=trend.negative_share,
        negative_share_low=trend.low,
        negative_share_high=trend.high,
    )


def _conversation(key: int, info: ConversationInfo) -> pb.Conversation:
    message = pb.Conversation(
        name=f"conversations/{key}",
        request_id=info.request_id,
        method=info.method,
        conversation_id=info.conversation_id,
        channel=info.channel,
        language=info.language,
        tags=info.tags,
    )
    message.start_time.FromDatetime(info.started_at)
    return message


def _moment(moment: LiveMoment) -> pb.ConversationMoment:
    return pb.ConversationMoment(
        number=moment.number,
        role=role_value(moment.role),
        start_offset=None if moment.start_s is None else duration_of(moment.start_s),
        end_offset=None if moment.end_s is None else duration_of(moment.end_s),
        score=moment.score,
        emotion=moment.emotion,
        advice=map(advice_of, moment.advised),
    )


def _redacted(info: ConversationInfo) -> ConversationInfo:
    return replace(
        info,
        conversation_id=_without_pii(info.conversation_id),
        channel=_without_pii(info.channel),
        language=_without_pii(info.language),
        tags=tuple(map(_without_pii, info.tags)),
    )


@lru_cache(4096)
def _without_pii(text: str) -> str:
    return redact(text).text
