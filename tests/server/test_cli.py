"""The `emotion` command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import server_media as media
from server_process import Server
from typer.testing import CliRunner

from server.cli import app


def emotion(*arguments: object) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "photo.png"
    path.write_bytes(media.encode(media.portrait()))
    return path


def test_json_of_three_modalities(photo: Path) -> None:
    recording = next(media.EXAMPLES.glob("recording.*"))
    status, out, _ = emotion(
        "analyze", "--text", media.SENTENCE, "--audio", recording, "--image", photo, "--json"
    )
    assert status == 0
    answer = json.loads(out)
    assert [m["state"] for m in answer["modalities"]] == ["USED"] * 3
    assert answer["fused"]["abstained"] in (True, False)
    assert set(answer["fused"]["sentiment"]) == {"positive", "neutral", "negative"}
    assert {"source", "weight", "contribution", "share"} <= set(answer["sources"][0])


def test_in_process_and_against_a_server(server: Server) -> None:
    local = emotion("analyze", "--text", media.SENTENCE, "--json")
    served = emotion("analyze", "--text", media.SENTENCE, "--json", "--server", server.address)
    assert local[0] == served[0] == 0
    mine, other = (json.loads(out)["fused"] for _, out, _ in (local, served))
    assert mine["score"] == pytest.approx(other["score"], abs=1e-5)


def test_plain_form(server: Server) -> None:
    screenshot = media.EXAMPLES / "screenshot.png"
    status, out, _ = emotion(
        "analyze", "--text", media.SENTENCE, "--image", screenshot, "--server", server.address
    )
    assert status == 0
    for part in ("score", "confidence", "angry", "█", "customer", "agent", "ABSENT"):
        assert part in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--text", " "), "text.content"),
        ((), "text"),
        (("--audio", "no-such-file.wav"), "no-such-file.wav"),
        (("--text", "a", "--customer-side", "up"), "--customer-side"),
        (("--text", "a", "--set", "max_images=none"), "max_images"),
        (("--text", "a", "--set", "no_such=1"), "no_such"),
    ],
)
def test_bad_input_is_told_on_stderr(arguments: tuple[str, ...], told: str) -> None:
    status, out, err = emotion("analyze", *arguments)
    assert status == 2
    assert not out
    assert told in err


@pytest.mark.parametrize("by_server", [False, True])
def test_a_broken_recording_is_bad_input(server: Server, tmp_path: Path, by_server: bool) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_text("hello")
    where = ("--server", server.address) if by_server else ()
    status, out, err = emotion("analyze", "--audio", broken, *where)
    assert (status, out) == (2, "")
    assert "audio.content" in err


def test_no_server() -> None:
    status, _, err = emotion("analyze", "--text", "a", "--server", "127.0.0.1:9")
    assert status == 1
    assert "UNAVAILABLE" in err


def test_a_port_that_is_taken(server: Server) -> None:
    port = server.address.rpartition(":")[2]
    status, _, err = emotion("serve", "--port", port)
    assert status == 1
    assert port in err


def test_help_needs_no_torch() -> None:
    code = "import sys, server.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_demo() -> None:
    """The whole of `make demo`."""
    status, out, _ = emotion("demo", media.EXAMPLES)
    assert status == 0
    assert "3 modalities used" in out


def test_a_training_command_tells_its_errors_too() -> None:
    status, _, stderr = emotion("evaluate", "text", "--data", "nosuch")
    assert status == 2
    assert stderr.startswith("emotion: data: nosuch is no manifest")
