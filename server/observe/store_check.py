"""The doctor on the store's database, which it does not change."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from server.observe.finding import Finding, fail, ok, warn

MIGRATE = "emotion store migrate"


def state_of(url: str) -> Finding:
    """Whether it answers, can be written, and has this version's tables."""
    try:
        parsed = make_url(url if "://" in url else f"sqlite:///{url}")
        engine = create_engine(parsed, hide_parameters=True)
    except (ArgumentError, ValueError):
        return fail("store", "neither a file nor a database's URL", "correct the setting store")
    except ModuleNotFoundError as error:
        return fail(
            "store", f"the driver {error.name} is missing", "install emotion-service[postgresql]"
        )
    shown = parsed.render_as_string(hide_password=True)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite and not Path(parsed.database or "").is_file():
        return fail("store", f"there is no {parsed.database}", MIGRATE)
    config = Config()
    config.set_main_option("script_location", "server.store:migrations")
    scripts = ScriptDirectory.from_config(config)
    try:
        with engine.connect() as connection:
            if is_sqlite:  # takes the lock of a writer, and gives it back
                connection.exec_driver_sql("PRAGMA busy_timeout=5000")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            revision = MigrationContext.configure(connection).get_current_revision()
            connection.rollback()
    except DBAPIError as error:
        return fail(
            "store",
            f"{shown} does not answer, or cannot be written ({type(error.orig).__name__})",
            "see that the database runs, that the file is one, and that its folder can be written",
        )
    finally:
        engine.dispose()
    head = scripts.get_current_head()
    if revision == head:
        return ok("store", f"{shown}, revision {revision}")
    if revision in (None, *(script.revision for script in scripts.walk_revisions())):
        return warn(
            "store",
            f"{shown} has revision {revision or 'none'}, not {head}",
            f"{MIGRATE}, or start",
        )
    return fail(
        "store",
        f"{shown} has revision {revision}, of a newer version",
        "upgrade emotion-service, or choose another store",
    )
