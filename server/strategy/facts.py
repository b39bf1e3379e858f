"""What a rule may ask of a conversation at a moment, and who keeps count of it.

The facts are a flat dictionary of JSON values, which the store keeps, so that a rule can be asked
later of what happened then. Every name is there. None stands where there is nothing to know (no
trend after one message, no score of an agent); a name that is missing was not stored.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from itertools import islice
from typing import Any

from modalities.reading import EMOTIONS, SENTIMENTS, Source
from modalities.text.clean import own_words
from server.analysis import Role
from server.moments import ConversationInfo, Moment

MAX_TEXT_CHARACTERS = 10_000
MAX_TAGS = 32
MAX_QUARTER = 256  # scores at either end that a shift is taken from
TREND_S = 60.0
TREND_MOMENTS = 6
MIN_TREND = 3  # scores
MAX_TREND = 256  # scores of one trend


@dataclass(frozen=True)
class Fact:
    """A name that conditions know; `type` is CEL's, `meaning` stands in docs/rules.md."""

    name: str
    type: str
    meaning: str


FACTS = (
    Fact("role", "string", 'who speaks: "CUSTOMER", "AGENT" or "SYSTEM"'),
    Fact(
        "text",
        "string",
        "what is said, without markup, quoted mail, signatures and footers; "
        f"its first {MAX_TEXT_CHARACTERS:,} characters",
    ),
    Fact("moments", "int", "how many moments there were, this one included"),
    Fact("customer_moments", "int", "how many of them are the customer's and have a score"),
    Fact("offset_s", "double", "the moment's end, from the conversation's beginning"),
    Fact("duration_s", "double", "how long it lasts"),
    Fact("at", "string", "when it ends, in UTC, as 2026-11-24T13:36:38+00:00"),
    Fact("score", "double", "P(positive) − P(negative), −1 to 1"),
    Fact("sentiment", "string", "the likeliest: " + ", ".join(SENTIMENTS)),
    Fact("emotion", "string", "the likeliest: " + ", ".join(EMOTIONS)),
    *(
        Fact(f"emotions.{emotion}", "double", f"the probability of {emotion}, 0 to 1")
        for emotion in EMOTIONS
    ),
    Fact("emotion_count", "int", "how often the customer's likeliest emotion was this one"),
    Fact("confidence", "double", "of the sentiment, 0 to 1"),
    Fact("abstained", "bool", "whether the confidence is too low to act on"),
    Fact("change", "double", "the score less the customer's score before it"),
    Fact("words_score", "double", "the score of the words alone"),
    Fact("voice_score", "double", "the score of the sound alone"),
    Fact("vision_score", "double", "the score of the face or the picture alone"),
    Fact("asr_confidence", "double", "mean probability of the transcript's words, 0 to 1"),
    Fact("ocr_confidence", "double", "mean confidence of the picture's lines, 0 to 1"),
    Fact("snr_db", "double", "the speech's level over the level between speech"),
    Fact("mean_score", "double", "the mean of the customer's scores so far"),
    Fact("lowest", "double", "the lowest mean of three of them in a row"),
    Fact("shift", "double", "the last quarter's mean less the first's, −2 to 2"),
    Fact("trend_per_minute", "double", f"slope of the scores over the last {TREND_S:.0f} s"),
    Fact("trend_per_moment", "double", f"slope of the last {TREND_MOMENTS} scores, for each score"),
    Fact("negative_count", "int", "how often the customer's likeliest sentiment was negative"),
    Fact("negative_in_a_row", "int", "how often running, up to now; 0 where it is not now"),
    Fact("positive_in_a_row", "int", "the same of positive"),
    Fact("silence_before_s", "double", "from the latest end of speech before to the beginning"),
    Fact("silence_s", "double", "how long nobody spoke so far, in a call"),
    Fact("overlap_s", "double", "how long both spoke at once so far, in a call"),
    Fact("agent_interruptions", "int", "how often the agent cut in so far, in a call"),
    Fact("customer_interruptions", "int", "how often the customer cut in so far, in a call"),
    Fact("agent_talk_share", "double", "the agent's part of all talk so far, in a call, 0 to 1"),
    Fact("customer_talk_share", "double", "the customer's part of it"),
    Fact(
        "agent_words_per_minute",
        "double",
        "the agent's speaking rate so far, in a call with transcripts; in Chinese, characters",
    ),
    Fact("channel", "string", 'the Context\'s, such as "phone"'),
    Fact("language", "string", 'the Context\'s, such as "zh-CN"'),
    Fact("tags", "list(string)", f"the Context's, the first {MAX_TAGS}"),
)

