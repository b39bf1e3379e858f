"""Tables of calls as a run writes them, made by hand, with hostile content in every text."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modalities.reading import EMOTIONS
from server.analysis import Role
from server.calls import table
from server.calls.shape import Span, shape

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=document.title='x'>"
SAID = ("我等了三天，没有人回我电话。", "I have been waiting since Monday", HOSTILE, "好的，谢谢")


def write_tables(folder: Path, calls: list[dict[str, Any]]) -> tuple[Path, Path]:
    """`calls` are rows of `table.NESTED`."""
    of_calls, spoken = folder / "calls.parquet", folder / "calls.utterances.parquet"
    rows = [{name: call.get(name) for name in table.CALLS.names} for call in calls]
    pq.write_table(pa.Table.from_pylist(rows, table.CALLS), of_calls)
    said = [{**one, "path": call["path"]} for call in calls for one in call["utterances"]]
    pq.write_table(pa.Table.from_pylist(said, table.UTTERANCES), spoken)
    return of_calls, spoken


def failed(path: str, error: str) -> dict[str, Any]:
    return {"path": path, "status": table.UNREADABLE, "error": error, "utterances": []}


def scored(path: str, mood: float, seed: int = 0, duration_s: float = 240.0) -> dict[str, Any]:
    """A call of two channels whose customer's scores lie around `mood`; the agent's are none."""
    draw = random.Random(seed)
    said: list[dict[str, Any]] = []
    at_s = 2.0
    while at_s < duration_s - 12:
        channel, length_s = len(said) % 2, draw.uniform(1, 9)
        score = max(-0.97, min(0.97, draw.gauss(mood, 0.3))) if channel == 0 else None
        said.append(utterance(len(said), channel, at_s, at_s + length_s, score, draw))
        at_s += length_s + draw.uniform(-0.8, 2.5)
    roles = (Role.CUSTOMER, Role.AGENT)
    spans = [
        Span(u["channel"], u["start_s"], u["end_s"], u["loudness_dbfs"], u["score"]) for u in said
    ]
    whole = shape(spans, roles, duration_s)
    course = whole.channels[0].course
    assert course is not None
    loudness = [
        [-70 + 45 * any(u["channel"] == c and u["start_s"] < s < u["end_s"] for u in said)
         + draw.uniform(0, 8) for s in range(math.ceil(duration_s))]
        for c in (0, 1)
    ]  # fmt: skip
    return {
        "path": path,
        "status": table.OK,
        "size_bytes": 1,
        "modified_at": datetime(2026, 1, 2, tzinfo=UTC),
        "codec": "pcm_mulaw",
        **{n: getattr(whole, n) for n in ("duration_s", "silence_s", "non_talk_s", "overlap_s")},
        "utterance_count": len(said),
        "customer_utterance_count": course.utterance_count,
        "customer_score": course.score,
        **{
            f"customer_score_{name}": getattr(course, name)
            for name in ("start", "end", "lowest", "shift")
        },
        "satisfaction": mood / 2,
        "notes": ["channel 1: the emotion of agents is not scored", HOSTILE],
        "channels": [
            table._channel_row(channel, loudness[channel.channel]) for channel in whole.channels
        ],
        "utterances": said,
    }


def utterance(
    index: int, channel: int, start_s: float, end_s: float, score: float | None, draw: random.Random
) -> dict[str, Any]:
    emotions = [draw.random() ** 4 for _ in EMOTIONS]
    total = sum(emotions)
    known = {f"emotion_{name}": p / total for name, p in zip(EMOTIONS, emotions, strict=True)}
    return {
        "index": index,
        "channel": channel,
        "role": ("CUSTOMER", "AGENT")[channel],
        "start_s": start_s,
        "end_s": end_s,
        "loudness_dbfs": draw.uniform(-30, -18),
        "text": SAID[index % len(SAID)],
        "score": score,
        "abstained": None if score is None else draw.random() < 0.3,
        "not_scored": "the emotion of agents is not scored" if score is None else None,
        **(known if score is not None else {}),
    }
