"""Prometheus metrics: events are counted where they happen, states are read when scraped.

Labels are names that this program knows: methods, codes, models, stages. Never an id, a tag, a
channel or anything else of a caller's.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from server.errors import AddressError
from server.logs import LOG

if TYPE_CHECKING:
    from server.alerts.alerting import Alerting
    from server.engine import Batch
    from server.pipeline import Pipeline
    from server.rpc import Gate
    from server.store.store import Store

# Of a text in a few milliseconds as of a screenshot in seconds; a stream lasts as long as a call.
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 120, 600, 3600)
ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SCORES = tuple(round(-1 + 0.2 * step, 1) for step in range(11))

REGISTRY = CollectorRegistry()

_requests = Counter(
    "emotion_requests", "Requests that ended", ["method", "code"], registry=REGISTRY
)
_request_seconds = Histogram(
    "emotion_request_seconds",
    "From a request's arrival to its end",
    ["method"],
    buckets=SECONDS,
    registry=REGISTRY,
)
_refusals = Counter(
    "emotion_refusals",
    "Requests that ended in an error, by the reason in its ErrorInfo",
    ["method", "reason"],
    registry=REGISTRY,
)
_stage_seconds = Histogram(
    "emotion_stage_seconds",
    "A stage of a request, its wait included",
    ["stage"],
    buckets=SECONDS,
    registry=REGISTRY,
)
_modalities = Counter(
    "emotion_modalities",
    "What became of a modality of an utterance",
    ["modality", "state"],
    registry=REGISTRY,
)
_score = Histogram("emotion_score", "Fused scores, in [-1, 1]", buckets=SCORES, registry=REGISTRY)
_batch_items = Histogram(
    "emotion_batch_items", "Items of a batch", ["model"], buckets=ITEMS, registry=REGISTRY
)
_batch_seconds = Histogram(
    "emotion_batch_seconds", "A batch's inference", ["model"], buckets=SECONDS, registry=REGISTRY
)
_batch_wait_seconds = Histogram(
    "emotion_batch_wait_seconds",
    "How long a batch's oldest item waited for it",
    ["model"],
    buckets=SECONDS,
    registry=REGISTRY,
)
_batch_cost = Counter(
    "emotion_batch_cost", "Cost of all batches, in the model's unit", ["model"], registry=REGISTRY
)
_batch_padded_cost = Counter(
    "emotion_batch_padded_cost", "The same with padding", ["model"], registry=REGISTRY
)
_batch_failed_items = Counter(
    "emotion_batch_failed_items", "Items on which a model failed", ["model"], registry=REGISTRY
)
ProcessCollector(registry=REGISTRY)


@cache
def _of(metric: Any, *labels: str) -> Any:
    """Its child of these labels: to look for one costs more than to count."""
    return metric.labels(*labels)


def request_ended(method: str, code: str, reason: str, seconds: float) -> None:
    """`reason` is its error's, empty without one."""
    _of(_requests, method, code).inc()
    _of(_request_seconds, method).observe(seconds)
    if reason:
        _of(_refusals, method, reason).inc()


def stage_ended(stage: str, seconds: float) -> None:
    _of(_stage_seconds, stage).observe(seconds)


def modality_ended(modality: str, state: str) -> None:
    _of(_modalities, modality, state).inc()


def scored(score: float) -> None:
    _score.observe(score)


def batch_ended(batch: Batch) -> None:
    """As `server.engine.BatchQueue` tells it."""
    _of(_batch_items, batch.model).observe(batch.items)
    _of(_batch_seconds, batch.model).observe(batch.ran_s)
    _of(_batch_wait_seconds, batch.model).observe(batch.waited_s)
    _of(_batch_cost, batch.model).inc(batch.cost)
    _of(_batch_padded_cost, batch.model).inc(batch.padded_cost)
    _of(_batch_failed_items, batch.model).inc(batch.failed)


class ServerState(Collector):
    """What waits and what serves, read in the thread of the scrape: nothing here waits for the
    event loop, so that a scrape answers also when that stands still."""

    def __init__(self, pipeline: Pipeline, gates: Sequence[Gate]) -> None:
        self._pipeline, self._gates = pipeline, gates

    def collect(self) -> Iterator[Metric]:
        yield from self._queues()
        running: Tally[str] = Tally()
        for gate in self._gates:
            running.update(dict(gate.running))
        under_way = GaugeMetricFamily(
            "emotion_running", "Requests and streams under way", labels=["method"]
        )
        for method, n in running.items():
            under_way.add_metric([method], n)
        yield under_way
        yield from self._models()
        followers = self._pipeline.followers
        if followers.store is not None:
            yield from _store(followers.store)
        if followers.alerting is not None:
            yield from _drift(followers.alerting)

    def _queues(self) -> Iterator[Metric]:
        items = GaugeMetricFamily("emotion_queue_items", "What waits", labels=["stage"])
        oldest = GaugeMetricFamily(
            "emotion_queue_oldest_seconds", "How long the oldest of it has waited", labels=["stage"]
        )
        n_waiting: Tally[str] = Tally()
        age_s: dict[str, float] = {}
        for stage, queue in self._pipeline.runner.queues():  # two of a model while it is promoted
            n_waiting[stage] += queue.queued_items
            age_s[stage] = max(age_s.get(stage, 0.0), queue.oldest_age_s)
        for stage, n in n_waiting.items():
            items.add_metric([stage], n)
            oldest.add_metric([stage], age_s[stage])
        yield from (items, oldest)

    def _models(self) -> Iterator[Metric]:
        info = InfoMetricFamily("emotion_model", "A model that serves", labels=["model"])
        up = GaugeMetricFamily("emotion_model_up", "1 where it is there", labels=["model"])
        for model in self._pipeline.models.infos():
            up.add_metric([model.name], model.missing is None)
            if model.revision:
                info.add_metric([model.name], {"revision": model.revision})
        yield from (info, up)


def _store(store: Store) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "emotion_store_queue_items", "Entries that wait for the store", value=store.n_queued
    )
    yield CounterMetricFamily(
        "emotion_store_lost", "Entries that could not be stored", value=store.n_lost
    )


def _drift(alerting: Alerting) -> Iterator[Metric]:
    """Channels and tags only as numbers of them: their names are the callers'."""
    share = GaugeMetricFamily(
        "emotion_negative_share", "Of the last conversations, those that ended negative"
    )
    series = GaugeMetricFamily(
        "emotion_drift_series", "Series of conversations that are watched", labels=["scope"]
    )
    spikes = GaugeMetricFamily(
        "emotion_drift_spikes", "Those with more negative ones than is usual", labels=["scope"]
    )
    for scope, state in alerting.watch.states().items():
        series.add_metric([scope], state.series)
        spikes.add_metric([scope], state.spikes)
        if state.negative_share is not None:
            share.add_metric([], state.negative_share)
    yield from (share, series, spikes)


def listen(host: str, port: int, state: ServerState) -> str:
    """Serve the metrics over HTTP for the rest of the process, in a thread; where it does.

    Raises AddressError where the address cannot be bound.
    """
    try:
        server, _ = start_http_server(port, host, REGISTRY)
    except OSError:
        raise AddressError(
            f"{host}:{port} cannot be bound for the metrics: it is in use, or not ours"
        ) from None
    REGISTRY.register(state)
    address = f"{host}:{server.server_port}"
    LOG.info("metrics", extra={"address": address})
    return address
