"""Readings drawn at random, and pools that learned at random: what holds for them holds by form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from fusion.pool import TELLING, FusionDimensions, FusionModel, FusionPool, save
from modalities.reading import Quality, Reading, Source

HIGHEST = {"characters": 4000, "speech_s": 60, "snr_db": 45}  # of the others 1


def reading(source: Source, rng: np.random.Generator) -> Reading:
    """From flat to so sure that some probabilities are zero; qualities that do not apply are 0."""
    with np.errstate(divide="ignore"):
        sentiment, emotions = (
            np.log(rng.dirichlet(np.full(n, rng.choice([0.02, 0.3, 1, 8]))).astype(np.float32))
            for n in (3, 7)
        )
    quality = {name: rng.random() ** 2 * HIGHEST.get(name, 1) for name in TELLING[source]}
    return Reading(source, sentiment, emotions, np.zeros(4, np.float32), Quality(**quality))


def drawn(rng: np.random.Generator, n_items: int, least: int = 1) -> list[list[Reading]]:
    """Items of at least `least` sources, in any order."""
    sources = [*Source]
    return [
        [reading(sources[i], rng) for i in rng.permutation(5)[: rng.integers(least, 6)]]
        for _ in range(n_items)
    ]


def taught_at_random(path: Path, seed: int) -> FusionPool:
    """Every parameter far from where it starts, so that no term hides."""
    torch.manual_seed(seed)
    model = FusionModel(FusionDimensions())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
        model.stance[2].weight.mul_(0.3)  # of e^±1 or so: else one source is all there is
    save(path, model, abstain_below=0.5)
    return FusionPool.load(path)
