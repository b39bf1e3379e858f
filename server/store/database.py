"""The database: opened, brought to this version's tables, and emptied so that nothing stays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from modalities.errors import InputError, UnavailableError
from server.errors import StateError

BUSY_MS = 5000  # that SQLite waits for another process's transaction


def connect(url: str, *, create: bool) -> Engine:
    """Open the database at `url`, a URL or the path of an SQLite file, and migrate it.

    `create` says whether an SQLite file that is not there is made. Raises InputError where it
    cannot be understood or is not there, UnavailableError where there is no driver or no answer,
    and StateError where a newer version of this program made it.
    """
    try:
        parsed = make_url(url if "://" in url else f"sqlite:///{url}")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise ArgumentError
    except (ArgumentError, ValueError):
        raise InputError(
            "a file, or a URL such as sqlite:///store.db or postgresql://user@host/name", "store"
        ) from None
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite and not create and not Path(parsed.database or "").is_file():
        raise InputError(f"there is no store at {parsed.database}", "store")
    try:
        engine = create_engine(parsed, pool_pre_ping=not is_sqlite, hide_parameters=True)
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"the database's driver {error.name} is not installed",
            "install emotion-service[postgresql]",
        ) from error
    if is_sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        _migrate(engine)
    except DBAPIError as error:
        # The driver's message may hold the URL's password.
        raise UnavailableError(
            f"the store cannot be opened ({type(error.orig).__name__})",
            "check that the database runs, and that its folder can be written",
        ) from error
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes; SQLite's lock is taken at its beginning, not half-way."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def answering() -> Iterator[None]:
    """Raises UnavailableError where the database does not answer."""
    try:
        yield
    except DBAPIError as error:
        raise UnavailableError(
            f"the store does not answer ({type(error.orig).__name__})",
            "try again once its database runs",
        ) from error


def purge(engine: Engine, *, rewrite: bool) -> None:
    """See to it that what was deleted lies in no file of the database any more.

    SQLite zeroes what it deletes (secure_delete); its write-ahead log is emptied here and, with
    `rewrite`, the file written anew, for what an earlier program deleted without zeroing.
    Raises StateError where another process has kept the log in use.
    """
    if engine.dialect.name != "sqlite":
        if rewrite:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM"))
        return
    with engine.connect() as connection:
        raw = connection.connection.cursor()
        if rewrite:
            raw.execute("VACUUM")
        give_up = time.monotonic() + BUSY_MS / 1000
        while raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:  # busy
            if time.monotonic() > give_up:
                raise StateError(
                    "what was deleted still lies in the store's write-ahead log, which another "
                    "process reads",
                    "run the command again when that has ended",
                )
            time.sleep(0.05)


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says
    for pragma in (
        "journal_mode=WAL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_MS}",
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", "server.store:migrations")
    known = ScriptDirectory.from_config(config)
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":  # one process at a time
            connection.execute(text("SELECT pg_advisory_xact_lock(20266)"))
        current = MigrationContext.configure(connection).get_current_revision()
        if current == known.get_current_head():
            return
        if current not in (None, *(script.revision for script in known.walk_revisions())):
            raise StateError(
                f"a newer version made the store (its tables are of revision {current})",
                "upgrade emotion-service, or choose another store",
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
