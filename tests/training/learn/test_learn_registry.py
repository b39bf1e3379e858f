"""Versions, the pointer, the lock; a disk that is full."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from modalities.errors import InputError, UnavailableError
from training.learn.registry import Registry


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "text.safetensors").write_bytes(b"weights" * 10_000)
    (folder / "satisfaction.safetensors").write_bytes(b"head")
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def test_versions_are_served_and_taken_back(registry: Registry, made: Path) -> None:
    assert registry.current("text") is None
    with pytest.raises(InputError):
        registry.rollback("text")
    names = [registry.add("text", made, {"parent": name}).name for name in ("a", "b", "c")]
    assert names == ["0001", "0002", "0003"]
    assert registry.current("text") is None
    for name in ("0001", "0003", "0002"):
        registry.promote("text", name)
    assert registry.history("text") == ["embedded", "0001", "0003", "0002"]
    current = registry.current("text")
    assert current is not None
    assert current.card["parent"] == "b"
    assert (current.folder / "SHA256SUMS").read_text().count("  ") == 2
    assert registry.rollback("text") == "0003"
    assert registry.rollback("text", "embedded") == "embedded"
    assert registry.current("text") is None
    for wrong in ("0002", "0009"):
        with pytest.raises(InputError):
            registry.rollback("text", wrong)
    with pytest.raises(InputError):
        registry.promote("text", "0009")
    assert registry.history("voice") == ["embedded"]


def test_the_second_learner_is_refused_and_told_who_holds_it(registry: Registry) -> None:
    holds = (
        "import sys; from pathlib import Path; from training.learn.registry import Registry\n"
        "with Registry(Path(sys.argv[1])).learning('text'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holds, str(registry.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(UnavailableError, match=f"process {other.pid} on"),
            registry.learning("text"),
        ):
            pass
        with registry.learning("voice"):  # another part is free
            pass
        other.kill()
    with registry.learning("text"):  # the lock went with its process
        pass


def test_a_full_disk_leaves_the_registry_as_it_was(registry: Registry, made: Path) -> None:
    registry.add("text", made, {})
    registry.promote("text", "0001")
    before = {p: p.read_bytes() for p in registry.folder.rglob("*") if p.is_file()}
    # No file of this process may grow beyond 50 kB: the write ends half-way, as on a full disk.
    adds = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from modalities.errors import UnavailableError\n"
        "from training.learn.registry import Registry\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n"
        "    Registry(Path(sys.argv[1])).add('text', Path(sys.argv[2]), {})\n"
        "except UnavailableError as error:\n"
        "    print(error.reason, '|', error.remedy)"
    )
    command = [sys.executable, "-c", adds, str(registry.folder), str(made)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "cannot be written" in told
    assert "free some space" in told
    assert {p: p.read_bytes() for p in registry.folder.rglob("*") if p.is_file()} == before
    assert json.loads((registry.folder / "current.json").read_text()) == {"text": ["0001"]}
    assert registry.add("text", made, {}).name == "0002"
