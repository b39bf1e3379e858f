"""`emotion store` on a store that a server wrote."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import server_media as media
import store_data as made
from databases import url_of
from server_process import in_process
from typer.testing import CliRunner

from modalities.errors import InputError, UnavailableError
from server.analysis import BytesPart, Call, Content, TextPart
from server.course import course
from server.models import Models
from server.moments import Advice, Moment
from server.store.archive import Archive
from server.store.cli import DIFFERENT, store_app
from server.store.database import writing
from server.store.key import read_key
from server.store.records import ContentNotStoredError
from server.store.store import Store
from server.strategy.advise import Advisor
from server.strategy.book import Book
from server.strategy.facts import Tracker


def run(*arguments: str, store: Path) -> Any:
    environment = {"EMOTION_STORE_KEY_FILE": f"{store}.key"}
    return CliRunner().invoke(store_app, [*arguments, "--store", url_of(store)], env=environment)


def said(*arguments: str, store: Path) -> Any:
    result = run(*arguments, "--json", store=store)
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def change(statement: str, store: Path) -> None:
    archive = Archive(url_of(store))
    with writing(archive.engine) as connection:
        connection.exec_driver_sql(statement)
    archive.close()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Of two customers, advised by the default book."""
    path = tmp_path / "s.db"
    assert run("migrate", store=path).exit_code == 0
    fusion, book = made.pool(), Book.default()
    opened = Store.open(url_of(path), key=read_key(tmp_path / "s.db.key"))
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
    change("UPDATE moment SET score = score + 1e-9 WHERE number = 1", store)
    result = run("verify", store=store)
    assert result.exit_code == DIFFERENT
    assert result.stdout.count("moment 1: score") == 3
    change("""UPDATE conversation SET versions = '{"fusion": "older"}'""", store)
    counts = said("verify", store=store)
    assert (counts["other_models"], counts["differences"]) == (3, 0)


def test_rerun_makes_the_readings_anew_by_the_models_that_made_them(
    tmp_path: Path, loaded: Models
) -> None:
    """Words, words with a number that was taken out, sound, a chat's picture; then another model's
    revision, and a store without content."""
    path = tmp_path / "s.db"
    contents = [
        Content(TextPart("t", "太慢了，我很生气"), BytesPart("a", media.recording())),
        Content(TextPart("t", "找 13812345678")),
        Content(images=(BytesPart("i", media.screenshot()),)),
    ]
    assert run("migrate", store=path).exit_code == 0
    key = read_key(Path(f"{path}.key"))
    stores = [Store.open(url_of(path), key=key, keep_content=keep) for keep in (False, True)]
    for number, content in enumerate(contents):
        call = Call("rerun")
        analysis = in_process(
            loaded, lambda pipeline, c=content, k=call: pipeline.analyze_content(c, k)
        )
        for keep, opened in enumerate(stores):
            about = made.info(10 * keep + number)
            made.put(opened, about, course([content], [analysis], [None]), versions=call.models)
    for opened in stores:
        opened.close()
    counts = said("rerun", store=path)
    assert (counts["conversations"], counts["content_not_stored"]) == (6, 3)
    assert (counts["redacted"], counts["different"], counts["model_missing"]) == (1, 0, 0)
    assert counts["same"] >= 4
    assert isinstance(run("rerun", "request-0", store=path).exception, ContentNotStoredError)
    shown = run("rerun", "request-10", store=path)
    assert shown.exit_code == 0 and "text" in shown.stdout and "same" in shown.stdout
    change(
        "UPDATE reading SET log_sentiment = "
        "(SELECT log_sentiment FROM reading WHERE source = 'voice' LIMIT 1) WHERE source = 'text'",
        path,
    )
    assert run("rerun", "request-10", store=path).exit_code == DIFFERENT
    change("""UPDATE conversation SET versions = '{"text": "0123456789ab"}'""", path)
    missing = run("rerun", "request-10", store=path)
    assert "text 0123456789ab is neither in the bundle nor in the registry" in missing.stdout


def test_erase_and_expire_tell_how_much_went(store: Path) -> None:
    assert said("erase", "her", store=store)["conversation"] == 2
    assert said("show", store=store)["moment"] == 2
    assert said("expire", "--days", "1e5", store=store)["conversation"] == 0
    assert said("expire", "--days", "0", store=store)["conversation"] == 1
    assert sum(said("show", store=store).values()) == 0
