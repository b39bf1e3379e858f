"""The table of labels; it lies in the store, and a label goes with the moment that it is of."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from server.store.schema import METADATA, Utc

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("id", Integer, primary_key=True),  # in the order in which they came
    Column("request_id", String, nullable=False),
    Column("conversation", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String, nullable=False),  # "emotion", "sentiment" or "score"
    Column("label", String, nullable=False),
    Column("content", String),  # redacted; only where the store keeps content
    Column("created_at", Utc, nullable=False),
    ForeignKeyConstraint(
        ["conversation", "number"], ["moment.conversation", "moment.number"], ondelete="CASCADE"
    ),
    UniqueConstraint("request_id", name="uq_feedback_request_id"),
    Index(None, "conversation", "number"),
)
