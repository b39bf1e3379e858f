"""A server that most tests share, and the embedded models in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from server_process import Server, start

from server import models
from server.models import Models
from server.settings import Settings


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("server") / "log")
    yield running
    running.channel.close()
    assert running.stop() == 0


@pytest.fixture(scope="session")
def loaded() -> Models:
    """The embedded models in this process."""
    return models.load(Settings())
