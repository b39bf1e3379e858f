"""The store of a running server: what is scored goes in, and no score waits for the database."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy import Table, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from modalities.reading import Source
from modalities.voice.prepare import decode
from server.errors import StateError
from server.logs import LOG
from server.moments import Advice, ConversationInfo, Moment
from server.privacy.media import speech_to_keep, without_metadata
from server.privacy.redact import redact
from server.store import rows
from server.store.archive import Archive, keyed_hash
from server.store.database import writing
from server.store.schema import ADVICE, CONTENT, CONVERSATION, METADATA, MOMENT, READING, STORE
from server.store.writer import Writer

CLOSE_S = 10.0  # for what is queued at the end
CONTENT_WEIGHT_BYTES = 64 * 1024  # of content count in the queue as one more entry


@dataclass
class _Written:
    """Rows to insert, and columns of the conversation to change."""

    key: int
    inserts: list[tuple[Table, dict[str, Any]]] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)


class Store(Archive):
    """`begin`, `add` and `end` only queue; a thread redacts, hashes and writes. `max_queued` of
    them wait at most before `begin` refuses; a conversation that was begun is kept to its end."""

    def __init__(
        self,
        url: str,
        *,
        key: bytes,
        keep_content: bool,
        max_queued: int,
        retention_days: float | None,
    ) -> None:
        super().__init__(url, create=True)
        self._key, self._keep_content = key, keep_content
        self._check_key()
        dialect = postgresql if self.engine.dialect.name == "postgresql" else sqlite
        self._insert = dialect.insert
        expire = partial(self.expire, retention_days) if retention_days else lambda: None
        self._writer = Writer[_Written](self._write, max_queued, expire)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        key: bytes,
        keep_content: bool = False,
        max_queued: int = 10_000,
        retention_days: float | None = None,
    ) -> Store:
        """Open the store at `url`, a URL or the path of an SQLite file, and migrate it.

        key             of the hashes of ids and content, 32 bytes or more
        keep_content    redacted text, muted sound and pictures, too
        retention_days  after which a conversation is deleted; None keeps all

        Raises as `database.connect`, and StateError where the store was made with another key.
        """
        return cls(
            url,
            key=key,
            keep_content=keep_content,
            max_queued=max_queued,
            retention_days=retention_days,
        )

    @property
    def n_queued(self) -> int:
        """What waits to be written, for the metrics."""
        return self._writer.n_queued

    @property
    def n_lost(self) -> int:
        """What could not be written at all."""
        return self._writer.n_lost

    def begin(self, info: ConversationInfo, versions: Mapping[str, str]) -> int:
        """Before anything is scored: a conversation of these versions of models, "fusion" and
        "rules" among them. Gives its key; raises OverloadedError where the queue is full."""
        self._writer.check()
        key = secrets.randbits(63)
        self._writer.put(partial(self._conversation, key, info, dict(versions)))
        return key

    def add(
        self,
        key: int,
        number: int,
        moment: Moment,
        facts: Mapping[str, Any],
        advice: Sequence[Advice],
        not_evaluable: Mapping[str, int],
    ) -> None:
        """Its next moment. `not_evaluable` counts over the conversation up to now."""
        weight = 1 + sum(map(len, moment.content.values())) // CONTENT_WEIGHT_BYTES
        counts = dict(not_evaluable)
        self._writer.put(partial(self._moment, key, number, moment, facts, advice, counts), weight)

    def end(self, key: int, satisfaction: float | None) -> None:
        """No more of it comes."""
        changes = {"ended_at": datetime.now(UTC), "satisfaction": satisfaction}
        self._writer.put(partial(_Written, key, changes=changes))

    def flush(self, timeout_s: float = CLOSE_S) -> bool:
        """Wait until all that was queued is written; whether it was in time."""
        return self._writer.flush(timeout_s)

    def close(self) -> None:
        """Write what is queued; what the database does not take in time is lost, and told."""
        if n_lost := self._writer.close(CLOSE_S):
            LOG.error("the store lost what was scored", extra={"lost": n_lost})
        super().close()

    def _check_key(self) -> None:
        """By another key nobody's conversations would be found again, not even to erase them."""
        mark = keyed_hash(self._key, "emotion.store")
        with writing(self.engine) as connection:
            known = connection.scalar(select(STORE.c.value).where(STORE.c.name == "key"))
            if known is None:
                connection.execute(insert(STORE), {"name": "key", "value": mark})
            elif known != mark:
                raise StateError(
                    "the store was made with another key",
                    "bring back the key that belongs to it, or choose another store",
                )

    def _hash(self, content: bytes | str) -> str:
        return keyed_hash(self._key, content) if content else ""

    def _conversation(
        self, key: int, info: ConversationInfo, versions: Mapping[str, str]
    ) -> _Written:
        row = {
            "key": key,
            "request_id": info.request_id,
            "method": info.method,
            "started_at": info.started_at,
            "conversation_id": _clean(info.conversation_id),
            "customer": self._hash(info.customer_id),
            "agent": self._hash(info.agent_id),
            "channel": _clean(info.channel),
            "language": _clean(info.language),
            "tags": _clean(info.tags),
            "versions": versions,
            "book_revision": versions.get("rules", ""),
            "not_evaluable": {},
        }
        return _Written(key, [(CONVERSATION, row)])

    def _moment(
        self,
        key: int,
        number: int,
        moment: Moment,
        facts: Mapping[str, Any],
        advice: Sequence[Advice],
        not_evaluable: Mapping[str, int],
    ) -> _Written:
        this = {"conversation": key, "number": number}
        written = _Written(key, changes={"not_evaluable": not_evaluable} if not_evaluable else {})
        row = this | {
            "index": moment.index,
            "role": moment.role and moment.role.value,
            "start_s": moment.start_s,
            "end_s": moment.end_s,
            "score": moment.score,
            "facts": self._facts(facts),
        }
        written.inserts.append((MOMENT, row))
        shares = {share.source: share for share in moment.fused.sources} if moment.fused else {}
        for reading in moment.readings if moment.fused else ():
            share, content = shares[reading.source], moment.content.get(reading.source)
            row = this | rows.reading_row(reading)
            row |= {
                "contribution": rows.single(share.contribution),
                "share": rows.single(share.share),
                "hash": self._hash(content) if content else None,
            }
            written.inserts.append((READING, row))
        for position, one in enumerate(advice):
            row = rows.advice_row(key, number, position, one)
            row["facts"] = self._facts(one.facts)
            written.inserts.append((ADVICE, row))
        for source, content in moment.content.items() if self._keep_content else ():
            kept = _content_to_keep(source, content, moment)
            if kept is not None:
                row = this | {"source": source.value, "content": kept}
                written.inserts.append((CONTENT, row))
        return written

    def _facts(self, facts: Mapping[str, Any]) -> Any:
        return _clean(
            {name: value for name, value in facts.items() if name != "text" or self._keep_content}
        )

    def _write(self, batch: Sequence[_Written]) -> None:
        inserts: dict[Table, list[dict[str, Any]]] = {}
        changes: dict[int, dict[str, Any]] = {}
        with writing(self.engine) as connection:
            known = self._known(connection, batch)
            for written in batch:
                # An erased conversation that still goes on is not written any further.
                if written.key in known:
                    for table, row in written.inserts:
                        inserts.setdefault(table, []).append(row)
                    if written.changes:
                        changes.setdefault(written.key, {}).update(written.changes)
            for table in METADATA.sorted_tables:
                if table in inserts:
                    # A commit whose answer was lost is tried again.
                    connection.execute(self._insert(table).on_conflict_do_nothing(), inserts[table])
            for key, values in changes.items():
                connection.execute(
                    update(CONVERSATION).where(CONVERSATION.c.key == key).values(values)
                )

    def _known(self, connection: Any, batch: Sequence[_Written]) -> set[int]:
        keys = {written.key for written in batch}
        known = set(
            connection.scalars(select(CONVERSATION.c.key).where(CONVERSATION.c.key.in_(keys)))
        )
        return known | {
            written.key
            for written in batch
            if any(table is CONVERSATION for table, _ in written.inserts)
        }


def _content_to_keep(source: Source, content: bytes, moment: Moment) -> bytes | None:
    """None where PII in it cannot be taken out."""
    if source.is_words:
        return redact(content.decode()).text.encode()
    if source is Source.VOICE:
        # A call's utterance comes as samples, a message's recording as its file.
        is_samples = moment.state is not None
        samples = (
            np.frombuffer(content, np.float32)
            if is_samples
            else decode(content, max_duration_s=math.inf).samples
        )
        said = moment.content.get(Source.TRANSCRIPT, b"").decode() or moment.text
        return speech_to_keep(samples, said, moment.spoken)
    shown = moment.content.get(Source.IMAGE_TEXT, b"").decode()
    return None if redact(shown).spans else without_metadata(content)


def _clean(value: Any) -> Any:
    """A JSON value, or a tuple, with every text in it redacted."""
    match value:
        case str():
            return redact(value).text
        case Mapping():
            return {name: _clean(part) for name, part in value.items()}
        case list() | tuple():
            return [_clean(part) for part in value]
    return value
