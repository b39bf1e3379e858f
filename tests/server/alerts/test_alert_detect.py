"""The detector on simulated outcomes; `python -m bench.alerts` has its rates over many seeds."""

from __future__ import annotations

import json

import numpy as np
import pytest

from server.alerts.detect import MIN_CALM, RECOVERY, SETTLE, Change, Kind, Series


def feed(series: Series, share: float, n: int, seed: int, start_s: float = 0.0) -> list[Change]:
    """Outcomes a minute apart; what they changed."""
    outcomes = (np.random.default_rng(seed).random(n) < share).tolist()
    changes = [series.update(start_s + 60.0 * i, one) for i, one in enumerate(outcomes)]
    return [change for change in changes if change is not None]


@pytest.mark.parametrize("seed", range(10, 15))
@pytest.mark.parametrize("n_before", [1000, 3333])
def test_a_spike_is_alerted_soon_and_once(seed: int, n_before: int) -> None:
    series = Series()
    assert feed(series, 0.1, n_before, seed) == []
    begins_s = 60.0 * n_before
    changes = feed(series, 0.3, 150, 100 + seed, begins_s)
    (change,) = changes
    assert change.kind is Kind.SPIKE
    assert abs(change.since_s - begins_s) <= 100 * 60.0
    assert change.before.share == pytest.approx(0.1, abs=0.05)
    assert 0.2 < change.after.share < 0.7  # most alerts come just after a few in a row
    assert change.after.n <= 200
    assert change.p_value is not None
    assert change.p_value < 1e-3


@pytest.mark.parametrize("share", [0.0, 0.03, 0.1, 0.3, 0.5, 1.0])
def test_no_alert_without_a_spike(share: float) -> None:
    assert feed(Series(), share, 10_000, 7) == []


def test_it_recovers_and_is_armed_again() -> None:
    series = Series()
    feed(series, 0.1, 1000, 1)
    (spike,) = feed(series, 0.35, 300, 2)
    (recovered,) = feed(series, 0.1, 300, 3, 1e6)
    assert recovered.kind is Kind.RECOVERED
    assert recovered.before == spike.before
    assert recovered.after.n == RECOVERY
    assert recovered.p_value is None
    (again,) = feed(series, 0.35, 150, 4, 2e6)
    assert again.kind is Kind.SPIKE
    assert again.before.share == pytest.approx(0.1, abs=0.04)  # the first spike is no part of it


def test_a_share_that_stays_up_becomes_usual() -> None:
    series = Series()
    feed(series, 0.1, 1000, 1)
    spike, settled = feed(series, 0.35, SETTLE + 150, 2)
    assert (spike.kind, settled.kind) == (Kind.SPIKE, Kind.SETTLED)
    assert feed(series, 0.35, 2000, 3) == []
    (again,) = feed(series, 0.7, 150, 4)
    assert again.before.share == pytest.approx(0.35, abs=0.05)


def test_a_share_that_falls_is_no_alert() -> None:
    series = Series()
    feed(series, 0.3, 1000, 1)
    assert feed(series, 0.05, 3000, 2) == []
    (change,) = feed(series, 0.3, 150, 3)  # and what was usual long ago is news now
    assert change.before.share == pytest.approx(0.05, abs=0.03)


def test_too_few_conversations_raise_nothing() -> None:
    assert feed(Series(), 0.0, MIN_CALM // 2, 1) == []
    series = Series()
    assert feed(series, 1.0, MIN_CALM - 1, 1) == []


@pytest.mark.parametrize("at", [50, 900, 1040, 1200, 1500])
def test_a_saved_series_goes_on_alike(at: int) -> None:
    shares = [0.1] * 1000 + [0.4] * 300 + [0.1] * 700
    outcomes = (np.random.default_rng(3).random(len(shares)) < shares).tolist()

    def kinds(restart: int | None) -> list[tuple[int, Kind]]:
        series, found = Series(), []
        for i, negative in enumerate(outcomes):
            if i == restart:
                series = Series.from_json(json.loads(json.dumps(series.to_json())))
            if (change := series.update(60.0 * i, negative)) is not None:
                found.append((i, change.kind))
        return found

    unbroken, broken = kinds(None), kinds(at)
    assert [kind for _, kind in broken] == [Kind.SPIKE, Kind.RECOVERED]
    for (i, kind), (j, same) in zip(unbroken, broken, strict=True):
        assert kind is same
        assert abs(i - j) <= 20


def test_the_state_is_bounded() -> None:
    series = Series()
    feed(series, 0.1, 5000, 1)
    size = len(json.dumps(series.to_json()))
    feed(series, 0.1, 5000, 2)
    assert len(json.dumps(series.to_json())) < size * 1.1 < 10_000
