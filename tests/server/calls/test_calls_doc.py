"""docs/calls.md and its example client, run as they stand, but for the port."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from server_process import Server

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "calls.md").read_text("utf-8")
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def test_the_commands() -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    shutil.rmtree(ROOT / "build" / "calls", ignore_errors=True)  # of other weights, perhaps
    for line in "".join(blocks).splitlines():
        done = subprocess.run(
            line,
            shell=True,
            cwd=ROOT,
            env={**os.environ, "PATH": PATH},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert "customer_score their mean" in done.stdout
    assert "recording.ogg" in (ROOT / "build/calls/report/index.html").read_text("utf-8")


def test_the_client(server: Server) -> None:
    script = ROOT / "examples" / "stream_call.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "proto")}
    done = subprocess.run(
        [sys.executable, str(script), server.address],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said, last = done.stdout.splitlines()[:-1], done.stdout.splitlines()[-1]
    assert any(
        re.match(r" +\d+\.\d\d to +\d+\.\d\d s, CUSTOMER: score [-+]\d", line) for line in said
    )
    assert re.fullmatch(r"the customer's score: [-+]\d\.\d\d", last)


def test_the_files_that_it_names_exist_or_are_made() -> None:
    named = re.findall(r"\]\(\.\./([\w./-]+)\)", PAGE)
    made = {"bench/acceptance/calls.json"}
    assert [name for name in named if name not in made and not (ROOT / name).exists()] == []
