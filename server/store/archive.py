"""What is in the store: read in bounded memory, given other advice, erased."""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, and_, delete, func, insert, select, update
from sqlalchemy.sql import or_

from modalities.reading import Source
from server.analysis import Role
from server.moments import Advice
from server.store import rows
from server.store.database import connect, purge, writing
from server.store.records import (
    ContentNotStoredError,
    ScoredConversation,
    StoredConversation,
)
from server.store.schema import ADVICE, CONTENT, CONVERSATION, METADATA, MOMENT, READING

PAGE = 32  # conversations that are held at once
SCORES_PAGE = 1000  # the same, without their moments


class Archive:
    """Of the database at `url`, a URL or the path of an SQLite file; raises as
    `database.connect`. Reading needs no key."""

    def __init__(self, url: str, *, create: bool = False) -> None:
        self.engine: Engine = connect(url, create=create)

    def conversations(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[StoredConversation]:
        """Those that began in [since, until), in that order; one that goes on is among them, as
        far as it is written. Other processes may write between two of them."""
        last: Row[Any] | None = None
        began = CONVERSATION.c.started_at
        while True:
            bounds: list[ColumnElement[bool]] = []
            if since is not None:
                bounds.append(began >= since)
            if until is not None:
                bounds.append(began < until)
            if last is not None:
                same = and_(began == last.started_at, CONVERSATION.c.key > last.key)
                bounds.append(or_(began > last.started_at, same))
            page = (
                select(CONVERSATION).where(*bounds).order_by(began, CONVERSATION.c.key).limit(PAGE)
            )
            found, conversations = self._read(page)
            yield from conversations
            if len(found) < PAGE:
                return
            last = found[-1]

    def scores(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        newest: int | None = None,
    ) -> Iterator[ScoredConversation]:
        """Those that began in [since, until), of them the `newest` at most, the newest first."""
        scored = and_(
            MOMENT.c.conversation == CONVERSATION.c.key,
            MOMENT.c.role == Role.CUSTOMER.value,
            MOMENT.c.score.is_not(None),
        )
        began = CONVERSATION.c.started_at
        query = (
            select(CONVERSATION, func.avg(MOMENT.c.score).label("mean_score"))
            .outerjoin(MOMENT, scored)
            .group_by(CONVERSATION.c.key)
            .order_by(began.desc())
            .limit(newest)
        )
        if since is not None:
            query = query.where(began >= since)
        if until is not None:
            query = query.where(began < until)
        with self.engine.connect().execution_options(yield_per=SCORES_PAGE) as connection:
            for row in connection.execute(query):
                yield ScoredConversation(rows.info(row), row.mean_score)

    def newest(
        self, n: int, before: tuple[datetime, int] | None = None
    ) -> list[StoredConversation]:
        """The `n` that began last, the newest first; of those before one that began then and has
        that key."""
        order = (CONVERSATION.c.started_at.desc(), CONVERSATION.c.key.desc())
        query = select(CONVERSATION).order_by(*order).limit(n)
        if before is not None:
            began, key = before
            same = and_(CONVERSATION.c.started_at == began, CONVERSATION.c.key < key)
            query = query.where(or_(CONVERSATION.c.started_at < began, same))
        return self._read(query)[1]

    def get(self, key: int) -> StoredConversation | None:
        """The one of that key; None where there is none."""
        found = self._read(select(CONVERSATION).where(CONVERSATION.c.key == key))[1]
        return found[0] if found else None

    def find(self, request_id: str) -> list[StoredConversation]:
        """Those of a request, of which a batch has many."""
        return self._read(select(CONVERSATION).where(CONVERSATION.c.request_id == request_id))[1]

    def content(self, key: int, number: int) -> dict[Source, bytes]:
        """What is kept of what a moment's readings were made of: redacted text in UTF-8, FLAC, a
        PNG. Raises ContentNotStoredError where nothing is."""
        where = and_(CONTENT.c.conversation == key, CONTENT.c.number == number)
        with self.engine.connect() as connection:
            found = connection.execute(select(CONTENT).where(where)).all()
        if not found:
            raise ContentNotStoredError(
                "the content was not stored", "set EMOTION_STORE_CONTENT=true for what comes"
            )
        return {Source(row.source): row.content for row in found}

    def texts(self, key: int) -> dict[int, str]:
        """What is kept of a conversation's words, redacted, by the moment's number."""
        return {number: text for (_, number), text in kept_words(self.engine, [key]).items()}

    def replace_advice(
        self,
        key: int,
        advice: Mapping[int, Sequence[Advice]],
        book_revision: str,
        not_evaluable: Mapping[str, int],
    ) -> None:
        """Another rule book's advice, by the moment's number, in place of all that there is."""
        given = [
            rows.advice_row(key, number, position, one)
            for number, several in advice.items()
            for position, one in enumerate(several)
        ]
        with writing(self.engine) as connection:
            connection.execute(delete(ADVICE).where(ADVICE.c.conversation == key))
            if given:
                connection.execute(insert(ADVICE), given)
            changed = {"book_revision": book_revision, "not_evaluable": dict(not_evaluable)}
            connection.execute(
                update(CONVERSATION).where(CONVERSATION.c.key == key).values(changed)
            )

    def erase(self, customer_id: str, key: bytes) -> dict[str, int]:
        """Delete all that there is of a customer; how many rows of each table that was.

        Raises StateError where the bytes could not yet be wiped from an SQLite file.
        """
        counts = self._delete(CONVERSATION.c.customer == keyed_hash(key, customer_id))
        purge(self.engine, rewrite=True)
        return counts

    def expire(self, retention_days: float) -> dict[str, int]:
        """Delete what began longer ago than that; counts and raises as `erase`."""
        oldest = datetime.now(UTC) - timedelta(days=retention_days)
        counts = self._delete(CONVERSATION.c.started_at < oldest)
        if any(counts.values()):
            purge(self.engine, rewrite=False)
        return counts

    def counts(self) -> dict[str, int]:
        """Rows of each table."""
        with self.engine.connect() as connection:
            return {
                table.name: connection.scalar(select(func.count()).select_from(table)) or 0
                for table in (CONVERSATION, MOMENT, READING, ADVICE, CONTENT)
            }

    def close(self) -> None:
        self.engine.dispose()

    def _delete(self, which: ColumnElement[bool]) -> dict[str, int]:
        keys = select(CONVERSATION.c.key).where(which)
        counts = {}
        with writing(self.engine) as connection:
            for table in reversed(METADATA.sorted_tables):
                if "conversation" in table.c:
                    gone = delete(table).where(table.c.conversation.in_(keys))
                    counts[table.name] = connection.execute(gone).rowcount
            gone = delete(CONVERSATION).where(which)
            counts[CONVERSATION.name] = connection.execute(gone).rowcount
        return counts

    def _read(self, which: Any) -> tuple[Sequence[Row[Any]], list[StoredConversation]]:
        with self.engine.connect() as connection:
            found = connection.execute(which).all()
            keys = [row.key for row in found]
            parts = {}
            for table in (MOMENT, READING, ADVICE):
                parts[table] = defaultdict[int, list[Row[Any]]](list)
                mine = select(table).where(table.c.conversation.in_(keys))
                for row in connection.execute(mine.order_by(*table.primary_key)):
                    parts[table][row.conversation].append(row)
        return found, [
            rows.conversation(row, *(parts[table][row.key] for table in (MOMENT, READING, ADVICE)))
            for row in found
        ]


def kept_words(engine: Engine, keys: Collection[int]) -> dict[tuple[int, int], str]:
    """What is kept of conversations' words, redacted, by their key and the moment's number."""
    words = [source.value for source in Source if source.is_words]
    where = and_(CONTENT.c.conversation.in_(keys), CONTENT.c.source.in_(words))
    with engine.connect() as connection:
        found = connection.execute(select(CONTENT).where(where))
        return {(row.conversation, row.number): row.content.decode() for row in found}


def keyed_hash(key: bytes, content: bytes | str) -> str:
    """HMAC-SHA256 in hex: equal for equal content, and without the key nobody can try guesses."""
    content = content.encode() if isinstance(content, str) else content
    return hmac.new(key, content, hashlib.sha256).hexdigest()
