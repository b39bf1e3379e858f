"""One Ray cluster of real processes for all tests here; starting it takes most of their time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.ray_engine.cluster import Cluster
from server.settings import Settings

sys.path.append(str(Path(__file__).parents[1] / "calls"))  # recordings are made there

TWO = {"engine": "ray", "ray_text_replicas": 2}


def processes(session: str) -> list[str]:
    """Commands of all other processes that have a file of a Ray session open."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            files = [str(file.readlink()) for file in (process / "fd").iterdir()]
            command = (process / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it ended meanwhile
            continue
        if process.name != str(os.getpid()) and any(session in file for file in files):
            found.append(command)
    return found


@pytest.fixture(scope="package")
def cluster() -> Iterator[Settings]:
    """Settings of a front end on it; once it is left, none of its processes is there."""
    settings = Settings(**TWO)
    cluster = Cluster(settings, 6)
    ray = cluster.join()
    session = Path(ray._private.worker._global_node.get_session_dir_path()).name
    assert processes(session)
    yield settings
    cluster.leave()
    for _ in range(100):
        if not processes(session):
            break
        time.sleep(0.1)
    assert processes(session) == []