_UNKNOWN: dict[str, Any] = dict.fromkeys(fact.name for fact in FACTS)
_OF_EMOTIONS = tuple(f"emotions.{emotion}" for emotion in EMOTIONS)


class Tracker:
    """Counts along one conversation, in bounded memory."""

    def __init__(self, info: ConversationInfo) -> None:
        self._info = info
        self._moments = 0
        self._latest_end_s: float | None = None
        self._customer = _Course()

    def facts(self, moment: Moment) -> dict[str, Any]:
        """Those of the next moment, a value for every name of FACTS.

        What is felt is the customer's, or that of somebody whose role is not known: never an
        agent's, whose feelings no rule shall judge.
        """
        self._moments += 1
        facts = _UNKNOWN.copy()
        facts |= self._context(moment) | _felt(moment) | _quality(moment) | _shape(moment)
        if facts["score"] is not None:
            facts["change"] = self._customer.change(facts["score"])
            self._customer.add(facts, moment.end_s)
        facts |= self._customer.facts(moment.end_s)
        if facts["emotion"] is not None:
            facts["emotion_count"] = self._customer.emotions[facts["emotion"]]
        return facts

    def _context(self, moment: Moment) -> dict[str, Any]:
        info, start_s, end_s = self._info, moment.start_s, moment.end_s
        silence_s = None
        if start_s is not None and self._latest_end_s is not None:
            silence_s = max(0.0, start_s - self._latest_end_s)
        if end_s is not None:
            self._latest_end_s = max(end_s, self._latest_end_s or 0.0)
        at = info.started_at.astimezone(UTC) + timedelta(seconds=end_s or 0.0)
        return {
            "role": moment.role.value if moment.role else None,
            "text": own_words(moment.text).text.strip()[:MAX_TEXT_CHARACTERS] or None,
            "moments": self._moments,
            "offset_s": end_s,
            "duration_s": None if start_s is None or end_s is None else end_s - start_s,
            "at": at.isoformat(timespec="seconds"),
            "silence_before_s": silence_s,
            "channel": info.channel or None,
            "language": info.language or None,
            "tags": list(info.tags[:MAX_TAGS]),
        }


