"""What happens in a call, as the session tells it; the live stream, the files of a batch and the
report all read these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fusion.pool import Fused
from modalities.reading import Reading, score_of
from server.analysis import Analysis, Role
from server.calls.shape import CallShape
from server.follow import Advised


@dataclass(frozen=True)
class Speech:
    """Somebody began or stopped to speak, `offset_s` from the call's beginning."""

    started: bool
    offset_s: float
    channel: int
    role: Role | None


@dataclass(frozen=True, eq=False)
class Utterance:
    """A stretch of speech of one channel; offsets from the call's beginning.

    index          in the order in which utterances become final; −1 of an interim one
    readings       of its sound and, where there is a text, of its words; empty if not scored
    loudness_dbfs  mean power of its samples, dB of full scale
    not_scored     why `fused` is None; else empty
    """

    index: int
    channel: int
    role: Role | None
    start_s: float
    end_s: float
    is_final: bool
    loudness_dbfs: float
    readings: Sequence[Reading] = ()
    fused: Fused | None = None
    text: str = ""
    confidence: float | None = None
    language: str = ""
    not_scored: str = ""

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    @property
    def score(self) -> float | None:
        return None if self.fused is None else float(score_of(self.fused.log_sentiment))


@dataclass(frozen=True, eq=False)
class MessageRead:
    """A text or a picture that came during the call."""

    index: int
    role: Role
    offset_s: float
    analysis: Analysis


@dataclass(frozen=True)
class CallState:
    """Where the call stands at `offset_s`; see call.proto for the three figures."""

    offset_s: float
    score: float | None
    trend_per_minute: float | None
    shift: float | None
    shape: CallShape


@dataclass(frozen=True)
class CallSummary:
    """What the call came to; `customer_scores` are those of speech, texts and picture lines in
    the order of their offsets, `satisfaction` as in ConversationSummary."""

    shape: CallShape
    customer_scores: Sequence[float]
    satisfaction: float | None
    notes: Sequence[str]


Event: TypeAlias = Speech | Utterance | MessageRead | Advised | CallState | CallSummary
