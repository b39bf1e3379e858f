"""Conversations that end, and a watch of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from emotion.v1.alert_service_pb2 import Alert

from server.alerts.log import AlertLog
from server.alerts.watch import Watch, WatchOptions
from server.moments import ConversationInfo

BEGAN = datetime(2026, 3, 2, 8, tzinfo=UTC)


def info(number: int, *tags: str, channel: str = "", conversation_id: str = "") -> ConversationInfo:
    return ConversationInfo(
        f"request-{number}", "StreamCall", BEGAN, conversation_id, channel=channel, tags=tags
    )


def end(
    watch: Watch, n: int, share: float, *tags: str, seed: int, first: int = 0, channel: str = ""
) -> None:
    """`n` conversations a minute apart, `share` of them negative."""
    for i, negative in enumerate(np.random.default_rng(seed).random(n) < share):
        at = BEGAN + timedelta(minutes=first + i)
        watch.ended(info(first + i, *tags, channel=channel), [-0.7 if negative else 0.3], at)
    watch.wait()


@contextmanager
def watching(
    folder: Path, options: WatchOptions | None = None
) -> Iterator[tuple[Watch, list[Alert]]]:
    """A watch over the state in `folder`, and what it tells."""
    told: list[Alert] = []
    log = AlertLog(folder / "alerts.jsonl")
    watch = Watch(options or WatchOptions(), log, [told.append], folder / "state.json")
    try:
        yield watch, told
    finally:
        watch.close()
