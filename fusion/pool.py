"""Fusion: a gated log-opinion pool over whatever sources are present.

    log p(y | x₁..xₘ) = Σ_m w_m · log p_m(y) − log Z

(Genest & Zidek, "Combining probability distributions", Statistical Science 1 (1986), §3.) p_m is
what a source says, as its own model calibrated it; the pool adds nothing of its own. A source alone
has the weight 1, so that it is passed on as it is. Of several each has

    log w_m = trust_m + stance(what it says, what the others say, who they are)
              + Σ_q log (σ(offset_mq + slope_mq · x_q) / σ(offset_mq + slope_mq)),  slope_mq ≥ 0

with x_q in [0, 1] the quality features of its evidence, 1 the best. So whatever the pool has
learned, no weight rises as the quality of its evidence falls, and the others' do not change. Hence,
as a source's quality falls, the odds of no class rise against one that this source holds less
likely; and where all agree on the likeliest sentiment, the confidence does not rise.

The same weights pool two distributions: sentiment, which decides the score, and emotions. The
likeliest emotion always belongs to the likeliest sentiment. A missing source is no term at all, so
the pool is exact for every subset. A source's contribution is
w_m · (log p_m(positive) − log p_m(negative)): they add up exactly to the fused log-odds of positive
against negative.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from fusion.in_numpy import BELOW, GOES_WITH, N_SENTIMENTS, Doubles, NumpyPool, Places
from modalities import checkpoint
from modalities.reading import (
    EMOTIONS,
    NEGATIVE,
    POSITIVE,
    SENTIMENTS,
    Array,
    Quality,
    Reading,
    Source,
)

SOURCES = tuple(Source)
COLUMN = {source: column for column, source in enumerate(SOURCES)}
FEATURES = tuple(field.name for field in fields(Quality))
# What tells of a source's evidence; the other features do not apply to it, and weigh nothing.
TELLING: Mapping[Source, Sequence[str]] = {
    Source.TEXT: ("characters", "unknown_share"),
    Source.TRANSCRIPT: ("characters", "unknown_share", "asr_confidence"),
    Source.VOICE: ("speech_s", "snr_db"),
    Source.IMAGE_TEXT: ("characters", "unknown_share", "ocr_confidence"),
    Source.VISION: ("face", "sharpness"),
}
LEAST = -16.0  # log-probability under which less is no more evidence
WORTH_NAMING = math.log(0.8)  # a feature is a weakness where it takes a fifth of the weight


@dataclass(frozen=True)
class FusionDimensions:
    """Saved with the weights."""

    n_sources: int = len(SOURCES)
    n_quality: int = len(FEATURES)
    n_stance: int = 2 * len(SENTIMENTS) + len(EMOTIONS) + 2  # columns of `stance`
    n_hidden: int = 16
    n_sentiments: int = len(SENTIMENTS)
    n_emotions: int = len(EMOTIONS)


@dataclass(frozen=True, eq=False)
class SourceShare:
    """What one source added to the answer."""

    source: Source
    log_sentiment: Array  # (3,) log p_m
    log_emotions: Array  # (7,) the likeliest belongs to the likeliest sentiment
    weight: float  # w_m, > 0; 1 of a source alone
    contribution: float  # signed, in log-odds of positive against negative
    share: float  # |contribution| over the sum of all, [0, 1]; of weights where all are zero
    weakness: str  # the field of its Quality that lowers its weight most, "" where none much does
    speaker_known: float = 0.0  # as of the reading


@dataclass(frozen=True, eq=False)
class Fused:
    """The pool's answer for one utterance or conversation."""

    log_sentiment: Array  # (3,)
    log_emotions: Array  # (7,) the likeliest belongs to the likeliest sentiment
    confidence: float  # probability of the most probable sentiment, calibrated
    abstained: bool  # confidence below the checkpoint's threshold
    sources: tuple[SourceShare, ...]


