"""The demonstration: a real server process, a real client, one request with three modalities."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest
from emotion.v1.types_pb2 import ModalityResult
from rich.console import Console

from modalities.errors import EmotionError, InputError
from server import client
from server.show import show

START_S, ANSWER_S, STOP_S = 120.0, 60.0, 30.0
RECORDINGS = ("wav", "flac", "ogg", "opus", "mp3", "m4a", "webm")


class DemoError(EmotionError):
    """The demonstration did not show what it is to show."""


def run(examples: Path) -> None:
    """Raises DemoError unless three modalities are used and the server stops cleanly."""
    console, request = Console(), read_examples(examples)
    port = _free_port()
    address = f"127.0.0.1:{port}"
    console.print(f"starting a server on {address}", style="dim")
    command = [sys.executable, "-m", "server.cli", "serve", "--port", str(port)]
    started = time.monotonic()
    process = subprocess.Popen(command)
    try:
        _wait_until_serving(process, address)
        console.print(f"serving after {time.monotonic() - started:.1f} s", style="dim")
        response = client.analyze(address, request, ANSWER_S)
        console.print()
        show(response, console)
        console.print()
        process.send_signal(signal.SIGTERM)
        status = process.wait(STOP_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    used = sum(result.state == ModalityResult.USED for result in response.modalities)
    if used < len(response.modalities):
        raise DemoError(f"only {used} modalities were used")
    if status != 0:
        raise DemoError(f"the server ended with status {status}")
    console.print(f"{used} modalities used; the server stopped cleanly", style="green")


def read_examples(folder: Path) -> AnalyzeEmotionRequest:
    """sentence.txt, recording.* and screenshot.png of a folder as one request."""
    recordings = [folder / f"recording.{ending}" for ending in RECORDINGS]
    audio = next((path for path in recordings if path.is_file()), recordings[0])
    request = AnalyzeEmotionRequest(request_id="demo")
    try:
        request.text.content = (folder / "sentence.txt").read_text(encoding="utf-8").strip()
        request.audio.content = audio.read_bytes()
        request.images.add(content=(folder / "screenshot.png").read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {error.filename}", "examples") from None
    return request


def _wait_until_serving(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + START_S
    while True:
        if process.poll() is not None:
            raise DemoError(f"the server ended at once, with status {process.returncode}")
        try:
            client.wait_until_serving(address, timeout_s=1.0)
            return
        except client.CallError:
            if time.monotonic() > deadline:
                raise


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
