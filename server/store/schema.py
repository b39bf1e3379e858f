"""The tables. Types that SQLite and PostgreSQL both have; what happens on deletion is theirs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)
from sqlalchemy.types import TypeDecorator

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Json = JSON(none_as_null=True)


class Utc(TypeDecorator[datetime]):
    """A point in time: aware and in UTC here, without a zone in the database."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


# Facts about the store itself, such as by which key its hashes were made.
STORE = Table("store", METADATA, Column("name", String, primary_key=True), Column("value", String))

# `key` is drawn at random where the request is taken, before anything is written.
CONVERSATION = Table(
    "conversation",
    METADATA,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("request_id", String, nullable=False),
    Column("method", String, nullable=False),
    Column("started_at", Utc, nullable=False),
    Column("ended_at", Utc),
    Column("conversation_id", String, nullable=False),
    Column("customer", String, nullable=False),  # keyed hash, or empty
    Column("agent", String, nullable=False),  # keyed hash, or empty
    Column("channel", String, nullable=False),
    Column("language", String, nullable=False),
    Column("tags", Json, nullable=False),
    Column("versions", Json, nullable=False),
    Column("book_revision", String, nullable=False),
    Column("not_evaluable", Json, nullable=False),
    Column("satisfaction", Double),
    Index(None, "started_at", "key"),
    Index(None, "customer"),
    Index(None, "request_id"),
)

MOMENT = Table(
    "moment",
    METADATA,
    Column(
        "conversation",
        ForeignKey("conversation.key", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("index", Integer, nullable=False),
    Column("role", String),
    Column("start_s", Double),
    Column("end_s", Double),
    Column("score", Double),
    Column("facts", Json, nullable=False),
)


def _of_moment(name: str, *columns: Column[Any]) -> Table:
    """A table of parts of moments, which go with them."""
    return Table(
        name,
        METADATA,
        Column("conversation", BigInteger, primary_key=True, autoincrement=False),
        Column("number", Integer, primary_key=True, autoincrement=False),
        *columns,
        ForeignKeyConstraint(
            ["conversation", "number"],
            ["moment.conversation", "moment.number"],
            ondelete="CASCADE",
        ),
    )


# One row for each source that was pooled; contribution and share as the API told them.
READING = _of_moment(
    "reading",
    Column("source", String, primary_key=True),
    Column("log_sentiment", LargeBinary, nullable=False),  # little-endian floats, exact
    Column("log_emotions", LargeBinary, nullable=False),
    Column("quality", Json, nullable=False),
    Column("contribution", Double, nullable=False),
    Column("share", Double, nullable=False),
    Column("hash", String),  # keyed, of what it was made of
)

ADVICE = _of_moment(
    "advice",
    Column("position", Integer, primary_key=True, autoincrement=False),  # most urgent first
    Column("rule", String, nullable=False),
    Column("offset_s", Double),
    Column("priority", Integer, nullable=False),
    Column("tags", Json, nullable=False),
    Column("text", Json, nullable=False),
    Column("facts", Json, nullable=False),
)

# Only where content is kept: redacted text in UTF-8, muted FLAC, a picture without its metadata.
CONTENT = _of_moment(
    "content",
    Column("source", String, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
