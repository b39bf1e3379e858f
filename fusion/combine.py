"""Many readings of one source become one, before fusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from modalities.reading import SENTIMENTS, Quality, Reading

HALF_LIFE_MESSAGES = 4.0
_SUMMED = ("characters", "speech_s")


def recency(count: int) -> list[float]:
    """Weights of `count` messages in order: the last counts 1, four messages earlier half."""
    return [0.5 ** ((count - 1 - i) / HALF_LIFE_MESSAGES) for i in range(count)]


def combine(readings: Sequence[Reading], weights: Sequence[float]) -> Reading:
    """The linear opinion pool of readings of one source, each weighted by `weights` (recency, or
    seconds of speech) times its confidence: a message that says nothing should not dilute one
    that does.

    Amounts of evidence (characters, seconds) add up; other qualities are averaged alike. Raises
    ValueError on no reading, or on readings of different sources.
    """
    if len({reading.source for reading in readings}) != 1:
        raise ValueError("combine takes one or more readings of one source")
    if len(readings) == 1:
        return readings[0]
    share = np.array([w * _certainty(r) for w, r in zip(weights, readings, strict=True)])
    share /= share.sum()

    def pooled(rows: list[np.ndarray]) -> np.ndarray:
        return (share @ np.stack(rows).astype(np.float64)).astype(np.float32)

    quality = {
        f.name: float(sum(values) if f.name in _SUMMED else share @ np.array(values))
        for f in fields(Quality)
        if (values := [getattr(reading.quality, f.name) for reading in readings])
    }
    return Reading(
        readings[0].source,
        np.log(pooled([np.exp(r.log_sentiment) for r in readings])),
        np.log(pooled([np.exp(r.log_emotions) for r in readings])),
        pooled([r.embedding for r in readings]),
        Quality(**quality),
        float(share @ np.array([r.speaker_known for r in readings])),
    )


def _certainty(reading: Reading) -> float:
    """1 − normalised entropy of the sentiment, kept above 0.05 so that no message vanishes."""
    log_p = reading.log_sentiment.astype(np.float64)
    entropy = -float(np.exp(log_p) @ log_p) / np.log(len(SENTIMENTS))
    return max(0.05, 1 - entropy)
