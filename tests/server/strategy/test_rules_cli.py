"""`emotion rules`, and a changed book applied to a real store: only the advice changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from strategy_moments import RULE, info, said, write
from typer.testing import CliRunner, Result

from modalities.errors import InputError
from server.analysis import Role
from server.moments import Advice, Moment
from server.store.archive import Archive
from server.store.schema import ADVICE, METADATA
from server.store.store import Store
from server.strategy.advise import Advisor
from server.strategy.book import Book
from server.strategy.cli import rules_app
from server.strategy.facts import Tracker

CALL = [
    said("My parcel did not come!", "angry", 0.9, at_s=5.0),
    said("One moment, please.", None, role=Role.AGENT, at_s=9.0),
    said("I'll talk to my lawyer, and you can call me on 13812345678.", "angry", 0.95, at_s=14.0),
    said("It comes today.", None, role=Role.AGENT, at_s=30.0),
    said("Thanks!", "happy", 0.9, at_s=40.0),
]
BOOK = """\
keywords: {legal: [lawyer]}
rules:
  - {name: anger, when: emotion == "angry", cool_down_s: inf, advice: {en: Listen., zh: 请倾听。}}
  - {name: threat, when: mentions.legal, advice: {en: Hand over., zh: 请转主管。}}
  - {name: happy, when: emotion == "happy", advice: {en: Close., zh: 请收尾。}}
"""


def emotion(*arguments: object) -> Result:
    result = CliRunner().invoke(rules_app, [str(one) for one in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def fill(path: Path, book: Book, moments: Sequence[Moment] = CALL, *, keep_content: bool) -> Path:
    """A store with one call that has ended and one that goes on."""
    store = Store.open(
        str(path / "store.db"),
        key=bytes(range(32)),
        keep_content=keep_content,
        max_queued=1000,
        retention_days=None,
    )
    for ends in (True, False):
        about = info(customer_id="c-7", channel="phone", language="en")
        key = store.begin(about, {"fusion": "f", "rules": book.revision})
        tracker, advisor = Tracker(about), Advisor(book)
        for number, moment in enumerate(moments):
            facts = tracker.facts(moment)
            advice = advisor.advise(number, facts)
            store.add(key, number, moment, facts, advice, advisor.not_evaluable)
        if ends:
            store.end(key, 0.4)
    store.close()
    return path / "store.db"


def rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Everything in the store but the advice, and what says which book gave it."""
    archive = Archive(str(path))
    with archive.engine.connect() as connection:
        found = {
            table.name: [
                {k: v for k, v in row._mapping.items() if k not in ("book_revision",
                                                                    "not_evaluable")}
                for row in connection.execute(select(table).order_by(*table.primary_key))
            ]
            for table in METADATA.sorted_tables
            if table is not ADVICE
        }  # fmt: skip
    archive.close()
    return found


def advice(path: Path) -> list[list[Advice]]:
    """Of the call that has ended, and of the one that goes on."""
    archive = Archive(str(path))
    found = sorted(archive.conversations(), key=lambda one: one.ended_at is None)
    archive.close()
    return [[one for moment in call.moments for one in moment.advice] for call in found]


def test_check_and_list(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert "1 rules, revision " in emotion("check", path).stdout
    shown = emotion("list", "--rules", path).stdout
    assert "upset" in shown and "请倾听" in shown and "score < -0.5" in shown
    default = emotion("list").stdout
    assert Book.default().revision in default and "de-escalate" in default


def test_check_tells_file_line_and_hint(tmp_path: Path) -> None:
    path = write(tmp_path, RULE.replace("score", "scoer"))
    with pytest.raises(InputError, match=rf"{path}:3: .*did you mean 'score'"):
        emotion("check", path)


def test_the_book_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_RULES", str(write(tmp_path)))
    assert "1 rules" in emotion("list").stdout


@pytest.mark.parametrize("keep_content", [False, True])
def test_a_changed_book_changes_the_advice_and_nothing_else(
    tmp_path: Path, keep_content: bool
) -> None:
    first = write(tmp_path, BOOK)
    store = fill(tmp_path, Book.load(first), keep_content=keep_content)
    before, advised = rows(store), advice(store)
    assert [(one.rule, one.offset_s) for one in advised[0]] == [
        ("anger", 7.0), ("threat", 16.0), ("happy", 42.0),
    ]  # fmt: skip

    (tmp_path / "new").mkdir()
    changed = BOOK.replace("Listen.", "Listen well.").replace("name: happy", "name: glad")
    second = write(tmp_path / "new", changed)
    told = json.loads(emotion("apply", "--store", store, "--rules", second, "--json").stdout)
    assert told == {
        "conversations": 1,
        "ongoing": 1,
        "added": 1,
        "removed": 1,
        "changed": 1,
        "unchanged": 1,
        "not_evaluable": {} if keep_content else {"threat": 2},
        "book_revision": Book.load(second).revision,
    }
    after = advice(store)
    assert [(one.rule, one.offset_s) for one in after[0]] == [
        ("anger", 7.0), ("threat", 16.0), ("glad", 42.0),
    ]  # fmt: skip
    assert after[0][0].text["en"] == "Listen well."
    assert after[0][1] == advised[0][1]
    assert after[1] == advised[1]  # the call that goes on
    assert rows(store) == before

    emotion("apply", "--store", store, "--rules", first)
    assert advice(store) == advised and rows(store) == before


def test_stored_facts_advise_as_the_live_ones_did(tmp_path: Path) -> None:
    book = Book.default()
    store = fill(tmp_path, book, keep_content=True)
    advised = advice(store)
    assert len(advised[0]) >= 4
    told = emotion("apply", "--store", store).stdout
    assert f"unchanged {len(advised[0])}" in told and "added 0" in told
    assert advice(store) == advised


def test_what_cannot_be_asked_is_told_by_rule(tmp_path: Path) -> None:
    store = fill(tmp_path, Book.load(write(tmp_path)), keep_content=False)
    told = emotion("apply", "--store", store).stdout
    assert "NOT_EVALUABLE life-at-risk: at 3 moments" in told
    assert "NOT_EVALUABLE de-escalate" not in told
    assert "1 conversations still go on" in told
    archive = Archive(str(store))
    ended = next(one for one in archive.conversations() if one.ended_at)
    assert ended.not_evaluable["life-at-risk"] == 3
    assert ended.book_revision == Book.default().revision
    assert ended.versions["rules"] != ended.book_revision
    archive.close()


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no store"):
        emotion("apply", "--store", tmp_path / "none.db")
