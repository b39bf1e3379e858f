from __future__ import annotations

import pytest

from fusion.conversation import summarise


def test_quarters_lowest_and_shift() -> None:
    shape = summarise([-0.8, -0.6, -0.9, -0.3, 0.1, 0.4, 0.6, 0.8])
    assert shape.start == pytest.approx(-0.7)
    assert shape.end == pytest.approx(0.7)
    assert shape.shift == pytest.approx(1.4)
    assert shape.lowest == pytest.approx((-0.8 - 0.6 - 0.9) / 3)
    assert shape.score == pytest.approx(-0.0875)


def test_one_message_has_no_shift() -> None:
    shape = summarise([0.5])
    assert (shape.score, shape.start, shape.end, shape.lowest) == (0.5, 0.5, 0.5, 0.5)
    assert shape.shift is None


def test_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no message"):
        summarise([])
