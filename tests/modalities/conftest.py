"""Fixtures for the tests of the modalities."""

from __future__ import annotations

from pathlib import Path

import pytest

import weights
from modalities.text.infer import TextReader


@pytest.fixture(scope="session")
def reader() -> TextReader:
    """The shipped text model."""
    return TextReader.load(weights.path_of("text"))


@pytest.fixture(scope="session")
def voice_cases(data: Path) -> Path:
    """The folder of recordings that failed elsewhere; the test is skipped where it is absent."""
    folder = data.parent / "cases" / "voice"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder
