"""Conversations to store, of readings that are made up but pooled by the real fusion model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from databases import url_of

import weights
from fusion.pool import FusionPool
from modalities.reading import Quality, Reading, Source
from server.analysis import Role
from server.moments import Advice, ConversationInfo, Moment
from server.store.store import Store

KEY = bytes(range(32))
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def open_store(path: Path, **options: Any) -> Store:
    defaults = {"key": KEY, "keep_content": False, "max_queued": 1000, "retention_days": None}
    return Store.open(url_of(path), **(defaults | options))


def pool() -> FusionPool:
    return FusionPool.load(weights.FOLDER / "fusion.safetensors")


def reading(source: Source, seed: int) -> Reading:
    draw = np.random.default_rng(seed)

    def log_softmax(n: int) -> np.ndarray:
        logits = draw.normal(size=n) * 2
        return (logits - np.log(np.exp(logits).sum())).astype(np.float32)

    quality = Quality(*map(float, draw.random(8)))
    return Reading(source, log_softmax(3), log_softmax(7), np.zeros(4, np.float32), quality)


def info(number: int = 0, **fields: Any) -> ConversationInfo:
    defaults = {"customer_id": "customer-7", "agent_id": "agent-1", "channel": "app"}
    defaults |= {"language": "zh", "tags": ("phone",), "conversation_id": f"c-{number}"}
    return ConversationInfo(
        f"request-{number}", "AnalyzeConversation", BEGAN + timedelta(minutes=number),
        **(defaults | fields),
    )  # fmt: skip


def moments(fusion: FusionPool, texts: Sequence[str], seed: int = 0) -> list[Moment]:
    """The customer's, each of two sources."""
    readings = [
        [reading(Source.TEXT, seed + 2 * n), reading(Source.VOICE, seed + 2 * n + 1)]
        for n in range(len(texts))
    ]
    return [
        Moment(
            n, Role.CUSTOMER, mine, fused, text, start_s=float(n), end_s=n + 0.5,
            content={Source.TEXT: text.encode()},
        )
        for n, (text, mine, fused) in enumerate(
            zip(texts, readings, fusion.infer(readings), strict=True)
        )
    ]  # fmt: skip


def put(
    store: Store,
    about: ConversationInfo,
    said: Sequence[Moment],
    advice: Mapping[int, Sequence[Advice]] | None = None,
    versions: Mapping[str, str] | None = None,
) -> int:
    """A whole conversation; its key."""
    key = store.begin(about, versions or {"fusion": pool().revision, "rules": "book-1"})
    for number, moment in enumerate(said):
        facts = {"score": moment.score, "text": moment.text, "keywords": ["refund"]}
        store.add(key, number, moment, facts, (advice or {}).get(number, ()), {"late": number})
    store.end(key, 0.25)
    return key


def one_advice(number: int, rule: str = "apologise") -> Advice:
    text = {"en": "Apologise.", "zh": "请道歉。"}
    facts = {"score": -0.5, "text": "call 13812345678"}
    return Advice(rule, number, 1.5, 80, ("care",), text, facts)