class FusionModel(nn.Module):
    """Stacked sources (b, m, …) and who is present (b, m) → pooled log-probabilities."""

    telling: Tensor
    goes_with: Tensor

    def __init__(self, dims: FusionDimensions) -> None:
        super().__init__()
        self.dims = dims
        self.trust = nn.Parameter(torch.full((dims.n_sources,), -0.2))
        self.offset = nn.Parameter(torch.ones(dims.n_sources, dims.n_quality))
        self.steepness = nn.Parameter(torch.full((dims.n_sources, dims.n_quality), -1.0))
        self.stance = nn.Sequential(
            nn.Linear(2 * dims.n_sources + dims.n_stance, dims.n_hidden),
            nn.Tanh(),
            nn.Linear(dims.n_hidden, 1, bias=False),
        )
        telling = torch.tensor([[name in TELLING[of] for name in FEATURES] for of in SOURCES])
        self.register_buffer("telling", telling, persistent=False)  # (m, q)
        goes_with = torch.from_numpy(GOES_WITH).clone()  # (3, 7)
        self.register_buffer("goes_with", goes_with, persistent=False)

    def slopes(self) -> Tensor:
        """(m, q), all ≥ 0."""
        return F.softplus(self.steepness) * self.telling

    def weights(
        self, sentiment: Tensor, emotions: Tensor, quality: Tensor, present: Tensor
    ) -> Tensor:
        """Inputs as of `forward` → (b, m), zero where a source is absent, 1 where it is alone."""
        slope = self.slopes()
        lost = F.logsigmoid(self.offset + slope * quality) - F.logsigmoid(self.offset + slope)
        one_hot = torch.eye(self.dims.n_sources).to(quality).expand(len(quality), -1, -1)
        others = present.unsqueeze(1) - one_hot  # (b, m, m) of a source that is there
        said = stance(sentiment, emotions, present)
        told = self.stance(torch.cat([one_hot, said, others], -1)).squeeze(-1)  # (b, m)
        weight = (self.trust + told + lost.sum(-1)).exp()
        is_alone = present.sum(1, keepdim=True) == 1
        return torch.where(is_alone, 1.0, weight) * present

    def forward(
        self, sentiment: Tensor, emotions: Tensor, quality: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
        """sentiment (b, m, 3), emotions (b, m, 7) log-probabilities, zero where absent →
        fused log-sentiment (b, 3), log-emotions (b, 7), and of the sources log p_m of both
        (b, m, …) and weights (b, m), all zero where a source is absent."""
        here = present.unsqueeze(-1)
        sentiment = sentiment.log_softmax(-1) * here
        emotions = self.agree(sentiment, emotions.log_softmax(-1)) * here
        w = self.weights(sentiment, emotions, quality, present)
        log_sentiment = (w.unsqueeze(-1) * sentiment).sum(1).log_softmax(-1)  # (b, 3)
        log_emotions = (w.unsqueeze(-1) * emotions).sum(1).log_softmax(-1)  # (b, 7)
        return log_sentiment, self.agree(log_sentiment, log_emotions), (sentiment, emotions, w)

    def agree(self, log_sentiment: Tensor, log_emotions: Tensor) -> Tensor:
        """Log-emotions (…, 7) of which the likeliest belongs to the likeliest of the sentiments
        (…, 3): those of others are lowered below the likeliest that does, and all add up to 1.

        Surprise goes with any sentiment. What agrees is left as it is.
        """
        top = log_sentiment.float().argmax(-1)  # (…,) as whoever reads the answer sees it
        goes = self.goes_with[top]  # (…, 7)
        likeliest = log_emotions.masked_fill(~goes, -math.inf).amax(-1, keepdim=True)
        capped = log_emotions.minimum(likeliest + BELOW)
        return torch.where(goes, log_emotions, capped).log_softmax(-1)


def stance(sentiment: Tensor, emotions: Tensor, present: Tensor) -> Tensor:
    """What each source says and how it stands to the others (b, m, 3 + 7 + 3 + 2), in [0, 1].

    Its probabilities of sentiments and emotions; the mean of the other sources' sentiments, zero
    where there is none; how sure it is, the probability of its likeliest sentiment; and the
    conflict, the total variation distance between its sentiments and the others' mean.

    sentiment  (b, m, 3) log-probabilities
    emotions   (b, m, 7) log-probabilities
    present    (b, m)
    """
    p = sentiment.exp() * present.unsqueeze(-1)
    n_others = present.sum(1, keepdim=True) - present  # (b, m)
    others = (p.sum(1, keepdim=True) - p) / n_others.clamp(min=1).unsqueeze(-1)
    conflict = 0.5 * (p - others).abs().sum(-1, keepdim=True)
    return torch.cat([p, emotions.exp(), others, p.amax(-1, keepdim=True), conflict], -1)


def quality_features(quality: Quality) -> list[float]:
    """A Quality's fields brought to [0, 1], 1 the best, in their own order."""
    return [
        min(math.log1p(quality.characters) / 8, 1.0),
        1.0 - quality.unknown_share,
        min(math.log1p(quality.speech_s) / 4, 1.0),
        (max(-10.0, min(quality.snr_db, 60.0)) + 10) / 70,
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
        pooled, said, weight, lost = self._pool(items, places)
        contribution = weight * (said[:, POSITIVE] - said[:, NEGATIVE])  # (r,)
        size = np.abs(contribution)
        size = np.where(places.spread(places.sum(size)) > 0, size, weight)
        share = size / places.spread(places.sum(size))
        confidence = np.exp(pooled[:, :N_SENTIMENTS].max(1))  # (b,)
        worst = np.where((lost.min(1) < WORTH_NAMING) & (places.others > 0), lost.argmin(1), -1)
        said, pooled = said.astype(np.float32), pooled.astype(np.float32)
        terms = zip(
            said[:, :N_SENTIMENTS], said[:, N_SENTIMENTS:], weight.tolist(),
            contribution.tolist(), share.tolist(), map((*FEATURES, "").__getitem__, worst),
            [reading.speaker_known for item in items for reading in item],
            strict=True,
        )  # fmt: skip
        answers = zip(
            items, pooled[:, :N_SENTIMENTS], pooled[:, N_SENTIMENTS:], confidence.tolist(),
            strict=True,
        )  # fmt: skip
        return [
            Fused(
                log_sentiment,
                log_emotions,
                sure,
                sure < self.abstain_below,
                tuple(SourceShare(reading.source, *next(terms)) for reading in item),
            )
            for item, log_sentiment, log_emotions, sure in answers
        ]

    def _pool(
        self, items: Sequence[Sequence[Reading]], places: Places
    ) -> tuple[Doubles, Doubles, Doubles, Doubles]:
        """As `NumpyPool`, and what is lost by each feature (r, q); not on the CPU, by the model."""
        said, quality, source = rows(items)
        lost = self._in_numpy.lost(quality, source)
        if self.device == "cpu":
            return *self._in_numpy(said, lost, source, places), lost
        with torch.inference_mode():
            inputs = [x.to(self.device) for x in stack(items)]
            *pooled, (sentiment, emotions, weight) = self.model(*inputs)
            there = inputs[-1].bool()  # (b, m), in the order of the rows
            spoken = torch.cat([sentiment, emotions], -1)[there]  # (r, n)
            return _array(torch.cat(pooled, -1)), _array(spoken), _array(weight[there]), lost


def _array(x: Tensor) -> Doubles:
    array: Doubles = x.cpu().numpy()
    return array


def save(path: Path, model: FusionModel, *, abstain_below: float, **extra: Any) -> None:
    """Write the pool as a checkpoint."""
    checkpoint.save(path, model.dims, model.state_dict(), abstain_below=abstain_below, **extra)