class _Course:
    """The customer's scores: as `fusion.conversation.summarise` tells them, one at a time."""

    def __init__(self) -> None:
        self.emotions: Counter[str] = Counter()
        self._n, self._sum = 0, 0.0
        self._lowest: float | None = None
        self._first: list[float] = []
        self._last: deque[float] = deque(maxlen=MAX_QUARTER)
        self._timed: deque[tuple[float, float]] = deque(maxlen=MAX_TREND)  # minutes, score
        self._negative = 0
        self._running = {"negative": 0, "positive": 0}

    def change(self, score: float) -> float | None:
        return score - self._last[-1] if self._last else None

    def add(self, felt: dict[str, Any], end_s: float | None) -> None:
        score, sentiment = felt["score"], felt["sentiment"]
        self.emotions[felt["emotion"]] += 1
        self._n, self._sum = self._n + 1, self._sum + score
        if len(self._first) < MAX_QUARTER:
            self._first.append(score)
        self._last.append(score)
        mean = _mean(self._ending(3))
        self._lowest = mean if self._lowest is None or self._n <= 3 else min(self._lowest, mean)
        if end_s is not None:
            self._timed.append((end_s / 60, score))
        self._negative += sentiment == "negative"
        for name, count in self._running.items():
            self._running[name] = count + 1 if name == sentiment else 0

    def facts(self, now_s: float | None) -> dict[str, Any]:
        recent: list[tuple[float, float]] = []
        if now_s is not None:
            recent = [one for one in self._timed if one[0] > (now_s - TREND_S) / 60]
        return {
            "customer_moments": self._n,
            "mean_score": self._sum / self._n if self._n else None,
            "lowest": self._lowest,
            "shift": self._shift(),
            "trend_per_minute": _slope(recent),
            "trend_per_moment": _slope(list(enumerate(self._ending(TREND_MOMENTS)))),
            "negative_count": self._negative,
            "negative_in_a_row": self._running["negative"],
            "positive_in_a_row": self._running["positive"],
        }

    def _shift(self) -> float | None:
        if self._n < 2:
            return None
        quarter = min(-(-self._n // 4), MAX_QUARTER)
        return _mean(self._ending(quarter)) - _mean(self._first[:quarter])

    def _ending(self, n: int) -> list[float]:
        """The last `n` scores, in order."""
        return list(islice(self._last, max(0, len(self._last) - n), None))


def _felt(moment: Moment) -> dict[str, Any]:
    if moment.fused is None or moment.role in (Role.AGENT, Role.SYSTEM):
        return {}
    fused = moment.fused
    emotions = [math.exp(x) for x in fused.log_emotions.tolist()]
    sentiment = max(zip(fused.log_sentiment.tolist(), SENTIMENTS, strict=True))[1]
    return {
        "score": moment.score,
        "sentiment": sentiment,
        "emotion": max(zip(emotions, EMOTIONS, strict=True))[1],
        **dict(zip(_OF_EMOTIONS, emotions, strict=True)),
        "confidence": fused.confidence,
        "abstained": fused.abstained,
        "words_score": moment.words.score if moment.words else None,
        "voice_score": _score_of(moment, Source.VOICE),
        "vision_score": _score_of(moment, Source.VISION),
    }


def _quality(moment: Moment) -> dict[str, Any]:
    quality = {reading.source: reading.quality for reading in moment.readings}
    voice = quality.get(Source.VOICE)
    transcript, picture = quality.get(Source.TRANSCRIPT), quality.get(Source.IMAGE_TEXT)
    return {
        "snr_db": voice.snr_db if voice else None,
        "asr_confidence": transcript.asr_confidence if transcript else None,
        "ocr_confidence": picture.ocr_confidence if picture else None,
    }


def _shape(moment: Moment) -> dict[str, Any]:
    """How the call was held so far."""
    if moment.state is None:
        return {}
    shape = moment.state.shape
    facts: dict[str, Any] = {"silence_s": shape.silence_s, "overlap_s": shape.overlap_s}
    talk_s = sum(channel.talk_s for channel in shape.channels)
    for role in (Role.AGENT, Role.CUSTOMER):
        channels = [channel for channel in shape.channels if channel.role is role]
        if not channels:
            continue
        who = role.value.lower()
        facts[f"{who}_interruptions"] = sum(one.interruption_count for one in channels)
        if talk_s:
            facts[f"{who}_talk_share"] = sum(one.talk_s for one in channels) / talk_s
        if role is Role.AGENT:
            facts["agent_words_per_minute"] = channels[0].speaking_rate_per_minute
    return facts


def _score_of(moment: Moment, source: Source) -> float | None:
    return next((one.score for one in moment.readings if one.source is source), None)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _slope(points: Iterable[tuple[float, float]]) -> float | None:
    """By least squares; None below MIN_TREND points, or where all are at one place."""
    points = list(points)
    if len(points) < MIN_TREND:
        return None
    x_mean, y_mean = _mean([x for x, _ in points]), _mean([y for _, y in points])
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / spread if spread else None
