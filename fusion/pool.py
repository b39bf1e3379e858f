"""Fusion: a gated log-opinion pool over whatever sources are present.

    log p(y | x₁..xₘ) = (Σ_m w_m(q_m) · log p_m(y) + b(y)) / T − log Z

(Genest & Zidek, "Combining probability distributions", Statistical Science 1 (1986), §3.) A gate
network turns each source's quality features q_m into its weight w_m > 0. The same weights pool two
distributions: sentiment, which decides the score, and emotions, whose mass is then rescaled within
fixed groups so that both agree. A missing source is no term at all, so the pool is exact for every
subset. A source's contribution is w_m · (log p_m(positive) − log p_m(negative)) / T: contributions
and the bias's own add up exactly to the fused log-odds of positive against negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn

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
SURPRISE = EMOTIONS.index("surprise")


@dataclass(frozen=True)
class FusionDimensions:
    """Saved with the weights."""

    n_sources: int = len(SOURCES)
    n_quality: int = len(fields(Quality))
    n_hidden: int = 16
    n_sentiments: int = len(SENTIMENTS)
    n_emotions: int = len(EMOTIONS)


@dataclass(frozen=True)
class SourceShare:
    """What one source added to the answer."""

    source: Source
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
            nn.Linear(dims.n_sources + dims.n_quality, dims.n_hidden),
            nn.GELU(),
            nn.Linear(dims.n_hidden, 1),
        )
        self.sentiment_bias = nn.Parameter(torch.zeros(dims.n_sentiments))
        self.emotion_bias = nn.Parameter(torch.zeros(dims.n_emotions))
        self.register_buffer("temperature", torch.ones(()))
        groups = torch.from_numpy(SENTIMENT_GROUPS).clone()  # (3, 7)
        self.register_buffer("sentiment_groups", groups, persistent=False)

    def weights(self, quality: Tensor, present: Tensor) -> Tensor:
        """quality (b, m, q), present (b, m) → w (b, m), zero where absent."""
        one_hot = torch.eye(self.dims.n_sources).to(quality).expand(len(quality), -1, -1)
        gate = self.gate(torch.cat([one_hot, quality], dim=-1)).squeeze(-1)  # (b, m)
        # + 0.55 puts an untrained gate at a weight of about 1.
        return nn.functional.softplus(gate + 0.55) * present

    def forward(
        self, sentiment: Tensor, emotions: Tensor, quality: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """sentiment (b, m, 3), emotions (b, m, 7) log-probabilities, zero where absent →
        fused log-sentiment (b, 3), log-emotions (b, 7), weights (b, m)."""
        w = self.weights(quality, present)  # (b, m)
        pooled_sentiment = (w.unsqueeze(-1) * sentiment).sum(1) + self.sentiment_bias  # (b, 3)
        pooled_emotions = (w.unsqueeze(-1) * emotions).sum(1) + self.emotion_bias  # (b, 7)
        log_sentiment = (pooled_sentiment / self.temperature).log_softmax(-1)
        log_emotions = (pooled_emotions / self.temperature).log_softmax(-1)
        return log_sentiment, self.agree(log_sentiment, log_emotions), w

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


def quality_features(quality: Quality) -> list[float]:
    """A Quality's fields brought to about [0, 1], in their own order."""
    characters, unknown, speech_s, snr_db, *rest = astuple(quality)
    return [
        float(torch.tensor(characters).log1p()) / 8,
        unknown,
        float(torch.tensor(speech_s).log1p()) / 4,
        max(-10.0, min(snr_db, 60.0)) / 40,
        *rest,
    ]


