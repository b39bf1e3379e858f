"""Which answers a label teaches most of: those that are unsure, or whose sources disagree.

Of a moment's sources the entropy of their mean sentiment (consensus entropy of a committee:
Settles, "Active learning literature survey", 2009, §3.2) and the greatest total variation distance
between two of them, both in [0, 1]; their sum orders the queue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, and_, select

from modalities.reading import SENTIMENTS
from server.feedback.schema import FEEDBACK
from server.store.archive import kept_words
from server.store.schema import CONVERSATION, MOMENT, READING

NEWEST = 20_000  # moments that are looked at


@dataclass(frozen=True)
class ReviewItem:
    """A moment without a label; figures as in the API's ReviewItem."""

    analysis: str
    conversation: int
    number: int
    started_at: datetime
    score: float
    uncertainty: float
    disagreement: float

    @property
    def priority(self) -> float:
        return self.uncertainty + self.disagreement


def uncertainty(p: NDArray[np.float64]) -> float:
    """In [0, 1], of the sources' sentiments (sources, 3)."""
    mean = p.mean(0)
    return float(-(mean * np.log(np.maximum(mean, 1e-12))).sum() / np.log(p.shape[1]))


def disagreement(p: NDArray[np.float64]) -> float:
    """In [0, 1], of the sources' sentiments (sources, 3)."""
    return float(
        max((0.5 * np.abs(one - other).sum() for one, other in combinations(p, 2)), default=0.0)
    )


def queue(engine: Engine) -> list[ReviewItem]:
    """The newest moments that were scored and have no label, the greatest priority first."""
    labelled = select(FEEDBACK.c.id).where(
        FEEDBACK.c.conversation == MOMENT.c.conversation, FEEDBACK.c.number == MOMENT.c.number
    )
    newest = (
        select(MOMENT.c.conversation, MOMENT.c.number, MOMENT.c.score, CONVERSATION.c.started_at)
        .add_columns(CONVERSATION.c.request_id)
        .join(CONVERSATION, CONVERSATION.c.key == MOMENT.c.conversation)
        .where(MOMENT.c.score.is_not(None), ~labelled.exists())
        .order_by(CONVERSATION.c.started_at.desc(), MOMENT.c.conversation, MOMENT.c.number)
        .limit(NEWEST)
    )
    inner = newest.subquery()
    same = and_(READING.c.conversation == inner.c.conversation, READING.c.number == inner.c.number)
    sentiments = select(READING.c.conversation, READING.c.number, READING.c.log_sentiment).join(
        inner, same
    )
    with engine.connect() as connection:
        moments = connection.execute(newest).all()
        read: dict[tuple[int, int], list[bytes]] = defaultdict(list)
        for row in connection.execute(sentiments):
            read[row.conversation, row.number].append(row.log_sentiment)
    items = []
    for row in moments:
        p = _probabilities(read[row.conversation, row.number])
        if len(p):
            items.append(
                ReviewItem(
                    row.request_id,
                    row.conversation,
                    row.number,
                    row.started_at,
                    row.score,
                    uncertainty(p),
                    disagreement(p),
                )
            )
    items.sort(key=lambda item: (-item.priority, item.conversation, item.number))
    return items


def texts(engine: Engine, items: Sequence[ReviewItem]) -> list[str]:
    """What is kept of each one's words, redacted; empty where nothing is."""
    kept = kept_words(engine, {item.conversation for item in items})
    return [kept.get((item.conversation, item.number), "") for item in items]


def _probabilities(stored: Sequence[bytes]) -> NDArray[np.float64]:
    """(sources, 3); each is little-endian floats in the precision that they had."""
    rows = [np.frombuffer(one, f"<f{len(one) // len(SENTIMENTS)}") for one in stored]
    p = np.exp(np.array(rows, np.float64).reshape(-1, len(SENTIMENTS)))
    return p / p.sum(-1, keepdims=True)
