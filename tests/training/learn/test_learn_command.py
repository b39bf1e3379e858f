"""Labels in the store → `emotion feedback export` → `emotion learn` → the gate → the registry, as a
user goes, on a few rows of the shipped sets. So few rows bound no loss tightly: the gate's limits
are wide here, or so narrow that nothing passes; test_learn_gate.py has what they mean."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
import small_data
from typer.testing import CliRunner

import weights
from fusion.pool import FusionPool
from modalities.checkpoint import sha256
from modalities.reading import Quality, Reading, Source
from server.analysis import Role
from server.cli import app
from server.feedback.labels import Label, Labels
from server.moments import ConversationInfo, Moment
from server.store.store import Store
from training.data import WRITTEN
from training.learn import gate
from training.learn.registry import Registry

SAID = {"positive": "broadband is stable", "negative": "the router blinks red"}
N_LABELS = 12


@pytest.fixture(scope="module")
def few(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_data.cut(data, tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _set_up(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("EMOTION_DATA", str(few))
    monkeypatch.setenv("EMOTION_REGISTRY", str(tmp_path / "registry"))
    for name in WRITTEN:
        monkeypatch.setitem(WRITTEN, name, few / "text" / f"{name}.csv.gz")
    for bound in ("MOST_POOLED", "MOST_OF_A_SET", "MOST_OF_A_GAP"):
        monkeypatch.setattr(gate, bound, 100.0)
    yield


def emotion(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == status, result.output
    return result.output


def learn(part: str, manifest: Path, out: Path, status: int = 0) -> str:
    return emotion(
        "learn", part, "--data", manifest, "--out", out, "--replay", 40, "--epochs", 1,
        "--device", "cpu", "--threads", 1, status=status,
    )  # fmt: skip


def labelled(path: Path) -> Path:
    """A store with content, each message labelled."""
    store, fusion = Store.open(str(path), key=bytes(32), keep_content=True), _fusion()
    for number in range(N_LABELS):
        sentiment = list(SAID)[number % 2]
        text = f"{SAID[sentiment]} {number}"
        even = np.log(np.full(7, 1 / 7, np.float32))
        third = np.log(np.full(3, 1 / 3, np.float32))
        reading = Reading(Source.TEXT, third, even, np.zeros(4, np.float32), Quality())
        content = {Source.TEXT: text.encode()}
        moment = Moment(
            0, Role.CUSTOMER, [reading], fusion.infer([[reading]])[0], text, content=content
        )
        info = ConversationInfo(f"a-{number}", "AnalyzeEmotion", datetime.now(UTC))
        key = store.begin(info, {"fusion": fusion.revision, "rules": ""})
        store.add(key, 0, moment, {"text": text}, [], {})
        store.end(key, None)
    assert store.flush()
    labels = Labels(store.engine)
    for number in range(N_LABELS):
        name = list(SAID)[number % 2]
        labels.add(Label(f"l-{number}", f"a-{number}", 0, "sentiment", name))
    store.close()
    return path


def _fusion() -> FusionPool:
    return FusionPool.load(weights.path_of("fusion"))


def test_labels_of_the_store_become_a_text_model_that_is_served_and_taken_back(
    tmp_path: Path,
) -> None:
    manifest, out = tmp_path / "labels.csv", tmp_path / "learned"
    exported = emotion(
        "feedback", "export", "--store", labelled(tmp_path / "s.db"), "--out", manifest
    )
    assert f"{N_LABELS} rows; 0 labels without" in exported
    registry = Registry(tmp_path / "registry")
    with registry.learning("text"):
        refusal = learn("text", manifest, out, status=1)
    assert re.search(r"process \d+ on .*is learning text", refusal)
    assert "the gate passes text 0001" in learn("text", manifest, out)
    (version,) = registry.versions("text")
    assert version.card["parent"]["sha256"] == sha256(weights.path_of("text"))
    assert version.card["gate"]["pooled"]["n"] > 50
    assert (version.folder / "satisfaction.safetensors").is_file()
    assert "* embedded" in emotion("models", "versions", "text")
    emotion("models", "promote", "text", "0001")
    assert "* 0001" in emotion("models", "versions", "text")
    assert "embedded is served again" in emotion("models", "rollback", "text")


def test_new_recordings_are_learned_beside_replay(data: Path, tmp_path: Path) -> None:
    digits = sorted((data.resolve() / "asr" / "digits").glob("*.opus"))
    files = [next(one for one in digits if one.name.startswith(f"{n}_")) for n in range(8)]
    manifest = written(tmp_path / "m.csv", files, ("angry", "happy"))
    assert "the gate passes voice 0001" in learn("voice", manifest, tmp_path / "learned")
    emotion("models", "promote", "voice", "0001")
    assert "* 0001" in emotion("models", "versions", "voice")


def test_new_pictures_are_learned_and_what_the_gate_refuses_is_in_no_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{n}.png" for n in range(8)]
    for n, file in enumerate(files):
        pixels = rng.integers(0, 60, (50, 50, 3)) + 180 * (n % 2)
        cv2.imwrite(str(file), pixels.astype(np.uint8))
    manifest, out = written(tmp_path / "m.csv", files, ("sad", "happy")), tmp_path / "learned"
    assert "the gate passes image 0001" in learn("image", manifest, out)
    monkeypatch.setattr(gate, "MOST_POOLED", -100.0)  # a gain is asked for that nothing reaches
    assert "the gate refuses it: pooled over" in learn(
        "image", manifest, tmp_path / "refused", status=1
    )
    assert len(Registry(tmp_path / "registry").versions("image")) == 1
    assert json.loads((tmp_path / "refused" / "card.json").read_text())["gate"]["reasons"]


def written(path: Path, files: list[Path], labels: tuple[str, str]) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "label", "split"))
        for n, one in enumerate(files):
            rows.writerow((one, labels[n % 2], "dev" if n % 4 < 2 else "train"))
    return path
