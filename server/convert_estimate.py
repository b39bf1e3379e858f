"""Distributions and what they were pooled from → messages of the API."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from emotion.v1.types_pb2 import Emotion, Estimate, Fusion, LabelBias, Sentiment, SourceResult
from emotion.v1.types_pb2 import Modality as ModalityValue

from fusion.labels import valence_arousal
from fusion.pool import Fused, FusionPool, SourceShare
from modalities.reading import EMOTIONS, NEGATIVE, POSITIVE, SENTIMENTS, Array, Reading


def source_results(fused: Fused) -> list[SourceResult]:
    """The terms of an answer."""
    return [
        SourceResult(
            source=SourceResult.Source.Value(share.source.name),
            modality=ModalityValue.Value(share.source.modality.name),
            estimate=_estimate(share),
            weight=share.weight,
            contribution=share.contribution,
            share=share.share,
        )
        for share in fused.sources
    ]


def _estimate(said: Reading | SourceShare) -> Estimate:
    """What a source says as it stands; its confidence is its likeliest sentiment's probability."""
    confidence = math.exp(max(said.log_sentiment.tolist()))
    return _distributions(said.log_sentiment, said.log_emotions, confidence, False)


def fused_estimate(fused: Fused | None) -> Estimate:
    """The pool's answer; where there is none, an abstention."""
    if fused is None:
        return Estimate(abstained=True)
    return _distributions(
        fused.log_sentiment, fused.log_emotions, fused.confidence, fused.abstained
    )


def estimate_of(readings: Sequence[Reading], pooled: Fused | None) -> Estimate | None:
    """The estimate of something with one source, or with two that were pooled."""
    if pooled is not None:
        return fused_estimate(pooled)
    return _estimate(readings[0]) if readings else None


def _distributions(
    log_sentiment: Array, log_emotions: Array, confidence: float, abstained: bool
) -> Estimate:
    valence, arousal = valence_arousal(log_emotions)
    sentiment = [math.exp(x) for x in log_sentiment.tolist()]  # numpy is dear for so few
    return Estimate(
        score=sentiment[POSITIVE] - sentiment[NEGATIVE],
        sentiment=Sentiment(**dict(zip(SENTIMENTS, sentiment, strict=True))),
        emotions=[
            Emotion(label=label, probability=math.exp(x))
            for label, x in zip(EMOTIONS, log_emotions.tolist(), strict=True)
        ],
        valence=valence,
        arousal=arousal,
        confidence=confidence,
        abstained=abstained,
    )


def fusion_terms(fused: Fused, pool: FusionPool) -> Fusion:
    terms = Fusion(bias_contribution=fused.bias_contribution, bias_share=fused.bias_share)
    terms.MergeFrom(_of_every_answer(pool))
    return terms


@lru_cache(maxsize=2)  # one that serves, and one that is promoted
def _of_every_answer(pool: FusionPool) -> Fusion:
    return Fusion(
        temperature=pool.temperature,
        sentiment_bias=_biases(SENTIMENTS, pool.sentiment_bias),
        emotion_bias=_biases(EMOTIONS, pool.emotion_bias),
    )


def _biases(labels: Sequence[str], biases: Array) -> list[LabelBias]:
    return [
        LabelBias(label=label, bias=bias)
        for label, bias in zip(labels, biases.tolist(), strict=True)
    ]
