"""Conversations, their moments, readings, advice and content."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "store",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String()),
        sa.PrimaryKeyConstraint("name", name="pk_store"),
    )
    op.create_table(
        "conversation",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime()),
        sa.Column("conversation_id", sa.String(), nullable=False),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("versions", JSON, nullable=False),
        sa.Column("book_revision", sa.String(), nullable=False),
        sa.Column("not_evaluable", JSON, nullable=False),
        sa.Column("satisfaction", sa.Double()),
        sa.PrimaryKeyConstraint("key", name="pk_conversation"),
    )
    for columns in (["started_at", "key"], ["customer"], ["request_id"]):
        op.create_index(f"ix_conversation_{'_'.join(columns)}", "conversation", columns)
    op.create_table(
        "moment",
        sa.Column("conversation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("role", sa.String()),
        sa.Column("start_s", sa.Double()),
        sa.Column("end_s", sa.Double()),
        sa.Column("score", sa.Double()),
        sa.Column("facts", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation"],
            ["conversation.key"],
            name="fk_moment_conversation",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation", "number", name="pk_moment"),
    )
    _of_moment(
        "reading",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("log_sentiment", sa.LargeBinary(), nullable=False),
        sa.Column("log_emotions", sa.LargeBinary(), nullable=False),
        sa.Column("quality", JSON, nullable=False),
        sa.Column("contribution", sa.Double(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("hash", sa.String()),
    )
    _of_moment(
        "advice",
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("offset_s", sa.Double()),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("text", JSON, nullable=False),
        sa.Column("facts", JSON, nullable=False),
    )
    _of_moment(
        "content",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )


def _of_moment(name: str, which: sa.Column[Any], *columns: sa.Column[Any]) -> None:
    """A table of parts of moments; `which` tells those of one moment apart."""
    op.create_table(
        name,
        sa.Column("conversation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        which,
        *columns,
        sa.ForeignKeyConstraint(
            ["conversation", "number"],
            ["moment.conversation", "moment.number"],
            name=f"fk_{name}_moment",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation", "number", which.name, name=f"pk_{name}"),
    )
