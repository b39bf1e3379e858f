"""What is known of a call so far, and what it comes to: its state and its summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusion.conversation import summarise
from fusion.satisfaction import Turn
from modalities.reading import Reading
from server.analysis import Role
from server.calls.events import CallState, CallSummary, Utterance
from server.calls.shape import Span, n_words, shape
from server.course import customer_scores, turns
from server.moments import Moment

HALF_LIFE_S = 15.0  # of speech
TREND_S = 60.0  # of the call
MIN_TREND = 3  # scores


@dataclass(frozen=True)
class _Scored:
    start_s: float
    end_s: float
    score: float


class CallRecord:
    """Grows by final utterances and by messages; small, whatever the call's length."""

    def __init__(self, roles: Sequence[Role | None]) -> None:
        self.roles = tuple(roles)
        self._spans: list[Span] = []
        self._scores: list[_Scored] = []  # of the customer, or of all where none is known
        self._smoothed, self._weight = 0.0, 0.0
        self._customer: list[tuple[float, float]] = []  # offset and score
        self._turns: list[tuple[float, Turn]] = []

    def add(self, utterance: Utterance, words: Reading | None) -> None:
        """A final utterance, and the text model's reading of its text."""
        score = utterance.score
        self._spans.append(
            Span(
                utterance.channel,
                utterance.start_s,
                utterance.end_s,
                utterance.loudness_dbfs,
                score,
                n_words(utterance.text) if utterance.text else None,
            )
        )
        is_customer = utterance.role is Role.CUSTOMER
        if words is not None and utterance.role is not None:
            turn = Turn.of(words, utterance.text, from_customer=is_customer)
            self._turns.append((utterance.start_s, turn))
        if score is None:
            return
        if is_customer:
            self._customer.append((utterance.start_s, score))
        if is_customer or Role.CUSTOMER not in self.roles:
            self._scores.append(_Scored(utterance.start_s, utterance.end_s, score))
            kept = 0.5 ** (utterance.duration_s / HALF_LIFE_S)
            self._smoothed = kept * self._smoothed + (1 - kept) * score
            self._weight = kept * self._weight + (1 - kept)

    def add_message(self, moments: Sequence[Moment], offset_s: float) -> None:
        """What a text or a picture says."""
        self._customer += [(offset_s, score) for score in customer_scores(moments)]
        self._turns += [(offset_s, turn) for turn in turns(moments)]

    def state(self, offset_s: float, ongoing: Sequence[Span]) -> CallState:
        """Where the call stands at `offset_s`; `ongoing` is the speech that is not final yet."""
        score = self._smoothed / self._weight if self._weight else None
        shift = None
        if score is not None:
            shift = score - summarise([one.score for one in self._scores]).start
        whole = shape([*self._spans, *ongoing], self.roles, offset_s)
        return CallState(offset_s, score, self._trend(offset_s), shift, whole)

    def turns(self) -> list[Turn]:
        """The words of both sides in order."""
        return [turn for _, turn in sorted(self._turns, key=lambda one: one[0])]

    def summary(
        self, duration_s: float, satisfaction: float | None, notes: Sequence[str]
    ) -> CallSummary:
        scores = [score for _, score in sorted(self._customer, key=lambda one: one[0])]
        whole = shape(self._spans, self.roles, duration_s)
        return CallSummary(whole, scores, satisfaction, tuple(notes))

    def _trend(self, offset_s: float) -> float | None:
        """Slope by least squares, per minute."""
        recent = [one for one in self._scores if one.end_s > offset_s - TREND_S]
        if len(recent) < MIN_TREND:
            return None
        minutes = np.array([one.end_s for one in recent]) / 60
        minutes -= minutes.mean()
        spread = float(minutes @ minutes)
        return float(minutes @ np.array([one.score for one in recent])) / spread if spread else None
