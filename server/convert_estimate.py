"""Distributions and what they were pooled from → messages of the API.

Given as their fields: the message that holds them is then made at once, where each message within
it would be made and copied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from emotion.v1.types_pb2 import Modality as ModalityValue
from emotion.v1.types_pb2 import SourceResult

from fusion.in_numpy import emotions_in_agreement
from fusion.labels import valence_arousal
from fusion.pool import Fused
from modalities.reading import EMOTIONS, NEGATIVE, POSITIVE, SENTIMENTS, Array, Reading

Fields: TypeAlias = dict[str, Any]


def source_results(fused: Fused) -> list[Fields]:
    """The terms of an answer, SourceResults."""
    return [
        {
            "source": SourceResult.Source.Value(share.source.name),
            "modality": ModalityValue.Value(share.source.modality.name),
            "estimate": _distributions(share.log_sentiment, share.log_emotions),
            "weight": share.weight,
            "contribution": share.contribution,
            "share": share.share,
            "weakness": share.weakness,
            "speaker_known": share.speaker_known,
        }
        for share in fused.sources
    ]


def fused_estimate(fused: Fused | None) -> Fields:
    """The pool's answer; where there is none, an abstention."""
    if fused is None:
        return {"abstained": True}
    found = _distributions(fused.log_sentiment, fused.log_emotions)
    return found | {"confidence": fused.confidence, "abstained": fused.abstained}


def estimate_of(readings: Sequence[Reading], pooled: Fused | None) -> Fields | None:
    """The estimate of something with one source, as the pool would pass it on, or with two that
    were pooled; None where it has none."""
    if pooled is not None:
        return fused_estimate(pooled)
    if not readings:
        return None
    return _distributions(readings[0].log_sentiment, emotions_in_agreement(readings[0]))


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
