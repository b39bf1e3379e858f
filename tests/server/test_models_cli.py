"""`emotion models`, and what a command does with the checkpoint that it names or finds."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import server_media as media
from server_process import in_process
from test_cli import emotion
from whisper_files import SMALL, make_base_small, state_of

from modalities.errors import UnavailableError
from modalities.voice import whisper_checkpoint
from server import models
from server.ray_engine.replica import settings_for
from server.settings import Settings


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a small `base` was pulled."""
    make_base_small(monkeypatch)
    dims = asdict(SMALL.dims)
    whisper_checkpoint.save(tmp_path / "whisper-base.pt", dims, state_of())
    return tmp_path


def test_models_list(cache: Path) -> None:
    status, out, _ = emotion("models", "list")
    assert status == 0
    for name in ("fusion", "image", "text", "voice", "whisper", "emotion models pull", "1,528 MB"):
        assert name in " ".join(out.split())
    assert "in use" not in out
    status, out, _ = emotion("models", "list", "--whisper-dir", cache)
    assert status == 0
    assert "in use" in out


def test_pull_without_any_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(
        whisper_checkpoint.whisper._MODELS, "tiny", "http://127.0.0.1:9/abc123/tiny.pt"
    )
    status, _, err = emotion("models", "pull", "tiny", "--whisper-dir", tmp_path)
    assert status == 1
    for part in ("127.0.0.1:9/abc123/tiny.pt", "75,572,083 bytes", "abc123", "--from FILE"):
        assert part in err
    status, _, err = emotion("models", "pull", "no-such-model", "--whisper-dir", tmp_path)
    assert status == 1
    assert "tiny" in err
    assert not list(tmp_path.iterdir())


def test_pull_from_a_file(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    given = cache / "whisper-base.pt"
    status, out, _ = emotion("models", "pull", "--from", given, "--whisper-dir", other)
    assert status == 0
    assert out.strip() == str(other / "whisper-base.pt")
    (other / "empty").mkdir()
    status, _, err = emotion("models", "pull", "--from", other / "empty", "--whisper-dir", other)
    assert status == 1
    assert "model.bin" in err


def test_what_was_pulled_is_used_without_being_named(cache: Path) -> None:
    loaded = models.load(Settings(whisper_dir=cache))
    assert loaded.voice is not None and loaded.voice.whisper_name == "whisper-base"
    assert "whisper" not in loaded.missing
    off = models.load(Settings(whisper_dir=cache, whisper="none"))
    assert off.voice is not None and off.voice.whisper is None
    request = media.request(None, media.recording())
    response = in_process(off, lambda pipeline: pipeline.analyze(request))
    assert "turned off" in response.transcript.reason


def test_what_was_pulled_and_is_damaged_leaves_the_voice(cache: Path) -> None:
    (cache / "whisper-base.pt").write_bytes(b"half of it")
    loaded = models.load(Settings(whisper_dir=cache))
    assert loaded.voice is not None and loaded.voice.whisper is None
    assert "emotion models pull base" in loaded.missing["whisper"].remedy


@pytest.mark.parametrize("absent", ["tiny", "no-such-file.pt"])
def test_what_is_asked_for_and_absent_is_refused(absent: str, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        models.load(Settings(whisper=absent, whisper_dir=tmp_path))


def test_a_server_without_what_it_was_asked_for_never_listens(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "server.cli", "serve", "--port", "0", "--whisper", "small"]
    done = subprocess.run(
        [*command, "--whisper-dir", str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "emotion models pull small" in done.stderr
    assert "serving" not in done.stderr


def test_replicas_take_the_front_ends_choice(cache: Path, tmp_path: Path) -> None:
    assert settings_for("voice", Settings(whisper_dir=cache))["whisper"] == "base"
    assert settings_for("calls", Settings(whisper_dir=cache / "none"))["whisper"] == "none"
    assert settings_for("text", Settings(whisper_dir=cache))["whisper"] == "none"


def test_the_demo_prints_the_transcript(
    whisper_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTION_WHISPER_DIR", str(whisper_base.parent))
    status, out, _ = emotion("demo", media.EXAMPLES)
    assert status == 0
    assert "I want my money back" in " ".join(out.split())
