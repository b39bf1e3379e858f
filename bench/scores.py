"""How often the service's score says the plain thing, on many held-out items.

Each group is a kind of item whose mood is known from its set's label, sent as a request through
the service's pipeline; its rate is the share of items whose fused score passes the stated bound.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest
from emotion.v1.types_pb2 import Audio, Text
from sklearn.metrics import roc_auc_score

from server.models import load
from server.pipeline import Pipeline
from server.settings import Settings
from training.data import speech_rows, text_rows

VOICE_SETS = ("casia", "nemo", "ravdess", "urdu")


@dataclass(frozen=True)
class Rate:
    """The share of `n` items whose score passes `bound`."""

    bound: str
    n: int
    rate: float


@dataclass(frozen=True)
class Group:
    """Items of one known mood. `floor` is the rate that the tests hold it to: what `dev` gave
    when the weights were made, less five points. Recordings have none: a rate over the speakers
    of `dev`, three of them for most clips, says little of others; `separation` judges them."""

    bound: str
    requests: Callable[[str], list[AnalyzeEmotionRequest]]
    passes: Callable[[float], bool]
    floor: float = 0.0


def _texts(name: str, label: str) -> Callable[[str], list[AnalyzeEmotionRequest]]:
    def requests(split: str) -> list[AnalyzeEmotionRequest]:
        return [
            AnalyzeEmotionRequest(text=Text(content=row["text"]))
            for row in text_rows(name)
            if row["split"] == split and row["label"] == label and row["text"].strip()
        ]

    return requests


def _voices(label: str) -> Callable[[str], list[AnalyzeEmotionRequest]]:
    def requests(split: str) -> list[AnalyzeEmotionRequest]:
        return [
            AnalyzeEmotionRequest(audio=Audio(content=Path(row["file"]).read_bytes()))
            for name in VOICE_SETS
            for row in speech_rows(name)
            if row["split"] == split and row["label"] == label
        ]

    return requests


SEPARATION_FLOOR = 0.6  # of happy above angry recordings; see Group.floor

GROUPS = {
    "angry_chinese_posts": Group("< -0.3", _texts("ewect", "angry"), lambda s: s < -0.3, 0.85),
    "chinese_complaints": Group("< -0.3", _texts("waimai", "negative"), lambda s: s < -0.3, 0.75),
    "delighted_english_reviews": Group(
        "> 0.3", _texts("airline", "positive"), lambda s: s > 0.3, 0.70
    ),
    "angry_recordings": Group("< 0", _voices("angry"), lambda s: s < 0),
    "happy_recordings": Group("> 0", _voices("happy"), lambda s: s > 0),
}


def scores(name: str, split: str, limit: int | None = None) -> list[float]:
    """Fused scores of a group's items of `split`, or of `limit` of them drawn with a fixed seed."""
    requests = GROUPS[name].requests(split)
    if limit is not None:
        requests = random.Random(0).sample(requests, min(limit, len(requests)))
    settings = Settings(whisper="none")
    models = load(settings)

    async def all_scores() -> list[float]:
        pipeline = Pipeline(models, settings)
        gate = asyncio.Semaphore(16)

        async def one(request: AnalyzeEmotionRequest) -> float:
            async with gate:
                return (await pipeline.analyze(request)).fused.score

        try:
            return await asyncio.gather(*(one(request) for request in requests))
        finally:
            await pipeline.close()

    return asyncio.run(all_scores())


def rate(name: str, found: Sequence[float]) -> Rate:
    """The share of a group's scores that pass its bound."""
    passed = [GROUPS[name].passes(score) for score in found]
    return Rate(GROUPS[name].bound, len(passed), round(sum(passed) / len(passed), 4))


def separation(low: Sequence[float], high: Sequence[float]) -> float:
    """How often an item of `high` scores above one of `low` (ROC AUC); 0.5 is chance."""
    truth = [0] * len(low) + [1] * len(high)
    return float(roc_auc_score(truth, [*low, *high]))
