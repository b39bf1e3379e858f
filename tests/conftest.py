"""Fixtures for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from modalities.errors import UnavailableError
from training.data import data_dir


@pytest.fixture(scope="session")
def data() -> Path:
    """The data folder; the test is skipped, with the reason, where it is absent."""
    try:
        return data_dir()
    except UnavailableError as error:
        pytest.skip(f"{error}: {error.remedy}")
