"""Conversations to store, of readings that are made up but pooled by the real fusion model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
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

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


@cache
def pool() -> FusionPool:
    return FusionPool.load(weights.path_of("fusion"))


def open_store(path: Path, *, keep_content: bool = False) -> Store:
    return Store.open(url_of(path), key=bytes(32), keep_content=keep_content)


def info(number: int = 0, **fields: Any) -> ConversationInfo:
    known = {"started_at": BEGAN + timedelta(minutes=number), "channel": "app", "language": "zh"}
    known |= {"tags": ("phone",), "conversation_id": f"c-{number}"}
    return ConversationInfo(f"request-{number}", "StreamCall", **(known | fields))


def moments(texts: Sequence[str], seed: int = 0) -> list[Moment]:
    """The customer's, half a second long, one a second."""
    draw = np.random.default_rng(seed)
    emotions = np.log(np.full(7, 1 / 7, np.float32))
    readings = [
        [Reading(Source.TEXT, np.log(np.float32(draw.dirichlet([1, 1, 1]))), emotions,
                 np.zeros(4, np.float32), Quality())]
        for _ in texts
    ]  # fmt: skip
    return [
        Moment(n, Role.CUSTOMER, mine, fused, text, None, float(n), n + 0.5,
               content={Source.TEXT: text.encode()})
        for n, (text, mine, fused) in enumerate(
            zip(texts, readings, pool().infer(readings), strict=True)
        )
    ]  # fmt: skip


def put(
    store: Store,
    about: ConversationInfo,
    said: Sequence[Moment],
    advice: Mapping[int, Sequence[Advice]] | None = None,
) -> None:
    """A whole conversation."""
    key = store.begin(about, {"fusion": pool().revision, "rules": "book-1"})
    for number, moment in enumerate(said):
        store.add(key, number, moment, {"emotion": "sad"}, (advice or {}).get(number, ()), {})
    store.end(key, 0.25)


def one_advice(number: int) -> Advice:
    text = {"en": "Apologise.", "zh": "请道歉。"}
    return Advice("apologise", number, 1.5, 80, ("care",), text, {"text": "call 13812345678"})
