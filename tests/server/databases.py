"""Where tests keep their stores: SQLite files, or schemas of a PostgreSQL database where
EMOTION_TEST_POSTGRESQL is its URL. Tests of SQLite's own files are marked `of_sqlite`."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

POSTGRESQL = os.environ.get("EMOTION_TEST_POSTGRESQL", "")


@cache
def url_of(path: Path) -> str:
    """Of the store that a test means by `path`; on PostgreSQL a schema, emptied at first."""
    if not POSTGRESQL:
        return str(path)
    schema = "test_" + hashlib.sha256(str(path).encode()).hexdigest()[:16]
    engine = create_engine(POSTGRESQL)
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    engine.dispose()
    url = make_url(POSTGRESQL).update_query_dict({"options": f"-csearch_path={schema}"})
    return url.render_as_string(hide_password=False)
