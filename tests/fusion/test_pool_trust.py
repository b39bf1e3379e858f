"""What the pool may never do, whatever it has learned and whatever is read.

Each holds for thousands of drawn readings and for pools of random parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from drawn_readings import drawn, reading, taught_at_random

from fusion.in_numpy import GOES_WITH
from fusion.pool import FEATURES, TELLING, Fused, FusionPool
from modalities.reading import NEGATIVE, POSITIVE, SENTIMENTS, Reading, Source

N_ITEMS = 700
EXACT = 1e-9  # of figures in double precision
WORSE_IF_HIGHER = ("unknown_share",)


@pytest.fixture(scope="module", params=range(2))
def pool(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> FusionPool:
    path = tmp_path_factory.mktemp("pool") / "fusion.safetensors"
    return taught_at_random(path, seed=request.param)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261130)


def worse(
    items: list[list[Reading]], rng: np.random.Generator
) -> Iterator[tuple[list[Reading], int]]:
    """Each item with one feature of one of its sources worse, and the place of that source."""
    for item in items:
        place = int(rng.integers(len(item)))
        name = rng.choice(TELLING[item[place].source])
        value = getattr(item[place].quality, name)
        less = rng.random() * value
        if name in WORSE_IF_HIGHER:
            less = value + rng.random() * (1 - value)
        elif name == "snr_db":
            less = value - rng.random() * 40
        quality = replace(item[place].quality, **{name: less})
        yield [*item[:place], replace(item[place], quality=quality), *item[place + 1 :]], place


def before_and_after(
    pool: FusionPool, items: list[list[Reading]], rng: np.random.Generator
) -> Iterator[tuple[Fused, Fused, Source]]:
    """What is answered of items, and of the same when one source's evidence is worse."""
    changed, places = zip(*worse(items, rng), strict=True)
    for item, one, other, place in zip(
        items, pool.infer(items), pool.infer(changed), places, strict=True
    ):
        yield one, other, item[place].source


def of(fused: Fused) -> dict[Source, float]:
    return {share.source: share.weight for share in fused.sources}


def log_odds(log_p: np.ndarray) -> np.ndarray:
    """(3,) → (3, 3)."""
    return np.subtract.outer(log_p.astype(float), log_p.astype(float))


def test_a_source_alone_is_passed_on_as_it_is(pool: FusionPool, rng: np.random.Generator) -> None:
    items = [[reading(source, rng)] for source in Source for _ in range(N_ITEMS)]
    n_same = 0
    for (said,), fused in zip(items, pool.infer(items), strict=True):
        (own,) = fused.sources
        np.testing.assert_allclose(
            np.exp(fused.log_sentiment), np.exp(said.log_sentiment), rtol=0, atol=1e-6
        )
        assert fused.confidence == pytest.approx(np.exp(said.log_sentiment.max()), abs=1e-6)
        assert own.weight == own.share == 1
        odds = fused.log_sentiment[POSITIVE] - fused.log_sentiment[NEGATIVE]
        assert own.contribution == pytest.approx(odds, abs=1e-5)
        # Its emotions too, unless they belie its own sentiment: of that it is cured at the source.
        np.testing.assert_allclose(
            np.exp(fused.log_emotions), np.exp(own.log_emotions), rtol=0, atol=1e-6
        )
        if GOES_WITH[said.log_sentiment.argmax(), said.log_emotions.argmax()]:
            n_same += 1
            np.testing.assert_allclose(
                np.exp(fused.log_emotions), np.exp(said.log_emotions), rtol=0, atol=1e-6
            )
    assert n_same > N_ITEMS


def test_no_weight_rises_as_its_evidence_gets_worse_and_no_others_changes(
    pool: FusionPool, rng: np.random.Generator
) -> None:
    n_fell = 0
    for before, after, source in before_and_after(pool, drawn(rng, 4 * N_ITEMS), rng):
        then, now = of(before), of(after)
        assert now.pop(source) <= then.pop(source) * (1 + EXACT)
        assert now == then
        n_fell += of(after)[source] < of(before)[source]
    assert n_fell > N_ITEMS


def test_features_that_do_not_apply_weigh_nothing(
    pool: FusionPool, rng: np.random.Generator
) -> None:
    items = drawn(rng, N_ITEMS)
    changed = []
    for item in items:
        names = [sorted({*FEATURES} - {*TELLING[one.source]}) for one in item]
        changed.append(
            [
                replace(one, quality=replace(one.quality, **dict.fromkeys(of_one, rng.random())))
                for one, of_one in zip(item, names, strict=True)
            ]
        )
    assert [*map(of, pool.infer(items))] == [*map(of, pool.infer(changed))]


def test_where_all_agree_worse_evidence_makes_nobody_surer(
    pool: FusionPool, rng: np.random.Generator
) -> None:
    def with_top(said: Reading, top: int) -> Reading:
        turned = np.roll(said.log_sentiment, top - int(said.log_sentiment.argmax()))
        return replace(said, log_sentiment=turned)

    items = [
        [with_top(said, top) for said in item]
        for item in drawn(rng, 2 * N_ITEMS)
        for top in [int(rng.integers(len(SENTIMENTS)))]
    ]
    for item, (before, after, _) in zip(items, before_and_after(pool, items, rng), strict=True):
        assert after.confidence <= before.confidence + EXACT
        top = item[0].log_sentiment.argmax()
        for fused in (before, after):
            assert fused.log_sentiment[top] == fused.log_sentiment.max()


def test_where_they_do_not_worse_evidence_moves_all_odds_away_from_what_it_says(
    pool: FusionPool, rng: np.random.Generator
) -> None:
    """So the probability of what the source holds likeliest does not rise, nor that of what it
    holds least likely fall."""
    n_moved = 0
    for before, after, source in before_and_after(pool, drawn(rng, 4 * N_ITEMS, least=2), rng):
        (said,) = (s.log_sentiment for s in before.sources if s.source is source)
        moved = log_odds(after.log_sentiment) - log_odds(before.log_sentiment)
        slack = 1e-6 * (10 + np.abs([before.log_sentiment, after.log_sentiment]).max())  # float32
        assert (moved * (log_odds(said) > 1e-4)).max() <= slack
        p_before, p_after = np.exp(before.log_sentiment), np.exp(after.log_sentiment)
        assert p_after[said.argmax()] <= p_before[said.argmax()] + 1e-6
        assert p_after[said.argmin()] >= p_before[said.argmin()] - 1e-6
        n_moved += moved.max() > 1e-3
    assert n_moved > N_ITEMS


def test_the_likeliest_emotion_belongs_to_the_likeliest_sentiment(
    pool: FusionPool, rng: np.random.Generator
) -> None:
    for fused in pool.infer(drawn(rng, 4 * N_ITEMS)):
        for one in (fused, *fused.sources):
            assert GOES_WITH[one.log_sentiment.argmax(), one.log_emotions.argmax()]
