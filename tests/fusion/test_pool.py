"""The pool's exactness: definitions, subsets, agreement, batches."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from fusion.in_numpy import Places
from fusion.pool import NEGATIVE, POSITIVE, FusionDimensions, FusionModel, FusionPool, save, stance
from modalities.reading import EMOTIONS, SENTIMENT_OF, SENTIMENTS, Quality, Reading, Source

RNG = np.random.default_rng(7)


def reading(source: Source, rng: np.random.Generator = RNG) -> Reading:
    sentiment = np.log(rng.dirichlet(np.ones(3))).astype(np.float32)
    emotions = np.log(rng.dirichlet(np.ones(7))).astype(np.float32)
    quality = Quality(characters=rng.integers(1, 200), speech_s=rng.random() * 9)
    return Reading(source, sentiment, emotions, np.zeros(4, np.float32), quality)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FusionPool:
    """A pool with every parameter away from its neutral start, so that no term hides."""
    torch.manual_seed(3)
    model = FusionModel(FusionDimensions())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        model.temperature.fill_(1.4)
    path: Path = tmp_path_factory.mktemp("pool") / "fusion.safetensors"
    save(path, model, abstain_below=0.5)
    return FusionPool.load(path)


SUBSETS = [
    subset
    for count in range(1, len(Source) + 1)
    for subset in itertools.combinations(tuple(Source), count)
]


@pytest.mark.parametrize("subset", SUBSETS)
def test_the_answer_is_the_formula_on_every_subset(pool: FusionPool, subset: tuple) -> None:
    readings = [reading(source) for source in subset]
    (fused,) = pool.infer([readings])
    assert {s.source for s in fused.sources} == set(subset)
    pooled = sum(s.weight * s.log_sentiment.astype(float) for s in fused.sources)
    logits = (pooled + pool.sentiment_bias) / pool.temperature
    expected = logits - np.logaddexp.reduce(logits)
    np.testing.assert_allclose(fused.log_sentiment, expected, atol=1e-5)

    pooled = sum(s.weight * s.log_emotions.astype(float) for s in fused.sources)
    logits = (pooled + pool.emotion_bias) / pool.temperature
    raw = dict(zip(EMOTIONS, np.exp(logits - np.logaddexp.reduce(logits)), strict=True))
    sentiment = dict(zip(SENTIMENTS, np.exp(expected), strict=True))
    agreed = dict.fromkeys(EMOTIONS, 0.0)
    for name, probability in sentiment.items():
        group = {e: raw[e] for e, s in SENTIMENT_OF.items() if s == name}
        group["surprise"] = raw["surprise"] * probability
        for emotion, mass in group.items():
            agreed[emotion] += probability * mass / sum(group.values())
    np.testing.assert_allclose(np.exp(fused.log_emotions), list(agreed.values()), atol=1e-5)


def test_no_items_no_answers(pool: FusionPool) -> None:
    assert pool.infer([]) == []


def test_in_numpy_it_gives_what_the_model_gives(pool: FusionPool) -> None:
    """The model runs where there is a GPU; in one batch stand items of every number of sources."""
    items = [[reading(source) for source in subset] for subset in SUBSETS]
    places = Places.of(*map(len, items))
    ours = pool._pool(items, places)
    pool.device = "cpu:0"  # the way of a GPU
    try:
        theirs = pool._pool(items, places)
    finally:
        pool.device = "cpu"
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_a_source_is_a_linear_map_of_what_it_says(pool: FusionPool) -> None:
    said = reading(Source.VOICE)
    (fused,) = pool.infer([[said, reading(Source.TEXT)]])
    (share,) = (s for s in fused.sources if s.source is Source.VOICE)
    column = list(Source).index(Source.VOICE)
    logits = np.maximum(np.concatenate([said.log_sentiment, said.log_emotions]).astype(float), -8)
    with torch.inference_mode():
        matrix, bias = pool.model.map[column].numpy(), pool.model.map_bias[column].numpy()
    logits = logits + logits @ matrix + bias
    for found, expected in ((share.log_sentiment, logits[:3]), (share.log_emotions, logits[3:])):
        expected = expected - np.logaddexp.reduce(expected)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_untaught_pool_takes_a_source_at_its_word(tmp_path: Path) -> None:
    save(tmp_path / "fusion.safetensors", FusionModel(FusionDimensions()), abstain_below=0.5)
    said = reading(Source.TEXT)
    (fused,) = FusionPool.load(tmp_path / "fusion.safetensors").infer([[said]])
    np.testing.assert_allclose(fused.sources[0].log_emotions, said.log_emotions, atol=1e-2)


def test_stance_is_sureness_and_conflict() -> None:
    p = torch.tensor([[[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.2, 0.4, 0.4]], [[0.5, 0.3, 0.2]] * 3])
    present = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    found = stance(p.log(), present)
    torch.testing.assert_close(found[0, :2], torch.tensor([[0.7, 0.6], [0.7, 0.6]]))
    torch.testing.assert_close(found[1, 0], torch.tensor([0.5, 0.0]))  # no one contradicts it


@pytest.mark.parametrize("subset", SUBSETS)
def test_contributions_add_up_and_shares_sum_to_one(pool: FusionPool, subset: tuple) -> None:
    (fused,) = pool.infer([[reading(source) for source in subset]])
    total = sum(s.contribution for s in fused.sources) + fused.bias_contribution
    odds = fused.log_sentiment[POSITIVE] - fused.log_sentiment[NEGATIVE]
    assert total == pytest.approx(odds, abs=1e-5)
    assert sum(s.share for s in fused.sources) + fused.bias_share == pytest.approx(1, abs=1e-9)
    assert np.exp(fused.log_emotions).sum() == pytest.approx(1, abs=1e-5)


def test_emotions_and_sentiment_tell_the_same_story(pool: FusionPool) -> None:
    readings = [reading(Source.TEXT), reading(Source.VOICE)]
    (fused,) = pool.infer([readings])
    emotions = dict(zip(EMOTIONS, np.exp(fused.log_emotions), strict=True))
    positive, _, negative = np.exp(fused.log_sentiment)
    assert emotions["happy"] <= positive + 1e-6
    assert sum(emotions[e] for e in ("angry", "sad", "fear", "disgust")) <= negative + 1e-6


def test_an_item_alone_and_in_a_batch_is_the_same(pool: FusionPool) -> None:
    items = [[reading(s) for s in subset] for subset in SUBSETS[:16]]
    together = pool.infer(items)
    for item, answer in zip(items, together, strict=True):
        (alone,) = pool.infer([item])
        np.testing.assert_array_equal(alone.log_sentiment, answer.log_sentiment)
        np.testing.assert_array_equal(alone.log_emotions, answer.log_emotions)


def test_low_confidence_abstains(pool: FusionPool) -> None:
    flat = np.log(np.ones(3, np.float32) / 3)
    weak = Reading(Source.VISION, flat, np.log(np.ones(7, np.float32) / 7), np.zeros(1, np.float32))
    (fused,) = pool.infer([[weak]])
    assert fused.abstained == (fused.confidence < pool.abstain_below)


def test_two_readings_of_one_source_or_none_are_refused(pool: FusionPool) -> None:
    with pytest.raises(ValueError, match="two readings"):
        pool.infer([[reading(Source.TEXT), reading(Source.TEXT)]])
    with pytest.raises(ValueError, match="without readings"):
        pool.infer([[reading(Source.TEXT)], []])
