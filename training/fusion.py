"""The fusion recipe, and how the pool is judged beside simpler rules.

The pool learns on composed items (`training.pairs`) of `dev` readings, which trained no modality:
all of them, for they are few; the temperature that its weights take in is that of pools fitted
without a fold of them, on that fold. It is judged on items of `test`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold
from torch import Tensor
from torch.nn import functional as F

from fusion.pool import FusionDimensions, FusionModel, FusionPool, save
from modalities.reading import Source
from training.calibrate import fit_temperature
from training.evaluation.metrics import expected_calibration_error
from training.pairs import SEED, Composer, Labelled, readings, tensors

CONTRADICTORY = 0.25  # share of the items trained on whose second source is of another class
JUDGED_CONTRADICTORY = 0.3
N_FOLDS = 4
SUBSETS = tuple(
    subset for count in range(2, len(Source) + 1) for subset in combinations(Source, count)
)
RULES = ("best single source", "plain mean", "majority vote", "best fixed weights")


@dataclass(frozen=True)
class PairFigures:
    """Sentiment macro-F1 on composed items of one subset of sources; the rules beside the pool."""

    sources: tuple[str, ...]
    contradictory: float  # share of the items whose second source is of another class
    n: int
    fusion: float
    rules: dict[str, float]
    ece: float
    mean_confidence: float
    abstained: float

    @property
    def margin(self) -> float:
        """Over the best rule."""
        return self.fusion - max(self.rules.values())


class FixedWeights(FusionModel):
    """A log-opinion pool whose sources have one weight each, whatever they say."""

    def weights(
        self, sentiment: Tensor, emotions: Tensor, quality: Tensor, present: Tensor
    ) -> Tensor:
        return self.trust.exp() * present


def train(weights: Path, out: Path, n_items: int = 30_000, steps: int = 1_500) -> None:
    """Fit the pool on dev readings by the modality checkpoints in `weights`, write `out`."""
    known = readings("dev", weights)
    answers, truth = [], []
    for kept, held in GroupKFold(N_FOLDS).split(known, groups=[item.origin for item in known]):
        model = fitted([known[i] for i in kept], n_items, steps)
        composer = Composer([known[i] for i in held], SEED + 1)
        inputs, _, sentiment = tensors(composer.any(n_items // (3 * N_FOLDS), CONTRADICTORY))
        with torch.inference_mode():
            answers.append(model(*inputs)[0])
        truth.append(sentiment)
    model = fitted(known, n_items, steps)
    temperature = fit_temperature(torch.cat(answers), torch.cat(truth))
    print(f"temperature {temperature:.3f}")
    with torch.no_grad():
        model.trust.sub_(math.log(temperature))  # of all weights: a source alone has none to learn
    # Below one half the most probable sentiment is more likely wrong than right.
    save(out, model, abstain_below=0.5, recipe={"pairs": "synthetic", "seed": SEED})


def fitted(
    known: Sequence[Labelled], n_items: int, steps: int, kind: type[FusionModel] = FusionModel
) -> FusionModel:
    """A pool fitted on composed items."""
    torch.manual_seed(SEED)
    model = kind(FusionDimensions()).double()
    inputs, emotion, sentiment = tensors(Composer(known, SEED).any(n_items, CONTRADICTORY))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-2)
    for step in range(steps):
        rows = torch.randint(len(emotion), (512,))
        log_sentiment, log_emotions, _ = model(*(x[rows] for x in inputs))
        loss = _nll(log_sentiment, sentiment[rows]) + _nll(log_emotions, emotion[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 250 == 0:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    return model.eval()


def evaluate(weights: Path, split: str = "test", n_items: int = 1_000) -> list[PairFigures]:
    """Figures for every subset of two or more sources, `n_items` each, consistent and with
    contradictory second sources, composed with a fixed seed.

    The best single source is the one that is best on the judged items themselves; the best fixed
    weights are learned as the pool's are.
    """
    pool = FusionPool.load(weights / "fusion.safetensors")
    fixed = fitted(readings("dev", weights), 30_000, 1_500, FixedWeights)
    composer = Composer(readings(split, weights), SEED + 2)
    return [
        _judge(pool, fixed, composer.of(subset, n_items, share), subset, share)
        for share in (0.0, JUDGED_CONTRADICTORY)
        for subset in SUBSETS
    ]


def _judge(
    pool: FusionPool,
    fixed: FusionModel,
    items: list[list[Labelled]],
    subset: Sequence[Source],
    contradictory: float,
) -> PairFigures:
    items = [drawn for drawn in items if drawn[0].sentiment >= 0]
    inputs, _, truth_tensor = tensors(items)
    truth = truth_tensor.numpy()
    fused = pool.infer([[item.reading for item in drawn] for drawn in items])
    with torch.inference_mode():
        by_fixed = fixed(*inputs)[0]
    columns = [list(Source).index(source) for source in subset]
    p = inputs[0][:, columns].exp().numpy()  # (b, m, 3)
    votes = p.argmax(-1)  # (b, m)
    counts = np.eye(p.shape[-1])[votes].sum(1) + 1e-3 * p.mean(1)  # ties go to the surer side

    def f1(answer: NDArray[np.int_]) -> float:
        return round(float(f1_score(truth, answer, average="macro")), 4)

    answer = np.array([one.log_sentiment.argmax() for one in fused])
    confidence = np.array([one.confidence for one in fused])
    best_single = max(f1(votes[:, column]) for column in range(len(subset)))
    rules = (best_single, f1(p.mean(1).argmax(-1)), f1(counts.argmax(-1)))
    return PairFigures(
        sources=tuple(source.value for source in subset),
        contradictory=contradictory,
        n=len(items),
        fusion=f1(answer),
        rules=dict(zip(RULES, (*rules, f1(by_fixed.argmax(-1).numpy())), strict=True)),
        ece=round(expected_calibration_error(confidence, answer == truth), 4),
        mean_confidence=round(float(confidence.mean()), 4),
        abstained=round(float(np.mean([one.abstained for one in fused])), 4),
    )


def _nll(log_p: Tensor, target: Tensor) -> Tensor:
    return F.nll_loss(log_p, target, ignore_index=-1)
