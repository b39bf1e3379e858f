"""A conversation as whatever follows it sees it: rules, the store and alerts know no more.

A call, a chat and a screenshot are all moments in order: an utterance, a message, or a line that
someone says in a picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fusion.pool import Fused
from modalities.reading import Reading, Source, score_of
from server.analysis import Role, SpokenWord

if TYPE_CHECKING:
    from server.calls.events import CallState


@dataclass(frozen=True)
class ConversationInfo:
    """Whose conversation it is, as its Context says; `method` is the RPC's name, such as
    "StreamCall", `started_at` in UTC when the request came."""

    request_id: str
    method: str
    started_at: datetime
    conversation_id: str = ""
    customer_id: str = ""
    agent_id: str = ""
    channel: str = ""
    language: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Moment:
    """One utterance, message or line.

    index     of the request's message, of the call's utterance, or of its message
    readings  what `fused` was pooled from, at most one a source; empty where it is not scored
    fused     None where it is not scored, such as an agent's
    words     the text model's reading of `text`, where there is any
    start_s, end_s  from the conversation's beginning; None where that is not known
    state     where the call stood at its end; None outside calls
    content   what each reading was made of: a text in UTF-8, a file of sound or pictures, or of a
              call's utterance its 16 kHz mono samples, float32
    spoken    the words of its sound, where they are known; offsets from where that begins
    """

    index: int
    role: Role | None
    readings: Sequence[Reading]
    fused: Fused | None
    text: str = ""
    words: Reading | None = None
    start_s: float | None = None
    end_s: float | None = None
    state: CallState | None = None
    content: Mapping[Source, bytes] = field(default_factory=dict)
    spoken: Sequence[SpokenWord] = ()

    @cached_property
    def score(self) -> float | None:
        """P(positive) − P(negative), in [−1, 1]."""
        return None if self.fused is None else float(score_of(self.fused.log_sentiment))


@dataclass(frozen=True)
class Advice:
    """What a rule advises the agent at a moment.

    index     of the moment in its conversation, counted over all moments
    offset_s  its end, from the conversation's beginning; None where that is not known
    text      by language, "en" and "zh"
    facts     those that the rule's condition names, as they were
    """

    rule: str
    index: int
    offset_s: float | None
    priority: int
    tags: tuple[str, ...]
    text: Mapping[str, str]
    facts: Mapping[str, Any]
