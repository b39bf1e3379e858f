"""Labels in the store: kept once, listed, joined with the moments that they are of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import Engine, Row, Select, insert, select
from sqlalchemy.exc import IntegrityError

from modalities.errors import InputError
from modalities.reading import EMOTIONS, SENTIMENTS
from server.errors import NotFoundError
from server.feedback.schema import FEEDBACK
from server.store.database import answering, writing
from server.store.schema import CONVERSATION, MOMENT

Kind = Literal["emotion", "sentiment", "score"]
NAMES = {"emotion": EMOTIONS, "sentiment": SENTIMENTS}
CLEAR = 1 / 3  # a score beyond it, either way, is a sentiment that is not neutral


@dataclass(frozen=True)
class Label:
    """What a person says the moment `number` of the analysis `analysis` should have been.

    `value` is one of EMOTIONS, one of SENTIMENTS, or a number in [−1, 1], as `kind` says.
    """

    request_id: str
    analysis: str
    number: int
    kind: Kind
    value: str
    content: str | None = None
    created_at: datetime | None = None
    id: int = 0
    conversation: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError("an emotion, a sentiment or a score is needed", "feedback.label")
        if self.kind == "score":
            if not -1 <= float(self.value) <= 1:
                raise InputError("a score is in [-1, 1]", "feedback.score")
        elif self.value not in NAMES[self.kind]:
            names = ", ".join(NAMES[self.kind])
            raise InputError(f"one of {names} is needed", f"feedback.{self.kind}")

    @property
    def name(self) -> str:
        """The emotion or sentiment; of a score the sentiment of its third of [−1, 1]."""
        if self.kind != "score":
            return self.value
        score = float(self.value)
        return "positive" if score > CLEAR else "negative" if score < -CLEAR else "neutral"


class Labels:
    """Of the store at `engine`. Raises UnavailableError where the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def add(self, label: Label) -> Label:
        """Keep it; one of the same request_id is given back as it was kept.

        Raises NotFoundError where the store lacks the analysis or the moment, InputError where
        the request_id was used for another label.
        """
        with answering():
            if (known := self._find(label.request_id)) is not None:
                return _same(known, label)
            moment = (
                select(MOMENT.c.conversation)
                .join(CONVERSATION, CONVERSATION.c.key == MOMENT.c.conversation)
                .where(CONVERSATION.c.request_id == label.analysis, MOMENT.c.number == label.number)
            )
            with writing(self.engine) as connection:
                key = connection.scalar(moment)
                if key is None:
                    raise NotFoundError(
                        f"the store has no message {label.number} of such an analysis"
                    )
                values = {
                    "request_id": label.request_id,
                    "conversation": key,
                    "number": label.number,
                    "kind": label.kind,
                    "label": label.value,
                    "content": label.content,
                    "created_at": datetime.now(UTC),
                }
                # The same request may come twice at once.
                with suppress(IntegrityError), connection.begin_nested():
                    connection.execute(insert(FEEDBACK).values(values))
            kept = self._find(label.request_id)
        if kept is None:  # erased in between
            raise NotFoundError("the store has no such analysis any more")
        return _same(kept, label)

    def page(self, before: int | None, n: int) -> list[Label]:
        """The newest `n`, or the newest before the one of id `before`."""
        query = _query().order_by(FEEDBACK.c.id.desc()).limit(n)
        if before is not None:
            query = query.where(FEEDBACK.c.id < before)
        with answering(), self.engine.connect() as connection:
            return [_label(row) for row in connection.execute(query)]

    def latest(self) -> Iterator[Label]:
        """Of every moment that has one its newest label, in the order in which they came."""
        with answering(), self.engine.connect() as connection:
            rows = connection.execute(_query().order_by(FEEDBACK.c.id)).all()
        newest = {(row.conversation, row.number): row for row in rows}
        yield from (_label(row) for row in sorted(newest.values(), key=lambda row: row.id))

    def _find(self, request_id: str) -> Label | None:
        with self.engine.connect() as connection:
            row = connection.execute(_query().where(FEEDBACK.c.request_id == request_id)).first()
        return None if row is None else _label(row)


def _query() -> Select[Any]:
    return select(FEEDBACK, CONVERSATION.c.request_id.label("analysis")).join(
        CONVERSATION, CONVERSATION.c.key == FEEDBACK.c.conversation
    )


def _label(row: Row[Any]) -> Label:
    return Label(
        row.request_id,
        row.analysis,
        row.number,
        row.kind,
        row.label,
        row.content,
        row.created_at,
        row.id,
        row.conversation,
    )


def _same(kept: Label, label: Label) -> Label:
    told = (label.analysis, label.number, label.kind, label.value)
    if (kept.analysis, kept.number, kept.kind, kept.value) != told:
        raise InputError("it was used for another label", "request_id")
    return kept
