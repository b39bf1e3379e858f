"""The fusion recipe: what the pool learns from, and what tells the temperature it takes in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fusion.pool import FusionModel, FusionPool
from modalities.reading import EMOTIONS, SENTIMENT_OF, SENTIMENTS, Reading, Source
from training import fusion
from training.pairs import Labelled


def labelled(source: Source, emotion: int, origin: str, rng: np.random.Generator) -> Labelled:
    """A reading that is mostly right."""
    name = SENTIMENT_OF.get(EMOTIONS[emotion])
    sentiment = SENTIMENTS.index(name) if name else -1
    said = [rng.normal(size=n) for n in (len(SENTIMENTS), len(EMOTIONS))]
    said[1][emotion] += 2
    if name:
        said[0][sentiment] += 2
    log_p = [(x - np.logaddexp.reduce(x)).astype(np.float32) for x in said]
    reading = Reading(source, *log_p, np.zeros(4, np.float32))
    return Labelled(reading, emotion, sentiment, origin)


@pytest.fixture
def known() -> list[Labelled]:
    """Twelve origins an emotion, each read once by every source."""
    rng = np.random.default_rng(0)
    return [
        labelled(source, emotion, f"{emotion}/{i}", rng)
        for emotion in range(len(EMOTIONS))
        for i in range(12)
        for source in Source
    ]


def test_every_reading_teaches_the_pool_and_none_of_its_own_fold_the_temperature(
    known: list[Labelled], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taught: list[set[str]] = []
    trust: list[Tensor] = []
    asked: list[set[str]] = []
    fit = fusion.fitted

    class Composer(fusion.Composer):
        def any(self, n_items: int, contradictory: float) -> list[list[Labelled]]:
            items = super().any(n_items, contradictory)
            asked.append({item.origin for drawn in items for item in drawn})
            return items

    def fitted(of: list[Labelled], n_items: int, steps: int) -> FusionModel:
        taught.append({item.origin for item in of})
        model = fit(of, n_items, steps)
        trust.append(model.trust.detach().clone())
        return model

    monkeypatch.setattr(fusion, "readings", lambda split, weights: known)
    monkeypatch.setattr(fusion, "fitted", fitted)
    monkeypatch.setattr(fusion, "Composer", Composer)
    out = tmp_path / "fusion.safetensors"
    fusion.train(tmp_path, out, n_items=2_400, steps=40)

    every = {item.origin for item in known}
    *folds, whole = taught
    judged = asked[1:-1:2]  # of each fold first what it is fitted on, then what it is asked
    assert len(folds) == len(judged) == fusion.N_FOLDS and whole == every
    assert set().union(*judged) == every
    assert all(of and not of & learnt for learnt, of in zip(folds, judged, strict=True))
    temperature = (trust[-1] - FusionPool.load(out).model.trust.detach()).exp()
    torch.testing.assert_close(temperature, temperature[:1].expand(5), rtol=0.005, atol=0)
    assert 0.3 < temperature[0] < 3 and abs(temperature[0] - 1) > 0.005
