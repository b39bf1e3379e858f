"""Moments and books that the tests of strategy make."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from fusion.pool import Fused
from modalities.reading import EMOTIONS, SENTIMENT_OF, SENTIMENTS
from server.analysis import Role
from server.moments import ConversationInfo, Moment

STARTED = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)
RULE = """\
rules:
  - name: upset
    when: score < -0.5
    advice: {en: Listen., zh: 请倾听。}
"""


def info(**fields: object) -> ConversationInfo:
    return ConversationInfo("r-1", "StreamCall", STARTED, **fields)  # type: ignore[arg-type]


def felt(emotion: str, p: float = 0.8, *, abstained: bool = False) -> Fused:
    """Of an emotion with probability `p`, the rest shared by all others; surprise is neutral."""
    emotions = np.full(len(EMOTIONS), (1 - p) / (len(EMOTIONS) - 1))
    emotions[EMOTIONS.index(emotion)] = p
    sentiments = np.zeros(len(SENTIMENTS))
    for name, mass in zip(EMOTIONS, emotions, strict=True):
        sentiments[SENTIMENTS.index(SENTIMENT_OF.get(name, "neutral"))] += mass
    return Fused(
        np.log(sentiments).astype(np.float32),
        np.log(emotions).astype(np.float32),
        confidence=float(sentiments.max()),
        abstained=abstained,
        sources=(),
    )


def said(
    text: str = "",
    emotion: str | None = "neutral",
    p: float = 0.8,
    *,
    role: Role | None = Role.CUSTOMER,
    at_s: float | None = None,
    **fields: object,
) -> Moment:
    """A moment of two seconds that begins at `at_s`."""
    return Moment(
        index=0,
        role=role,
        readings=(),
        fused=felt(emotion, p) if emotion else None,
        text=text,
        start_s=at_s,
        end_s=None if at_s is None else at_s + 2,
        **fields,  # type: ignore[arg-type]
    )


def write(path: Path, content: str = RULE) -> Path:
    path = path / "book.yaml"
    path.write_text(content, encoding="utf-8")
    return path
