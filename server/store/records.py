"""A conversation as the store gives it back, and what is wrong where it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modalities.reading import Reading, Source
from server.analysis import Role
from server.errors import StateError
from server.moments import Advice, ConversationInfo


class ContentNotStoredError(StateError):
    """A model cannot be run again, or a label be learned from: the content was not kept."""

    code = "CONTENT_NOT_STORED"


class OtherRevisionError(StateError):
    """It was scored by another revision of the model than the one at hand."""

    code = "OTHER_REVISION"


@dataclass(frozen=True, eq=False)
class StoredMoment:
    """One utterance, message or line.

    number         in its conversation, counted over all moments from 0
    index          of the request's message, of the call's utterance, or of its message
    start_s, end_s from the conversation's beginning; None where that is not known
    score          P(positive) − P(negative), in [−1, 1]; None where it was not scored
    facts          what the rules were asked with, PII redacted; `text` only where content is kept
    advice         most urgent first
    readings       what the score was pooled from, exactly, but without embeddings (they are empty)
    contributions  of each reading's source, signed log-odds; float32, the API's own precision
    shares         of each reading's source, [0, 1]; float32
    hashes         HMAC-SHA256 in hex of what each reading was made of, where that was at hand
    """

    number: int
    index: int
    role: Role | None
    start_s: float | None
    end_s: float | None
    score: float | None
    facts: dict[str, Any]
    advice: list[Advice]
    readings: list[Reading]
    contributions: Mapping[Source, float]
    shares: Mapping[Source, float]
    hashes: Mapping[Source, str]


@dataclass(frozen=True)
class ScoredConversation:
    """One request or call by the mean of its customer's scores, in [−1, 1]; None where there is
    none."""

    info: ConversationInfo
    mean_score: float | None


@dataclass(frozen=True, eq=False)
class StoredConversation:
    """One request or call.

    key            the store's own name for it
    info           customer_id and agent_id are their keyed hashes
    ended_at       UTC; None where it goes on, or was cut off by a failure
    satisfaction   in [−1, 1]; None where there is none
    versions       model → revision as it was scored, "fusion" and "rules" among them
    book_revision  of the rule book that gave the advice: that of `versions`, until another one
                   was applied
    not_evaluable  rule → how often it could not be evaluated
    """

    key: int
    info: ConversationInfo
    ended_at: datetime | None
    satisfaction: float | None
    versions: Mapping[str, str]
    book_revision: str
    not_evaluable: Mapping[str, int]
    moments: list[StoredMoment]

    @property
    def customer_scores(self) -> list[float]:
        """The customer's, in order, each in [−1, 1]."""
        return [
            moment.score
            for moment in self.moments
            if moment.role is Role.CUSTOMER and moment.score is not None
        ]

    @property
    def mean_score(self) -> float | None:
        """As in ScoredConversation."""
        scores = self.customer_scores
        return sum(scores) / len(scores) if scores else None
