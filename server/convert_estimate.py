"""Distributions and what they were pooled from → messages of the API.

Given as their fields: the message that holds them is then made at once, where each message within
it would be made and copied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from emotion.v1.types_pb2 import LabelBias, SourceResult
from emotion.v1.types_pb2 import Modality as ModalityValue

from fusion.labels import valence_arousal
from fusion.pool import Fused, FusionPool, SourceShare
from modalities.reading import EMOTIONS, NEGATIVE, POSITIVE, SENTIMENTS, Array, Reading

Fields: TypeAlias = dict[str, Any]


def source_results(fused: Fused) -> list[Fields]:
    """The terms of an answer, SourceResults."""
    return [
        {
            "source": SourceResult.Source.Value(share.source.name),
            "modality": ModalityValue.Value(share.source.modality.name),
            "estimate": _estimate(share),
            "weight": share.weight,
            "contribution": share.contribution,
            "share": share.share,
        }
        for share in fused.sources
    ]


def _estimate(said: Reading | SourceShare) -> Fields:
    """What a source says as it stands; its confidence is its likeliest sentiment's probability."""
    return _distributions(said.log_sentiment, said.log_emotions)


def fused_estimate(fused: Fused | None) -> Fields:
    """The pool's answer; where there is none, an abstention."""
    if fused is None:
        return {"abstained": True}
    found = _distributions(fused.log_sentiment, fused.log_emotions)
    return found | {"confidence": fused.confidence, "abstained": fused.abstained}


def estimate_of(readings: Sequence[Reading], pooled: Fused | None) -> Fields | None:
    """The estimate of something with one source, or with two that were pooled."""
    if pooled is not None:
        return fused_estimate(pooled)
    return _estimate(readings[0]) if readings else None


def _distributions(log_sentiment: Array, log_emotions: Array) -> Fields:
    sentiment = [math.exp(x) for x in log_sentiment.tolist()]  # numpy is dear for so few
    emotions = [math.exp(x) for x in log_emotions.tolist()]
    valence, arousal = valence_arousal(emotions)
    return {
        "score": sentiment[POSITIVE] - sentiment[NEGATIVE],
        "sentiment": dict(zip(SENTIMENTS, sentiment, strict=True)),
        "emotions": [
            {"label": label, "probability": p} for label, p in zip(EMOTIONS, emotions, strict=True)
        ],
        "valence": valence,
        "arousal": arousal,
        "confidence": max(sentiment),
    }


def fusion_terms(fused: Fused, pool: FusionPool) -> Fields:
    """A Fusion."""
    return {
        "bias_contribution": fused.bias_contribution,
        "bias_share": fused.bias_share,
        **_of_every_answer(pool),
    }


@lru_cache(maxsize=2)  # one that serves, and one that is promoted
def _of_every_answer(pool: FusionPool) -> Fields:
    return {
        "temperature": pool.temperature,
        "sentiment_bias": _biases(SENTIMENTS, pool.sentiment_bias),
        "emotion_bias": _biases(EMOTIONS, pool.emotion_bias),
    }


def _biases(labels: Sequence[str], biases: Array) -> list[LabelBias]:
    return [
        LabelBias(label=label, bias=bias)
        for label, bias in zip(labels, biases.tolist(), strict=True)
    ]
