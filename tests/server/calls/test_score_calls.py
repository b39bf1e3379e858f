"""`emotion score-calls`: its exit statuses and what it tells."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import recorded_media as calls
from typer.testing import CliRunner

from server.calls.journal import utterances_path
from server.cli import app

ROLES = ("--channels", "customer,agent")


def score(*arguments: object) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    result = CliRunner().invoke(app, ["score-calls", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    calls.write(tmp_path / "calls" / "a.wav", calls.stereo())
    calls.write(tmp_path / "calls" / "b.mp3", calls.talk(1, [(0, 0.5)], 4.5), "libmp3lame")
    return tmp_path / "calls"


def test_all_are_scored_then_one_is_broken(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "calls.parquet"
    arguments = (folder, "--out", out, *ROLES, "--single-speaker", "customer")
    status, told, complaint = score(*arguments)
    assert status == 0
    assert "2 recordings are scored" in told
    assert "who is" not in complaint
    assert str(utterances_path(out)) in told
    assert pq.read_table(out)["customer_utterance_count"].to_pylist() == [2, 1]
    (folder / "broken.wav").write_text("hello")
    status, told, complaint = score(*arguments)
    assert status == 3
    assert "2 recordings are scored, 2 of them by an earlier run" in told
    assert f"{folder}/broken.wav: the audio is damaged" in complaint
    assert pq.read_table(out)["status"].to_pylist() == ["OK", "OK", "UNREADABLE"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("empty", "--out", "calls.parquet"), "no recording in empty"),
        (("gone.wav", "--out", "calls.parquet"), "no file or folder gone.wav"),
        (("calls", "--out", "calls.csv"), "--out"),
        (("calls", "--out", "calls.parquet", "--channels", "caller,agent"), "'caller'"),
        (("calls", "--out", "calls.parquet", "--channels", "customer"), "single_speaker"),
        (("calls", "--out", "calls.parquet", "--single-speaker", "agent,agent"), "one role"),
        (("calls", "--out", "calls.parquet", "--set", "calls_at_once=0"), "calls_at_once"),
        (("calls",), "--out"),
        (("calls", "--out", "there.parquet"), "no table of calls"),
    ],
)
def test_bad_arguments(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(folder.parent)
    Path("empty").mkdir()
    Path("there.parquet").write_text("precious")
    status, out, complaint = score(*arguments)
    assert status == 2
    assert not out
    assert told in complaint
    assert "paths[" not in complaint
    assert not Path("calls.parquet").exists()
    assert Path("there.parquet").read_text() == "precious"


def test_nobody_known_and_a_report(folder: Path, tmp_path: Path) -> None:
    out, pages = tmp_path / "calls.parquet", tmp_path / "report"
    status, _, complaint = score(folder, "--out", out, "--report", pages)
    assert status == 0
    assert "who is the customer?" in complaint
    assert pq.read_table(out)["customer_utterance_count"].to_pylist() == [0, 0]
    assert "a.wav" in (pages / "index.html").read_text()


def test_interrupted(folder: Path, tmp_path: Path) -> None:
    """Ctrl-C: a clean end, and how to go on."""
    starts_s = [(0, float(start_s)) for start_s in range(0, 1200, 10)]  # much to read
    long = calls.write(folder / "c.wav", calls.talk(2, starts_s, 1200.0))
    out = tmp_path / "calls.parquet"
    command = [sys.executable, "-m", "server.cli", "score-calls", str(folder), "--out", str(out)]
    command += ["--set", "calls_at_once=1"]  # so that the long one is the last, and has just begun
    process = subprocess.Popen([*command, *ROLES], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while len(list(tmp_path.glob("calls.parquet.parts/*.arrow"))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=300)
    assert process.returncode == 130
    assert complaint.endswith(b"emotion: stopped; the same command goes on from here\n")
    assert not out.exists()
    long.unlink()
    status, told, _ = score(folder, "--out", out, *ROLES)
    assert status == 0
    assert "2 of them by an earlier run" in told
