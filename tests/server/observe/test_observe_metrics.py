"""Metrics of a server that was used, as a real scrape has them."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from watched_server import Watched

from modalities.errors import EmotionError
from server.models import Models
from server.observe import metrics
from server.observe.threads import Threads
from server.pipeline import Pipeline
from server.settings import Settings

DASHBOARD = Path(__file__).parents[3] / "deploy/grafana/emotion.json"


def value(watched: Watched, name: str, **labels: str) -> float:
    """Of the one sample of that name with these labels, among others; what a counter rose by."""

    def found(scrape: str) -> list[float]:
        return [
            sample.value
            for family in text_string_to_metric_families(scrape)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    (now,) = found(watched.scrape)
    counts = name.endswith(("_total", "_count"))
    return now - sum(found(watched.before)) if counts else now


def test_requests_are_counted_by_code_and_refusals_by_reason(watched: Watched) -> None:
    for code, n in {"OK": 2, "INVALID_ARGUMENT": 1, "INTERNAL": 1, "CANCELLED": 1}.items():
        assert value(watched, "emotion_requests_total", method="AnalyzeEmotion", code=code) == n
    for reason in ("INVALID_CONTENT", "INTERNAL"):
        assert value(watched, "emotion_refusals_total", method="AnalyzeEmotion", reason=reason) == 1
    assert value(watched, "emotion_request_seconds_count", method="AnalyzeEmotion") == 5


def test_what_became_of_modalities(watched: Watched) -> None:
    for state, n in {"USED": 1, "FAILED": 1}.items():
        assert value(watched, "emotion_modalities_total", modality="text", state=state) == n
    assert value(watched, "emotion_modalities_total", modality="image", state="USED") == 1


def test_batches_and_stages(watched: Watched) -> None:
    assert value(watched, "emotion_batch_items_count", model="text") >= 1
    cost = value(watched, "emotion_batch_cost_total", model="text")
    assert 0 < cost <= value(watched, "emotion_batch_padded_cost_total", model="text")
    for stage in ("text.prepare", "text.infer", "image.prepare", "fusion.infer", "total"):
        assert value(watched, "emotion_stage_seconds_count", stage=stage) >= 1


def test_states_when_scraped(watched: Watched) -> None:
    assert value(watched, "emotion_running", method="AnalyzeEmotion") == 0
    assert value(watched, "emotion_queue_oldest_seconds", stage="image.prepare") == 0
    assert value(watched, "emotion_model_up", model="text") == 1
    assert value(watched, "emotion_model_up", model="whisper") == 0
    assert value(watched, "emotion_store_lost_total") == 0
    assert value(watched, "emotion_drift_series", scope="overall") == 1
    assert value(watched, "emotion_negative_share") in (0, 0.5, 1)


def test_a_promotion_is_seen(loaded: Models) -> None:
    async def main() -> tuple[set[str], set[str]]:
        own = replace(loaded, missing=dict(loaded.missing))
        async with Pipeline(own, Settings()) as pipeline:
            state = metrics.ServerState(pipeline, ())
            before = revisions(state)
            promoted = copy.copy(loaded.text)
            assert promoted is not None
            promoted.revision = "promoted"
            pipeline.runner.promote(text=promoted)
            return before, revisions(state)

    def revisions(state: metrics.ServerState) -> set[str]:
        (info,) = [family for family in state.collect() if family.name == "emotion_model"]
        return {one.labels["revision"] for one in info.samples if one.labels["model"] == "text"}

    assert loaded.text is not None
    assert asyncio.run(main()) == ({loaded.text.revision}, {"promoted"})


def test_what_waits_for_a_thread_is_seen_and_given_up() -> None:
    release, threads = threading.Event(), Threads(1, "one")
    try:
        threads.submit(release.wait)
        second, third = threads.submit(int), threads.submit(int)
        time.sleep(0.02)
        assert threads.queued_items == 2
        assert threads.oldest_age_s >= 0.02
        second.cancel()
        assert threads.queued_items == 1
        release.set()
        third.result()
        assert threads.queued_items == 0
        assert threads.oldest_age_s == 0
    finally:
        release.set()
        threads.shutdown()


def test_nothing_of_a_caller_is_a_label(watched: Watched) -> None:
    for theirs in ("traced", "broken", "parcel", "hotline", "vip"):
        assert theirs not in watched.scrape
    series = [line for line in watched.scrape.splitlines() if not line.startswith("#")]
    assert len(series) < 1000


def test_the_dashboard_asks_for_what_there_is(watched: Watched) -> None:
    there = {
        name
        for family in text_string_to_metric_families(watched.scrape)
        for name in (family.name, *(sample.name for sample in family.samples))
    }
    asked = set(re.findall(r"\b(?:emotion|process)_[a-z_]+", DASHBOARD.read_text()))
    assert len(asked) > 20
    assert asked <= there
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert all(panel["targets"] for panel in panels if panel["type"] != "row")


def test_a_port_in_use_is_an_error_with_its_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EmotionError, match=f"127.0.0.1:{port} cannot be bound"):
            metrics.listen("127.0.0.1", port, None)  # type: ignore[arg-type]