def stack(
    items: Sequence[Sequence[Reading]], dtype: torch.dtype = torch.double
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Readings, at most one a source and item → (b, m, 3), (b, m, 7), (b, m, q), (b, m)."""
    dims = FusionDimensions()
    sentiment = torch.zeros(len(items), dims.n_sources, dims.n_sentiments, dtype=dtype)
    emotions = torch.zeros(len(items), dims.n_sources, dims.n_emotions, dtype=dtype)
    quality = torch.zeros(len(items), dims.n_sources, dims.n_quality, dtype=dtype)
    present = torch.zeros(len(items), dims.n_sources, dtype=dtype)
    for row, readings in enumerate(items):
        for reading in readings:
            column = SOURCES.index(reading.source)
            if present[row, column]:
                raise ValueError(f"two readings of source {reading.source}: combine them first")
            sentiment[row, column] = torch.from_numpy(reading.log_sentiment)
            emotions[row, column] = torch.from_numpy(reading.log_emotions)
            quality[row, column] = torch.tensor(quality_features(reading.quality))
            present[row, column] = 1
    return sentiment, emotions, quality, present


class FusionPool:
    """A BatchModel over lists of readings (one a source, at least one); cost in items."""

    name = "fusion"
    max_batch_cost = 4096.0

    def __init__(self, saved: checkpoint.Checkpoint, device: str) -> None:
        self.revision = saved.revision
        self.device = device
        self.abstain_below: float = saved.extra["abstain_below"]
        self.model = FusionModel(FusionDimensions(**saved.dims))
        self.model.load_state_dict(saved.state)
        self.model.eval().double().to(device)

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> FusionPool:
        """Read the checkpoint at `path`; raises UnavailableError where it cannot be read."""
        return cls(checkpoint.load(path), device)

    @property
    def temperature(self) -> float:
        return float(self.model.temperature)

    @property
    def sentiment_bias(self) -> Array:
        """(3,) in the order of SENTIMENTS."""
        return self.model.sentiment_bias.detach().float().cpu().numpy()

    @property
    def emotion_bias(self) -> Array:
        """(7,) in the order of EMOTIONS."""
        return self.model.emotion_bias.detach().float().cpu().numpy()

    def cost(self, item: Sequence[Reading]) -> float:
        return 1.0

    @torch.inference_mode()
    def infer(self, items: Sequence[Sequence[Reading]]) -> list[Fused]:
        """One Fused an item; raises ValueError on an item without readings or with two of one
        source."""
        if not all(items):
            raise ValueError("an item without readings cannot be fused")
        sentiment, emotions, quality, present = (x.to(self.device) for x in stack(items))
        log_sentiment, log_emotions, w = self.model(sentiment, emotions, quality, present)
        temperature, bias = self.model.temperature, self.model.sentiment_bias
        contribution = w * (sentiment[..., POSITIVE] - sentiment[..., NEGATIVE]) / temperature
        of_bias = (bias[POSITIVE] - bias[NEGATIVE]) / temperature
        total = (contribution.abs().sum(-1) + of_bias.abs()).clamp_min(1e-30)  # (b,)
        share = contribution.abs() / total.unsqueeze(-1)  # (b, m)
        confidence = log_sentiment.exp().amax(-1)  # (b,)
        answers = []
        for row, readings in enumerate(items):
            columns = sorted(SOURCES.index(reading.source) for reading in readings)
            answers.append(
                Fused(
                    log_sentiment[row].float().cpu().numpy(),
                    log_emotions[row].float().cpu().numpy(),
                    float(confidence[row]),
                    bool(confidence[row] < self.abstain_below),
                    tuple(
                        SourceShare(
                            SOURCES[c],
                            float(w[row, c]),
                            float(contribution[row, c]),
                            float(share[row, c]),
                        )
                        for c in columns
                    ),
                    float(of_bias),
                    float(of_bias.abs() / total[row]),
                )
            )
        return answers


def save(path: Path, model: FusionModel, *, abstain_below: float, **extra: object) -> None:
    """Write the pool as a checkpoint."""
    checkpoint.save(path, model.dims, model.state_dict(), abstain_below=abstain_below, **extra)
