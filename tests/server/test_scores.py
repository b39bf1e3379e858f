"""Held-out items of a known mood get a score that says it, at the rates that `dev` gave."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.scores import GROUPS, SEPARATION_FLOOR, rate, scores, separation

N_ITEMS = 100
SPREAD = 0.1  # two standard errors of a rate on 100 items


@pytest.mark.parametrize("name", [name for name in GROUPS if "recordings" not in name])
def test_the_rate_on_test_texts_holds(name: str, data: Path) -> None:
    found = rate(name, scores(name, "test", N_ITEMS))
    assert found.n == N_ITEMS
    assert found.rate >= GROUPS[name].floor - SPREAD


def test_happy_recordings_score_above_angry_ones(data: Path) -> None:
    angry, happy = (scores(f"{mood}_recordings", "test", N_ITEMS) for mood in ("angry", "happy"))
    assert separation(angry, happy) >= SEPARATION_FLOOR - SPREAD
