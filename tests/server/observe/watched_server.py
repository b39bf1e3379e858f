"""A server that was watched: what it answered to a scrape, sent to a collector, and logged."""

from __future__ import annotations

import asyncio
import io
import logging
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import server_media as media
from emotion.v1.emotion_service_pb2 import DESCRIPTOR, AnalyzeEmotionRequest
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from PIL import Image

from server.follow import Followers
from server.logs import JsonFormatter, Libraries
from server.models import Models
from server.observe import metrics, tracing
from server.pipeline import Pipeline
from server.rpc import Gate, service_handlers
from server.settings import Settings
from server.store.key import key_path, make_key

WORDS = "my parcel 4711 is lost"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass(frozen=True)
class Watched:
    """`before` is a scrape before it was used: counters are of all that this process has served."""

    before: str
    scrape: str
    spans: list[Any]
    log: str


class _Collector(TraceServiceServicer):
    def __init__(self) -> None:
        self.spans: list[Any] = []

    def Export(self, request: Any, context: Any) -> ExportTraceServiceResponse:  # noqa: N802
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return ExportTraceServiceResponse()


def watch(loaded: Models, folder: Path) -> Watched:
    """After a text with a parent span, a picture, a refusal, a text that breaks its model, and one
    that its client gives up."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(Libraries())
    logging.getLogger().addHandler(handler)
    emotion = logging.getLogger("emotion")
    before = emotion.level
    emotion.setLevel(logging.INFO)
    make_key(key_path(str(folder / "store.db"), None))
    settings = Settings(store=str(folder / "store.db"), alerts=folder / "alerts")
    collector, receiver = _Collector(), grpc.server(ThreadPoolExecutor(1))
    add_TraceServiceServicer_to_server(collector, receiver)
    port = receiver.add_insecure_port("127.0.0.1:0")
    receiver.start()
    tracing.begin(f"http://127.0.0.1:{port}")
    try:
        unused, scrape = asyncio.run(_watch(loaded, settings))
    finally:
        tracing.end()
        receiver.stop(None)
        logging.getLogger().removeHandler(handler)
        emotion.setLevel(before)
    return Watched(unused, scrape, collector.spans, log.getvalue())


async def _watch(loaded: Models, settings: Settings) -> tuple[str, str]:
    followers = Followers.open(settings)
    async with Pipeline(loaded, settings, followers) as pipeline:
        gate, server = Gate(2), grpc.aio.server()
        service = DESCRIPTOR.services_by_name["EmotionService"]
        handlers = {"AnalyzeEmotion": pipeline.analyze}
        server.add_generic_rpc_handlers((service_handlers(service, handlers, gate),))
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        metrics_at = metrics.listen("127.0.0.1", 0, metrics.ServerState(pipeline, (gate,)))
        await server.start()
        url = f"http://{metrics_at}/metrics"
        try:
            before = await asyncio.to_thread(_get, url)
            async with grpc.aio.insecure_channel(address) as channel:
                await _calls(EmotionServiceStub(channel), pipeline, gate)
            while gate.running.total():  # what was given up is still on its way out
                await asyncio.sleep(0.01)
            return before, await asyncio.to_thread(_get, url)
        finally:
            await server.stop(0)
            await asyncio.to_thread(followers.close)


def _get(url: str) -> str:
    with urllib.request.urlopen(url) as response:
        return response.read().decode()


async def _calls(stub: EmotionServiceStub, pipeline: Pipeline, gate: Gate) -> None:
    text = {"content": WORDS}
    await stub.AnalyzeEmotion(
        AnalyzeEmotionRequest(
            request_id="traced", text=text, context={"channel": "hotline", "tags": ["vip"]}
        ),
        metadata=[("traceparent", PARENT)],
    )
    file = io.BytesIO()
    Image.effect_noise((320, 192), 60).save(file, "PNG")
    picture = {"content": file.getvalue()}
    portrait = {"content": media.encode(media.portrait())}
    await stub.AnalyzeEmotion(AnalyzeEmotionRequest(images=[portrait]))
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.AnalyzeEmotion(AnalyzeEmotionRequest(request_id="empty", text={"content": " "}))
    model = pipeline.models.text
    assert model is not None
    prepare = model.prepare

    def broken(text: str, before: object = ()) -> Any:
        for _ in range(2):
            logging.getLogger("a.library").warning("cannot read %s", text)
        raise RuntimeError(text)

    model.prepare = broken  # type: ignore[method-assign]
    try:
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.AnalyzeEmotion(AnalyzeEmotionRequest(request_id="broken", text=text))
    finally:
        model.prepare = prepare  # type: ignore[method-assign]
    given_up = stub.AnalyzeEmotion(AnalyzeEmotionRequest(images=[picture]))
    while not gate.running.total():
        await asyncio.sleep(0.001)
    given_up.cancel()
