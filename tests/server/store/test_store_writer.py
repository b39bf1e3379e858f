"""The database away, full or locked: scores are queued and written later, and losses are told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import store_data as made
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, OperationalError

from modalities.errors import OverloadedError
from server.store import writer as writing
from server.store.writer import Writer


def away(secret: str = "13812345678") -> OperationalError:
    return OperationalError("INSERT", {"text": secret}, Exception("gone"))


class Database:
    """Takes batches of numbers, unless it is away."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.is_away = threading.Event()
        self.refused = threading.Event()

    def write(self, batch: list[int]) -> None:
        if self.is_away.is_set():
            self.refused.set()
            raise away()
        if 13 in batch:
            raise IntegrityError("INSERT", {}, Exception("no such conversation"))
        self.rows += batch


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "RETRY_S", (0.01, 0.05))


def numbers(database: Database, max_queued: int = 100) -> Writer[int]:
    return Writer[int](database.write, max_queued)  # type: ignore[arg-type]


def give(number: int) -> Callable[[], int]:
    return lambda: number


def test_what_came_while_the_database_was_away_is_written(
    quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database()
    database.is_away.set()
    writer = numbers(database, max_queued=5)
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            writer.check()
            writer.put(give(number))
        assert database.refused.wait(5)
        with pytest.raises(OverloadedError) as refused:
            writer.check()
        assert refused.value.retry_after_s > 0
        writer.put(give(5))  # of what was begun before
        assert not writer.flush(0.3)  # several attempts
        database.is_away.clear()
        assert writer.flush(5)
    assert sorted(database.rows) == list(range(6))
    assert writer.close(5) == 0
    told = [record for record in caplog.records if "away" in record.getMessage()]
    assert len(told) == 1  # once a minute, not at each attempt
    assert "13812345678" not in caplog.text


def test_closing_while_the_database_is_away_says_how_much_is_lost(quick: None) -> None:
    database = Database()
    database.is_away.set()
    writer = numbers(database)
    for number in range(7):
        writer.put(give(number))
    assert writer.close(0.2) == 7
    assert database.rows == []


def test_one_bad_row_is_lost_alone(quick: None) -> None:
    database = Database()
    writer = numbers(database)

    def broken() -> int:
        raise ValueError("13812345678")

    for prepare in (give(1), give(13), broken, give(2)):
        writer.put(prepare)
    assert writer.flush(5)
    assert sorted(database.rows) == [1, 2]
    assert writer.close(5) == 2


def test_the_chore_runs_in_the_thread_and_its_failure_stops_nothing(quick: None) -> None:
    done = threading.Event()

    def chore() -> None:
        done.set()
        raise away()

    database = Database()
    writer = Writer[int](database.write, 10, chore)  # type: ignore[arg-type]
    assert done.wait(5)
    writer.put(give(1))
    assert writer.close(5) == 0
    assert database.rows == [1]


@pytest.mark.of_sqlite
def test_a_full_disk_holds_the_scores_back_until_there_is_room(
    quick: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite's own bound on pages answers as a full disk does: SQLITE_FULL."""
    store = made.open_store(tmp_path / "s.db")

    max_pages = 1  # as many as there are already

    @event.listens_for(store.engine, "checkout")
    def bound(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={max_pages}")

    said = made.moments(made.pool(), ["慢 13812345678"] * 200)
    with caplog.at_level(logging.WARNING):
        made.put(store, made.info(), said)
        assert not store.flush(0.5)
        max_pages = 1_000_000
        assert store.flush(10)
    (stored,) = store.conversations()
    assert len(stored.moments) == 200
    assert store.n_lost == 0
    store.close()
    assert "13812345678" not in caplog.text
    told = [record for record in caplog.records if "away" in record.getMessage()]
    assert [vars(record)["error"] for record in told] == ["OperationalError"]
