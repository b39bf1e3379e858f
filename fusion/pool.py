"""Fusion: a gated log-opinion pool over whatever sources are present.

    log p(y | x₁..xₘ) = (Σ_m w_m · log p̃_m(y) + b(y)) / T − log Z

(Genest & Zidek, "Combining probability distributions", Statistical Science 1 (1986), §3.) p̃_m is
what a source says once what is known of that source is taken into account (Dirichlet calibration,
Kull et al., NeurIPS 2019): a softmax of a linear map, one for each source, of its sentiments' and
emotions' log-probabilities, which tell of one another. A gate network gives the weight w_m > 0:
from the quality features of the evidence, from how sure the source is and from how far it is from
what the others hold, for of two that contradict one another neither is to be believed as if it
were alone.

The same weights pool two distributions: sentiment, which decides the score, and emotions, whose
mass is then rescaled within fixed groups so that both agree. A missing source is no term at all,
so the pool is exact for every subset. A source's contribution is
w_m · (log p̃_m(positive) − log p̃_m(negative)) / T: contributions and the bias's own add up exactly
to the fused log-odds of positive against negative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fusion.in_numpy import (
    N_SENTIMENTS,
    SURPRISE,
    UNTAUGHT_GATE,
    Doubles,
    NumpyPool,
    Places,
)
from modalities import checkpoint
from modalities.reading import (
    EMOTIONS,
    NEGATIVE,
    POSITIVE,
    SENTIMENT_GROUPS,
    SENTIMENTS,
    Array,
    Quality,
    Reading,
    Source,
)

SOURCES = tuple(Source)
COLUMN = {source: column for column, source in enumerate(SOURCES)}
LEAST = -8.0  # log-probability under which less is no more evidence


@dataclass(frozen=True)
class FusionDimensions:
    """Saved with the weights."""

    n_sources: int = len(SOURCES)
    n_quality: int = len(fields(Quality))
    n_stance: int = 2  # columns of `stance`
    n_hidden: int = 16
    n_sentiments: int = len(SENTIMENTS)
    n_emotions: int = len(EMOTIONS)


@dataclass(frozen=True, eq=False)
class SourceShare:
    """What one source added to the answer."""

    source: Source
    log_sentiment: Array  # (3,) log p̃_m
    log_emotions: Array  # (7,)
    weight: float  # w_m, > 0
    contribution: float  # signed, in log-odds of positive against negative
    share: float  # |contribution| over the sum of all, the bias's included; [0, 1]


@dataclass(frozen=True, eq=False)
class Fused:
    """The pool's answer for one utterance or conversation."""

    log_sentiment: Array  # (3,)
    log_emotions: Array  # (7,) agrees with log_sentiment group by group
    confidence: float  # probability of the most probable sentiment, calibrated
    abstained: bool  # confidence below the checkpoint's threshold
    sources: tuple[SourceShare, ...]
    bias_contribution: float
    bias_share: float


