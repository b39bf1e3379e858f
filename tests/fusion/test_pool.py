"""The pool's exactness: the formula on every subset, order, batches, both renderings."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_readings import drawn, reading, taught_at_random

from fusion.in_numpy import GOES_WITH, Places
from fusion.pool import (
    NEGATIVE,
    POSITIVE,
    FusionDimensions,
    FusionModel,
    FusionPool,
    quality_features,
    save,
    stance,
)
from modalities.reading import Quality, Source

RNG = np.random.default_rng(7)
SUBSETS = [
    subset
    for count in range(1, len(Source) + 1)
    for subset in itertools.combinations(tuple(Source), count)
]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FusionPool:
    return taught_at_random(tmp_path_factory.mktemp("pool") / "fusion.safetensors", seed=3)


@pytest.mark.parametrize("subset", SUBSETS)
def test_the_answer_is_the_formula_on_every_subset(pool: FusionPool, subset: tuple) -> None:
    (fused,) = pool.infer([[reading(source, RNG) for source in subset]])
    assert {s.source for s in fused.sources} == set(subset)
    logits = sum(s.weight * s.log_sentiment.astype(float) for s in fused.sources)
    expected = logits - np.logaddexp.reduce(logits)
    np.testing.assert_allclose(fused.log_sentiment, expected, atol=1e-5)

    logits = sum(s.weight * s.log_emotions.astype(float) for s in fused.sources)
    goes = GOES_WITH[expected.argmax()]
    logits = np.where(goes, logits, np.minimum(logits, logits[goes].max()))
    logits -= np.logaddexp.reduce(logits)
    np.testing.assert_allclose(fused.log_emotions, logits, atol=1e-5)


def test_a_weight_is_the_formula(pool: FusionPool) -> None:
    """By hand of the two sources that differ in nothing but the quality of their evidence."""
    model, column = pool.model, list(Source).index(Source.VOICE)
    item = [reading(Source.TEXT, RNG), reading(Source.VOICE, RNG)]
    worse = replace(item[1], quality=replace(item[1].quality, snr_db=item[1].quality.snr_db - 8))
    (before,), (after,) = pool.infer([item]), pool.infer([[item[0], worse]])
    feature = 3
    with torch.inference_mode():
        offset, slope = model.offset[column, feature], model.slopes()[column, feature]
        factors = [
            torch.sigmoid(offset + slope * quality_features(of.quality)[feature]).item()
            for of in (item[1], worse)
        ]
    ratio = after.sources[1].weight / before.sources[1].weight
    assert ratio == pytest.approx(factors[1] / factors[0], abs=1e-9) and ratio < 1


def test_no_items_no_answers(pool: FusionPool) -> None:
    assert pool.infer([]) == []


def test_in_numpy_it_gives_what_the_model_gives(pool: FusionPool) -> None:
    """The model runs where there is a GPU; in one batch stand items of every number of sources."""
    items = [[reading(source, RNG) for source in subset] for subset in SUBSETS]
    places = Places.of(*map(len, items))
    ours = pool._pool(items, places)
    pool.device = "cpu:0"  # the way of a GPU
    try:
        theirs = pool._pool(items, places)
    finally:
        pool.device = "cpu"
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_stance_is_what_is_said_by_it_and_by_the_others() -> None:
    p = torch.tensor([[[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.2, 0.4, 0.4]], [[0.5, 0.3, 0.2]] * 3])
    present = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    emotions = torch.full((2, 3, 7), 1 / 7)
    found = stance(p.log(), emotions.log(), present)
    torch.testing.assert_close(found[..., :3], p * present.unsqueeze(-1))
    torch.testing.assert_close(found[..., 3:10], emotions)
    torch.testing.assert_close(found[0, :2, 10:13], p[0, [1, 0]])
    torch.testing.assert_close(found[0, :2, 13:], torch.tensor([[0.7, 0.6], [0.7, 0.6]]))
    assert not found[1, 0, 10:13].any()  # nobody else


@pytest.mark.parametrize("subset", SUBSETS)
def test_contributions_add_up_and_shares_sum_to_one(pool: FusionPool, subset: tuple) -> None:
    (fused,) = pool.infer([[reading(source, RNG) for source in subset]])
    odds = fused.log_sentiment[POSITIVE] - fused.log_sentiment[NEGATIVE]
    assert sum(s.contribution for s in fused.sources) == pytest.approx(odds, abs=1e-5)
    assert sum(s.share for s in fused.sources) == pytest.approx(1, abs=1e-9)
    assert np.exp(fused.log_emotions).sum() == pytest.approx(1, abs=1e-5)


def test_where_nothing_pushes_shares_are_those_of_the_weights(pool: FusionPool) -> None:
    even = np.log(np.array([0.2, 0.6, 0.2], np.float32))
    item = [replace(reading(source, RNG), log_sentiment=even) for source in Source]
    (fused,) = pool.infer([item])
    weights = np.array([s.weight for s in fused.sources])
    assert [s.contribution for s in fused.sources] == [0] * len(Source)
    np.testing.assert_allclose([s.share for s in fused.sources], weights / weights.sum())


def test_neither_order_nor_batch_changes_an_item(pool: FusionPool) -> None:
    items = drawn(np.random.default_rng(5), 500)
    together = pool.infer(items)
    for item, answer in zip(items, together, strict=True):
        (alone,) = pool.infer([item[::-1]])
        np.testing.assert_array_equal(alone.log_sentiment, answer.log_sentiment)
        np.testing.assert_array_equal(alone.log_emotions, answer.log_emotions)
        weights = [[s.weight for s in fused.sources] for fused in (alone, answer)]
        np.testing.assert_allclose(*weights, rtol=1e-12)


def test_what_costs_a_source_most_weight_is_its_weakness(tmp_path: Path) -> None:
    model = FusionModel(FusionDimensions())
    with torch.no_grad():
        model.offset.fill_(-2)
        model.steepness.fill_(4)
    save(tmp_path / "fusion.safetensors", model, abstain_below=0.5)
    pool = FusionPool.load(tmp_path / "fusion.safetensors")
    text = replace(reading(Source.TEXT, RNG), quality=Quality(characters=4000))
    voice = replace(reading(Source.VOICE, RNG), quality=Quality(speech_s=30, snr_db=2))
    fused, alone = pool.infer([[text, voice], [voice]])
    assert [s.weakness for s in fused.sources] == ["", "snr_db"]
    assert alone.sources[0].weakness == ""  # whose weight nothing lowers


def test_low_confidence_abstains(pool: FusionPool) -> None:
    weak, strong = (
        replace(reading(Source.VISION, RNG), log_sentiment=np.log(np.array(p, np.float32)))
        for p in ([1 / 3] * 3, [0.9, 0.05, 0.05])
    )
    assert [fused.abstained for fused in pool.infer([[weak], [strong]])] == [True, False]


def test_two_readings_of_one_source_or_none_are_refused(pool: FusionPool) -> None:
    with pytest.raises(ValueError, match="two readings"):
        pool.infer([[reading(Source.TEXT, RNG), reading(Source.TEXT, RNG)]])
    with pytest.raises(ValueError, match="without readings"):
        pool.infer([[reading(Source.TEXT, RNG)], []])
