"""What the benchmark of `score-calls` measures on, and how it tells rows apart."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from bench.calls.recorded import TOLERANCE, _same, _write
from modalities.voice.stream import AudioFile


def test_the_two_sides_speak_in_turn(tmp_path: Path) -> None:
    turn = np.full(8000, 0.3, np.float32)  # a second
    path = _write(tmp_path / "a" / "call.wav", itertools.cycle([turn]), 3.5)
    with AudioFile(path) as file:
        samples = np.concatenate(list(file.blocks()), axis=1)
        assert file.codec == "pcm_mulaw"
    assert samples.shape == (2, 3.5 * 16_000)
    middles = np.abs(samples[:, 8000::16_000]) > 0.1  # of each second
    assert middles.tolist() == [[True, False, True], [False, True, False]]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": [1.0, None]}, {"a": [1.0 + TOLERANCE / 2, None]}, True),
        ({"a": [1.0]}, {"a": [1.0 + 2 * TOLERANCE]}, False),
        ({"a": 1.0}, {"a": None}, False),
        ({"a": 1}, {"b": 1}, False),
        ([1], [1, 1], False),
        ("x", "y", False),
        (float("nan"), float("nan"), True),
        (float("nan"), 0.0, False),
    ],
)
def test_same(one: object, other: object, same: bool) -> None:
    assert _same(one, other) is same
