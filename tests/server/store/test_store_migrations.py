"""The tables that migrations make are those of the schema, on SQLite and on PostgreSQL."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
import store_data as made
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from databases import url_of
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

import server.feedback.schema  # noqa: F401 - its table lies in the store, too
from modalities.errors import InputError, UnavailableError
from server.errors import StateError
from server.store.archive import Archive
from server.store.database import writing
from server.store.schema import METADATA


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", "server.store:migrations")
    return ScriptDirectory.from_config(config)


def columns(ddl: str) -> dict[str, set[str]]:
    """What each CREATE TABLE says of its columns and constraints."""
    tables = re.findall(r"CREATE TABLE (\w+) \((.*?)\n\)", ddl, re.S)
    return {
        name: {line.strip(" \t,").replace('"', "") for line in lines.splitlines() if line.strip()}
        for name, lines in tables
    }


def test_migrations_make_the_schema(tmp_path: Path) -> None:
    made.open_store(tmp_path / "s.db").close()
    archive = Archive(url_of(tmp_path / "s.db"))
    with archive.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    archive.close()


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = made.open_store(path)
    with writing(store.engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(StateError, match=r"newer version.*9999"):
        made.open_store(path)


def test_the_schema_is_postgresql_s_too() -> None:
    """Each statement of the migrations, as PostgreSQL would get it, makes the same columns."""
    buffer = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": buffer}
    )
    with Operations.context(context):
        for script in reversed(list(scripts().walk_revisions())):
            script.module.upgrade()
    migrated, dialect = buffer.getvalue(), postgresql.dialect()
    created = "".join(
        str(CreateTable(table).compile(dialect=dialect)) for table in METADATA.sorted_tables
    )
    assert columns(migrated) == columns(created)
    for table in METADATA.sorted_tables:
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect)).strip() in migrated
    assert "log_sentiment BYTEA" in migrated
    n_keys = sum(len(table.foreign_key_constraints) for table in METADATA.sorted_tables)
    assert migrated.count("ON DELETE CASCADE") == n_keys


def test_a_database_that_cannot_be_opened_is_told_without_its_password(tmp_path: Path) -> None:
    for url in (
        "postgresql://me:hidden@127.0.0.1:1/emotion",  # neither driver nor server here
        str(tmp_path / "no" / "such" / "folder" / "s.db"),
    ):
        with pytest.raises(UnavailableError) as refused:
            Archive(url, create=True)
        assert "hidden" not in str(refused.value)
    with pytest.raises(InputError):
        Archive("postgresql://[::1")


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_text("these are notes, and no database at all " * 100)
    with pytest.raises(UnavailableError, match="cannot be opened"):
        Archive(str(path))
