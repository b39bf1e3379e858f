"""`emotion trends` over a real store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

import weights
from fusion.pool import FusionPool
from modalities.errors import InputError
from modalities.reading import Quality, Reading, Source
from server.analysis import Role
from server.moments import ConversationInfo, Moment
from server.store.archive import Archive
from server.store.store import Store
from server.trends import By, show, trends

BEGAN = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
GOOD, BAD = (0.9, 0.05, 0.05), (0.02, 0.08, 0.9)


def reading(sentiment: Sequence[float]) -> Reading:
    emotions = np.log(np.full(7, 1 / 7, np.float32))
    log_sentiment = np.log(np.array(sentiment, np.float32))
    return Reading(Source.TEXT, log_sentiment, emotions, np.zeros(4, np.float32), Quality())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty conversations from 22:30 on, six minutes apart: every fourth is bad. Of the last one
    the customer said nothing."""
    path = tmp_path_factory.mktemp("trends") / "store.db"
    opened = Store.open(str(path), key=bytes(range(32)))
    pool = FusionPool.load(weights.FOLDER / "fusion.safetensors")
    good, bad = pool.infer([[reading(GOOD)], [reading(BAD)]])
    for number in range(40):
        about = ConversationInfo(
            f"request-{number}",
            "AnalyzeConversation",
            BEGAN + timedelta(minutes=6 * number),
            channel=("web", "phone")[number % 2],
            tags=(("鞋 $x$", "sale"), (), ("<b>",))[number % 3],
        )
        key = opened.begin(about, {"fusion": pool.revision, "rules": "none"})
        is_bad = number % 4 == 0
        role = Role.AGENT if number == 39 else Role.CUSTOMER
        said = [reading(BAD if is_bad else GOOD)]
        opened.add(key, 0, Moment(0, role, said, bad if is_bad else good), {}, [], {})
        opened.end(key, None)
    opened.close()
    return path


def found(store: Path, by: By, negative_below: float = -0.2) -> dict[str, tuple[int, int, float]]:
    """Conversations, unscored, negative share by name."""
    archive = Archive(str(store))
    groups = trends(archive.conversations(), by, negative_below)
    archive.close()
    return {one.name: (one.n, one.n_unscored, one.negative_share or 0.0) for one in groups}


def test_hours_and_days_are_in_order(store: Path) -> None:
    hours = found(store, By.HOUR)
    assert list(hours) == [
        "2026-03-01T22:00Z", "2026-03-01T23:00Z", "2026-03-02T00:00Z", "2026-03-02T01:00Z",
        "2026-03-02T02:00Z",
    ]  # fmt: skip
    assert hours["2026-03-01T22:00Z"] == (5, 0, 0.4)
    assert hours["2026-03-02T02:00Z"] == (4, 1, 0.25)
    assert found(store, By.DAY) == {
        "2026-03-01": (15, 0, pytest.approx(4 / 15)),
        "2026-03-02": (24, 1, 0.25),
    }


def test_hours_without_conversations_are_shown(tmp_path: Path) -> None:
    opened = Store.open(str(tmp_path / "store.db"), key=bytes(range(32)))
    for hours in (0, 3):
        at = BEGAN + timedelta(hours=hours)
        opened.end(opened.begin(ConversationInfo("r", "StreamCall", at), {}), None)
    opened.close()
    groups = found(tmp_path / "store.db", By.HOUR)
    assert list(groups.values()) == [(0, 1, 0.0), (0, 0, 0.0), (0, 0, 0.0), (0, 1, 0.0)]


def test_channels_and_tags_are_the_most_frequent_first(store: Path) -> None:
    assert found(store, By.CHANNEL) == {"phone": (19, 1, 0.0), "web": (20, 0, 0.5)}
    tags = found(store, By.TAG)
    assert list(tags) == ["sale", "鞋 $x$", "<b>", "–"]
    assert tags["sale"] == (13, 1, pytest.approx(4 / 13))


def test_the_interval_is_wilsons(store: Path) -> None:
    archive = Archive(str(store))
    channels = {one.name: one for one in trends(archive.conversations(), By.CHANNEL, -0.2)}
    archive.close()
    web = channels["web"]
    # 10 of 20: (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n)
    assert web.low == pytest.approx(0.2993, abs=1e-4)
    assert web.high == pytest.approx(0.7007, abs=1e-4)
    assert web.score is not None
    assert -0.4 < web.score < 0.2


def test_the_threshold_decides_who_is_negative(store: Path) -> None:
    assert found(store, By.CHANNEL, negative_below=1.0)["web"][2] == 1.0
    assert found(store, By.CHANNEL, negative_below=-1.0)["web"][2] == 0.0


def emotion_trends(*arguments: object) -> str:
    app = typer.Typer()
    app.command()(show)
    result = CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "120"})
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_the_table_and_json(store: Path) -> None:
    table = emotion_trends("--store", store, "--by", "channel")
    assert "phone" in table
    assert "29.9% – 70.1%" in table
    since = ("--since", "2026-03-02T02:00:00")
    (hour,) = json.loads(emotion_trends("--store", store, "--by", "hour", *since, "--json"))
    assert (hour["name"], hour["n"], hour["n_unscored"]) == ("2026-03-02T02:00Z", 4, 1)
    assert hour["negative_share"] == 0.25
    none = ("--until", "2026-01-01")
    assert "no conversations" in emotion_trends("--store", store, *none)


def test_plots(store: Path, tmp_path: Path) -> None:
    picture, page = tmp_path / "trends.png", tmp_path / "trends.html"
    emotion_trends("--store", store, "--by", "hour", "--plot", picture)
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    assert (pixels == (200, 85, 61)).all(-1).sum() > 100  # what is drawn of the negative share
    emotion_trends("--store", store, "--by", "tag", "--plot", page)
    html = page.read_text("utf-8")
    assert "鞋 $x$" in html  # as text, and no formula
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert "http" not in html.replace("http://www.w3.org/", "").replace(
        "http://purl.org/", ""
    ).replace("http://creativecommons.org/", "").replace("https://matplotlib.org/", "")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("--store", "nowhere.db"), "store"),
        (("--store", "mysql://host/x"), "store"),
        (("--store", "x.db", "--plot", "x.pdf"), "--plot"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], field: str) -> None:
    with pytest.raises(InputError) as error:
        emotion_trends(*arguments)
    assert error.value.field == field
