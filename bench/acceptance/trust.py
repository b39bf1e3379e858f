"""Issue 'Trust: security, faults, operations, more than one machine': its 'Must show'."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.acceptance.service import tests
from bench.faults import kills, malformed, overload, soak

Outcome = tuple[dict[str, Any], bool]


def _passed(found: dict[str, Any]) -> Outcome:
    return found, found["passed"]


def malformed_requests() -> Outcome:
    """10,000 to all methods."""
    return _passed(malformed.run())


def overloaded(load: str) -> Outcome:
    return _passed(overload.run([load]))


def killed(check: Callable[[Path], dict[str, Any]]) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        return _passed(check(Path(folder)))


def soaked() -> Outcome:
    """20 minutes."""
    return _passed(soak.run())


CHECKS: dict[str, Callable[[], Outcome]] = {
    "malformed_10000": malformed_requests,
    "overload_text": partial(overloaded, "text"),
    "overload_mixed": partial(overloaded, "mixed"),
    "killed_decoders": partial(killed, kills.decoders_killed),
    "killed_server": partial(killed, kills.server_killed),
    "stopped_server": partial(killed, kills.server_stopped),
    "resumed_job": partial(killed, kills.job_resumed),
    "faults": partial(
        tests, "tests/server/test_faults_decoders.py", "tests/server/test_faults_boundary.py"
    ),
    "model_faults": partial(tests, "tests/server/test_engine.py"),
    "full_disk": partial(
        tests,
        "tests/server/store/test_store_writer.py",
        "tests/server/alerts",
        "tests/server/test_faults_disk.py",
        "-k",
        "disk",
    ),
    "fuzz": partial(
        tests, "tests/modalities/test_fuzz_media.py", "tests/server/test_fuzz_bytes.py"
    ),
    "refused": partial(tests, "tests/server/security"),
    "doctor_and_metrics": partial(tests, "tests/server/observe"),
    "ray": partial(tests, "tests/server/ray_engine"),
    "soak_20_minutes": soaked,
}
