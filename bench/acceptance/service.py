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

import weights
from bench import scores
from training import whisper
from training.data import data_dir

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build"
Outcome = tuple[dict[str, Any], bool]


def tests(*selection: str) -> Outcome:
    """Run tests; a skip is a fail."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", f"--junitxml={report}", *selection], cwd=ROOT
        )
        suite = next(iter(ET.parse(report).getroot()))
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    bad = counts["failures"] + counts["errors"] + counts["skipped"]
    return {**counts, "selection": list(selection)}, counts["tests"] > 0 and bad == 0


def clean_clone() -> Outcome:
    """The README's two commands in a clone with no venv, PIP_ARGS given."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        environment = {**os.environ, "EMOTION_DATA": str(data_dir().resolve())}
        environment.pop("VIRTUAL_ENV", None)
        demo = subprocess.run(
            ["make", "demo", "PIP_ARGS=--no-input"],
            cwd=clone, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        print(demo.stdout, demo.stderr[-2000:])
        test = subprocess.run(
            ["make", "test"], cwd=clone, env=environment, capture_output=True, text=True
        )
        print(test.stdout[-3000:])
    used = demo.stdout.count("USED")
    return (
        {"demo_status": demo.returncode, "used": used, "test_status": test.returncode},
        demo.returncode == 0 and test.returncode == 0 and used >= 3,
    )


def score_rates() -> Outcome:
    """Every test item of each group; the text groups have the issue's own bounds."""
    found = {name: scores.scores(name, "test") for name in scores.GROUPS}
    rates = {name: scores.rate(name, values) for name, values in found.items()}
    figures: dict[str, Any] = {name: asdict(rate) for name, rate in rates.items()}
    apart = scores.separation(found["angry_recordings"], found["happy_recordings"])
    figures["happy_above_angry_recordings"] = round(apart, 4)
    held = all(rate.rate >= scores.GROUPS[name].floor for name, rate in rates.items())
    return figures, held and apart >= scores.SEPARATION_FLOOR


def small_whisper() -> Outcome:
    """Train the small checkpoint in full (or resume it), then its error rates."""
    out = BUILD / "whisper" / "small.pt"
    if not out.exists():
        whisper.train(BUILD / "whisper", out)
    figures: dict[str, Any] = dict(
        whisper.evaluate(out, BUILD / "whisper", weights.path_of("voice"), limit=1_000_000)
    )
    return figures, all(rate < 1 for rate in figures.values())


CHECKS: dict[str, Callable[[], Outcome]] = {
    "clean_clone": clean_clone,
    "scores_on_many_items": score_rates,
    "screenshots_exact": partial(tests, "tests/modalities", "-k", "image"),
    "fusion_exactness": partial(
        tests, "tests/fusion/test_pool.py", "tests/server/test_exactness.py"
    ),
    "batch_invariance": partial(tests, "tests/modalities", "-k", "batch"),
    "server_process": partial(tests, "tests/server"),
    "small_whisper": small_whisper,
    "whisper_exactness": partial(tests, "tests/modalities", "-k", "voice"),
}
