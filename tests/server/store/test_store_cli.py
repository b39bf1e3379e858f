"""`emotion store` on a store that a server wrote."""

from __future__ import annotations

import json
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
import store_data as made
from typer.testing import CliRunner

from modalities.errors import InputError, UnavailableError
from server.moments import Advice, Moment
from server.store.cli import DIFFERENT, store_app
from server.store.key import read_key
from server.store.store import Store
from server.strategy.advise import Advisor
from server.strategy.book import Book
from server.strategy.facts import Tracker


def run(*arguments: str, store: Path) -> Any:
    return CliRunner().invoke(store_app, [*arguments, "--store", str(store)], env={})


def said(*arguments: str, store: Path) -> Any:
    result = run(*arguments, "--json", store=store)
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Of two customers, advised by the default book."""
    path = tmp_path / "s.db"
    assert run("migrate", store=path).exit_code == 0
    fusion, book = made.pool(), Book.default()
    opened = Store.open(str(path), key=read_key(tmp_path / "s.db.key"))
    for number, customer in enumerate(("her", "him", "her")):
        info = made.info(number, customer_id=customer)
        tracker, advisor = Tracker(info), Advisor(book)
        key = opened.begin(info, {"fusion": fusion.revision, "rules": book.revision})
        for at, moment in enumerate(made.moments(fusion, ["我要投诉！", "退钱！"], seed=number)):
            add(opened, key, at, moment, tracker, advisor)
        opened.end(key, None)
    opened.close()
    return path


def add(
    opened: Store, key: int, at: int, moment: Moment, tracker: Tracker, advisor: Advisor
) -> None:
    facts = tracker.facts(moment)
    advice: list[Advice] = advisor.advise(at, facts)
    opened.add(key, at, moment, facts, advice, advisor.not_evaluable)


def test_migrate_makes_a_key_for_its_owner_alone(tmp_path: Path) -> None:
    first = run("migrate", store=tmp_path / "s.db")
    path = tmp_path / "s.db.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = path.read_text()
    assert str(path) in first.stdout and key.strip() not in first.stdout
    again = run("migrate", store=tmp_path / "s.db")
    assert again.exit_code == 0
    assert path.read_text() == key
    path.unlink()
    lost = run("erase", "her", store=tmp_path / "s.db")
    assert isinstance(lost.exception, UnavailableError)
    assert "emotion store migrate" in lost.exception.remedy


def test_show_tells_how_much_there_is_and_what(store: Path) -> None:
    counts = said("show", store=store)
    assert (counts["conversation"], counts["moment"], counts["reading"]) == (3, 6, 12)
    (shown,) = said("show", "request-1", store=store)
    assert shown["request_id"] == "request-1"
    assert len(shown["moments"][0]["readings"]) == 2
    assert "退钱" not in json.dumps(shown, ensure_ascii=False)
    assert "request-1" in run("show", "request-1", store=store).stdout
    assert isinstance(run("show", "nobody", store=store).exception, InputError)


def test_verify_agrees_until_something_was_changed(store: Path) -> None:
    counts = said("verify", store=store)
    assert counts == {
        "conversations": 3, "moments": 6, "differences": 0, "other_models": 0, "other_books": 0,
    }  # fmt: skip
    with sqlite3.connect(store) as database:
        database.execute("UPDATE moment SET score = score + 1e-9 WHERE number = 1")
    result = run("verify", store=store)
    assert result.exit_code == DIFFERENT
    assert result.stdout.count("moment 1: score") == 3
    with sqlite3.connect(store) as database:
        database.execute("""UPDATE conversation SET versions = '{"fusion": "older"}'""")
    counts = said("verify", store=store)
    assert (counts["other_models"], counts["differences"]) == (3, 0)


def test_erase_and_expire_tell_how_much_went(store: Path) -> None:
    assert said("erase", "her", store=store)["conversation"] == 2
    assert said("show", store=store)["moment"] == 2
    assert said("expire", "--days", "1e5", store=store)["conversation"] == 0
    assert said("expire", "--days", "0", store=store)["conversation"] == 1
    assert sum(said("show", store=store).values()) == 0
