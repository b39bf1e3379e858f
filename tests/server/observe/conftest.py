"""One watched server for all of these tests."""

from __future__ import annotations

import pytest
from watched_server import Watched, watch

from server.models import Models


@pytest.fixture(scope="session")
def watched(loaded: Models, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return watch(loaded, tmp_path_factory.mktemp("watched"))
