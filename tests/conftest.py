"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modalities.cache import cache_dir
from modalities.errors import UnavailableError
from training.data import data_dir


@pytest.fixture(scope="session", autouse=True)
def no_checkpoint_was_pulled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whisper costs time and memory: only tests that name a checkpoint have one, whatever lies in
    the user's cache."""
    os.environ["EMOTION_WHISPER_DIR"] = str(tmp_path_factory.mktemp("no-whisper"))


@pytest.fixture(scope="session")
def whisper_base() -> Path:
    """The published checkpoint `base`; the test is skipped where it was not pulled."""
    path = cache_dir() / "whisper-base.pt"
    if not path.is_file():
        pytest.skip(f"{path} is not there: emotion models pull")
    return path


@pytest.fixture(scope="session")
def data() -> Path:
    """The data folder; the test is skipped, with the reason, where it is absent."""
    try:
        return data_dir()
    except UnavailableError as error:
        pytest.skip(f"{error}: {error.remedy}")
