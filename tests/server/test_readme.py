"""The README's examples are run as they stand, but for the port."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from server_process import Server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module", autouse=True)
def no_earlier_run() -> None:
    """A run that is there would be resumed, or be refused where the example has changed."""
    shutil.rmtree(ROOT / "build" / "mine", ignore_errors=True)


@pytest.mark.parametrize("line", [line for block in blocks("bash") for line in block.splitlines()])
def test_a_shell_example(line: str) -> None:
    done = subprocess.run(
        line, shell=True, cwd=ROOT, env={**os.environ, "PATH": PATH}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_first_call_from_python(server: Server) -> None:
    (code,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", code.replace("127.0.0.1:50051", server.address)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert re.match(r"score [-+]\d\.\d\d, confidence 0\.\d\d\nTEXT \d+%", done.stdout), done.stdout


def test_the_files_and_folders_it_names_exist() -> None:
    named = re.findall(r"\]\(([\w./-]+)\)", README) + re.findall(r"^\| `([\w./]+)`", README, re.M)
    assert len(named) > 8
    assert [name for name in named if not (ROOT / name).exists()] == []