class FusionModel(nn.Module):
    """Stacked sources (b, m, …) and who is present (b, m) → pooled log-probabilities."""

    temperature: Tensor
    sentiment_groups: Tensor

    def __init__(self, dims: FusionDimensions) -> None:
        super().__init__()
        self.dims = dims
        self.gate = nn.Sequential(
            nn.Linear(dims.n_sources + dims.n_quality + dims.n_stance, dims.n_hidden),
            nn.GELU(),
            nn.Linear(dims.n_hidden, 1),
        )
        n_classes = dims.n_sentiments + dims.n_emotions
        self.map = nn.Parameter(torch.zeros(dims.n_sources, n_classes, n_classes))
        self.map_bias = nn.Parameter(torch.zeros(dims.n_sources, n_classes))
        self.sentiment_bias = nn.Parameter(torch.zeros(dims.n_sentiments))
        self.emotion_bias = nn.Parameter(torch.zeros(dims.n_emotions))
        self.register_buffer("temperature", torch.ones(()))
        groups = torch.from_numpy(SENTIMENT_GROUPS).clone()  # (3, 7)
        self.register_buffer("sentiment_groups", groups, persistent=False)

    def terms(
        self, sentiment: Tensor, emotions: Tensor, quality: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs as of `forward` → log p̃ of sentiments (b, m, 3) and emotions (b, m, 7), weights
        (b, m); all zero where a source is absent."""
        here = present.unsqueeze(-1)
        said = torch.cat([sentiment, emotions], -1).clamp(min=LEAST)  # (b, m, 10)
        said = said + torch.einsum("bmi,mij->bmj", said, self.map) + self.map_bias
        sentiment, emotions = (
            part.log_softmax(-1) * here
            for part in said.split([self.dims.n_sentiments, self.dims.n_emotions], -1)
        )
        one_hot = torch.eye(self.dims.n_sources).to(quality).expand(len(quality), -1, -1)
        evidence = torch.cat([one_hot, quality, stance(sentiment, present)], dim=-1)
        gate = self.gate(evidence).squeeze(-1)  # (b, m)
        return sentiment, emotions, nn.functional.softplus(gate + UNTAUGHT_GATE) * present

    def forward(
        self, sentiment: Tensor, emotions: Tensor, quality: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
        """sentiment (b, m, 3), emotions (b, m, 7) log-probabilities, zero where absent →
        fused log-sentiment (b, 3), log-emotions (b, 7), and the `terms`."""
        sentiment, emotions, w = self.terms(sentiment, emotions, quality, present)
        pooled_sentiment = (w.unsqueeze(-1) * sentiment).sum(1) + self.sentiment_bias  # (b, 3)
        pooled_emotions = (w.unsqueeze(-1) * emotions).sum(1) + self.emotion_bias  # (b, 7)
        log_sentiment = (pooled_sentiment / self.temperature).log_softmax(-1)
        log_emotions = (pooled_emotions / self.temperature).log_softmax(-1)
        return log_sentiment, self.agree(log_sentiment, log_emotions), (sentiment, emotions, w)

    def agree(self, log_sentiment: Tensor, log_emotions: Tensor) -> Tensor:
        """Rescale the emotions' mass (b, 7) so that each sentiment's group sums to its own (b, 3).

        Surprise belongs to every group in the proportion of the sentiments.
        """
        sentiment, emotions = log_sentiment.exp(), log_emotions.exp()
        surprise = sentiment * emotions[:, SURPRISE, None]  # (b, 3)
        group = emotions @ self.sentiment_groups.T + surprise  # (b, 3)
        scale = sentiment / group.clamp_min(1e-30)  # (b, 3)
        agreed = emotions * (scale @ self.sentiment_groups)  # (b, 7), surprise still zero
        agreed[:, SURPRISE] = (surprise * scale).sum(-1)
        return agreed.clamp_min(1e-30).log()


def stance(sentiment: Tensor, present: Tensor) -> Tensor:
    """Each source's sureness and conflict (b, m, 2), both in [0, 1].

    The probability of its likeliest sentiment; and the total variation distance between its
    sentiments and the mean of the other sources', 0 for a source alone.

    sentiment  (b, m, 3) log-probabilities
    present    (b, m)
    """
    p = sentiment.exp() * present.unsqueeze(-1)
    n_others = present.sum(1, keepdim=True) - present  # (b, m)
    others = (p.sum(1, keepdim=True) - p) / n_others.clamp(min=1).unsqueeze(-1)
    conflict = 0.5 * (p - others).abs().sum(-1) * (n_others > 0)
    return torch.stack([p.amax(-1), conflict], -1)


def quality_features(quality: Quality) -> list[float]:
    """A Quality's fields brought to about [0, 1], in their own order."""
    return [
        math.log1p(quality.characters) / 8,
        quality.unknown_share,
        math.log1p(quality.speech_s) / 4,
        max(-10.0, min(quality.snr_db, 60.0)) / 40,
        quality.asr_confidence,
        quality.ocr_confidence,
        quality.face,
        quality.sharpness,
    ]


def rows(
    items: Sequence[Sequence[Reading]],
) -> tuple[Doubles, Doubles, NDArray[np.intp]]:
    """Of all readings, one after another: what they say (r, 3 + 7), not below LEAST, their quality
    (r, q) and their sources (r,)."""
    readings = [reading for item in items for reading in item]
    said = np.empty((len(readings), N_SENTIMENTS + len(EMOTIONS)))
    for row, reading in zip(said, readings, strict=True):
        row[:N_SENTIMENTS], row[N_SENTIMENTS:] = reading.log_sentiment, reading.log_emotions
    quality = np.array([quality_features(reading.quality) for reading in readings])
    source = np.array([COLUMN[reading.source] for reading in readings])
    return np.maximum(said, LEAST, out=said), quality, source


def stack(
    items: Sequence[Sequence[Reading]], dtype: torch.dtype = torch.double
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same with a place for every source: (b, m, 3), (b, m, 7), (b, m, q), and which of them
    are there, (b, m). Raises as `FusionPool.infer`."""
    items = [_in_order(item) for item in items]
    said, quality, source = rows(items)
    item = Places.of(*map(len, items)).item  # (r,)

    def placed(of_readings: Doubles) -> Tensor:
        places = np.zeros((len(items), len(SOURCES), *of_readings.shape[1:]))
        places[item, source] = of_readings
        return torch.from_numpy(places).to(dtype)

    here = placed(np.ones(len(source)))
    return placed(said[:, :N_SENTIMENTS]), placed(said[:, N_SENTIMENTS:]), placed(quality), here


def _in_order(item: Sequence[Reading]) -> Sequence[Reading]:
    """By source. Raises ValueError where there is no reading, or two are of one source."""
    if len(item) == 1:
        return item
    if not item:
        raise ValueError("an item without readings cannot be fused")
    if len({reading.source for reading in item}) < len(item):
        raise ValueError("two readings of one source: combine them first")
    return sorted(item, key=lambda reading: COLUMN[reading.source])


class FusionPool:
    """A BatchModel over lists of readings (one a source, at least one); cost in items."""

    name = "fusion"
    cost_unit = "items"
    precision = torch.float64
    max_batch_cost = 4096.0

    def __init__(self, saved: checkpoint.Checkpoint, device: str) -> None:
        self.revision = saved.revision
        self.device = device
        self.abstain_below: float = saved.extra["abstain_below"]
        self.model = FusionModel(FusionDimensions(**saved.dims))
        self.model.load_state_dict(saved.state)
        self.model.eval().double().to(device)
        self._in_numpy = NumpyPool(self.model)
        self.temperature = self._in_numpy.temperature
        self.sentiment_bias = self.model.sentiment_bias.detach().float().cpu().numpy()  # (3,)
        self.emotion_bias = self.model.emotion_bias.detach().float().cpu().numpy()  # (7,)
        of_bias = self.model.sentiment_bias.detach()
        self.bias_contribution = float(of_bias[POSITIVE] - of_bias[NEGATIVE]) / self.temperature

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> FusionPool:
        """Read the checkpoint at `path`; raises UnavailableError where it cannot be read."""
        return cls(checkpoint.load(path), device)

    def cost(self, item: Sequence[Reading]) -> float:
        return 1.0

    def infer(self, items: Sequence[Sequence[Reading]]) -> list[Fused]:
        """One Fused an item; raises ValueError on an item without readings or with two of one
        source."""
        if not items:
            return []
        items = [_in_order(item) for item in items]
        places = Places.of(*map(len, items))
        pooled, said, weight = self._pool(items, places)
        contribution = weight * (said[:, POSITIVE] - said[:, NEGATIVE]) / self.temperature  # (r,)
        size, of_bias = np.abs(contribution), abs(self.bias_contribution)
        total = np.maximum(places.sum(size) + of_bias, 1e-30)  # (b,)
        confidence = np.exp(pooled[:, :N_SENTIMENTS].max(1))  # (b,)
        said, pooled = said.astype(np.float32), pooled.astype(np.float32)
        terms = zip(
            said[:, :N_SENTIMENTS], said[:, N_SENTIMENTS:], weight.tolist(),
            contribution.tolist(), (size / places.spread(total)).tolist(), strict=True,
        )  # fmt: skip
        answers = zip(
            items, pooled[:, :N_SENTIMENTS], pooled[:, N_SENTIMENTS:], confidence.tolist(),
            (of_bias / total).tolist(), strict=True,
        )  # fmt: skip
        return [
            Fused(
                log_sentiment,
                log_emotions,
                sure,
                sure < self.abstain_below,
                tuple(SourceShare(reading.source, *next(terms)) for reading in item),
                self.bias_contribution,
                bias_share,
            )
            for item, log_sentiment, log_emotions, sure, bias_share in answers
        ]

    def _pool(
        self, items: Sequence[Sequence[Reading]], places: Places
    ) -> tuple[Doubles, Doubles, Doubles]:
        """As `NumpyPool`; not on the CPU, by the model."""
        if self.device == "cpu":
            return self._in_numpy(*rows(items), places)
        with torch.inference_mode():
            inputs = [x.to(self.device) for x in stack(items)]
            *pooled, (sentiment, emotions, weight) = self.model(*inputs)
            there = inputs[-1].bool()  # (b, m), in the order of the rows
            said = torch.cat([sentiment, emotions], -1)[there]  # (r, n)
            return _array(torch.cat(pooled, -1)), _array(said), _array(weight[there])


def _array(x: Tensor) -> Doubles:
    array: Doubles = x.cpu().numpy()
    return array


def save(path: Path, model: FusionModel, *, abstain_below: float, **extra: object) -> None:
    """Write the pool as a checkpoint."""
    checkpoint.save(path, model.dims, model.state_dict(), abstain_below=abstain_below, **extra)
