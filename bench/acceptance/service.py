"""Issue 'The service, end to end on real input': its 'Must show', at full size."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from bench import scores
from training.data import data_dir

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build"
Outcome = tuple[dict[str, Any], bool]


def tests(*selection: str) -> Outcome:
    """Run tests; a skip is a fail."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *selection]
        subprocess.run(command, cwd=ROOT)
        counts = _counts(report)
    return {"selection": " ".join(selection), **counts}, _clean(counts)


def _counts(report: Path) -> dict[str, int]:
    suite = next(iter(ET.parse(report).getroot()))
    return {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}


def _clean(counts: dict[str, int]) -> bool:
    return counts["tests"] > 0 == counts["failures"] + counts["errors"] + counts["skipped"]


def clean_clone() -> Outcome:
    """The README's two commands in a clone with no venv; PIP_ARGS given; a skip is a fail."""
    with tempfile.TemporaryDirectory() as folder:
        clone, report = Path(folder) / "clone", Path(folder) / "report.xml"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        environment = {
            **os.environ,
            "EMOTION_DATA": str(data_dir().resolve()),
            "PYTEST_ADDOPTS": f"--junitxml={report}",
        }
        make = partial(subprocess.run, cwd=clone, env=environment, text=True)
        demo = make(["make", "demo", "PIP_ARGS=--no-input"], stdout=subprocess.PIPE)
        print(demo.stdout)
        test = make(["make", "test"])
        counts = _counts(report)
    used = demo.stdout.count(" USED ")
    figures = {"demo_status": demo.returncode, "modalities_used": used, **counts}
    return figures, demo.returncode == 0 == test.returncode and used == 3 and _clean(counts)


def score_rates() -> Outcome:
    """Every test item of each group; the text groups have the issue's own bounds."""
    found = {name: scores.scores(name, "test") for name in scores.GROUPS}
    rates = {name: scores.rate(name, values) for name, values in found.items()}
    figures: dict[str, Any] = {name: asdict(rate) for name, rate in rates.items()}
    apart = scores.separation(found["angry_recordings"], found["happy_recordings"])
    figures["happy_above_angry_recordings"] = round(apart, 4)
    held = all(rate.rate >= scores.GROUPS[name].floor for name, rate in rates.items())
    return figures, held and apart >= scores.SEPARATION_FLOOR


CHECKS: dict[str, Callable[[], Outcome]] = {
    "clean_clone": clean_clone,
    "scores_on_many_items": score_rates,
    "screenshots_exact": partial(tests, "tests/modalities/test_image_chat.py"),
    "fusion_exactness": partial(
        tests, "tests/fusion", "tests/server/test_server.py", "-k", "pool or fusion or broken"
    ),
    "batch_invariance": partial(tests, "tests/modalities", "tests/fusion", "-k", "batch"),
    "server_process": partial(tests, "tests/server/test_rpc.py", "tests/server/test_server.py"),
    "whisper_exactness": partial(
        tests, "tests/modalities/test_voice_infer.py", "tests/modalities/test_voice_states.py"
    ),
    "without_whisper": partial(
        tests, "tests/server/test_server.py", "-k", "without_a_decoder or missing_whisper"
    ),
}
