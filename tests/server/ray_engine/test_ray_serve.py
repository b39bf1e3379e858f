"""`--engine ray`: answers are those of one process, and a replica that dies loses none of them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import grpc
import numpy as np
import pytest
import recorded_media as calls
import server_media as media
from emotion.v1.call_pb2 import StreamCallConfig, StreamCallRequest, StreamCallResponse
from emotion.v1.emotion_service_pb2 import (
    DESCRIPTOR,
    AnalyzeEmotionRequest,
    AnalyzeEmotionResponse,
)
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub
from emotion.v1.types_pb2 import Audio, Image, Role, Text
from google.protobuf.json_format import MessageToDict
from server_process import in_process

import weights
from modalities import checkpoint
from modalities.errors import UnavailableError
from modalities.text.infer import TextReader
from modalities.text.model import TextDimensions
from server.calls.live import LiveCalls
from server.models import Models
from server.pipeline import Pipeline
from server.ray_engine.cluster import Cluster
from server.rpc import Gate, stream_handlers
from server.settings import Settings
from training.learn.registry import Registry

SERVICE = DESCRIPTOR.services_by_name["EmotionService"]
EVERYTHING = AnalyzeEmotionRequest(
    text=Text(content="the parcel is late and nobody answers"),
    audio=Audio(content=media.recording()),
    images=[Image(content=media.screenshot()), Image(content=media.encode(media.photo()))],
)


def assert_near(one: object, other: object) -> None:
    """Equal, floats to 1e-4, but for what differs between any two runs: ids and times."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys()
        for key in one.keys() - {"metadata", "elapsed"}:
            assert_near(one[key], other[key])
    elif isinstance(one, list) and isinstance(other, list):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_near(*pair)
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=1e-4)
    else:
        assert one == other


def test_answers_are_those_of_one_process(cluster: Settings, loaded: Models) -> None:
    async def work(pipeline: Pipeline) -> AnalyzeEmotionResponse:
        await pipeline.runner.ready(**vars(loaded))
        return await pipeline.analyze(EVERYTHING)

    far, here = (in_process(loaded, work, settings) for settings in (cluster, Settings()))
    assert media.states(far) == ["USED", "USED", "USED"]
    assert_near(MessageToDict(far), MessageToDict(here))
    revisions = [{use.name: use.revision for use in one.metadata.models} for one in (far, here)]
    assert revisions[0] == revisions[1]


def test_a_live_call_is_that_of_one_process(
    cluster: Settings, loaded: Models, tmp_path: Path
) -> None:
    content = calls.write(tmp_path / "call.wav", calls.stereo()).read_bytes()
    sound = content[content.index(b"data") + 8 :]
    first = StreamCallConfig(
        encoding=StreamCallConfig.MULAW,
        sample_rate_hz=8_000,
        channel_roles=[Role.CUSTOMER, Role.AGENT],
    )
    requests = [StreamCallRequest(config=first)]
    requests += [StreamCallRequest(audio=sound[at : at + 320]) for at in range(0, len(sound), 320)]

    async def work(pipeline: Pipeline) -> list[StreamCallResponse]:
        handlers = {"StreamCall": LiveCalls(pipeline).stream_call}
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((stream_handlers(SERVICE, handlers, Gate(1), 60.0),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = EmotionServiceStub(channel)
                return [response async for response in stub.StreamCall(iter(requests))]
        finally:
            await server.stop(0)

    far, here = (in_process(loaded, work, settings) for settings in (cluster, Settings()))
    final = [[r for r in found if r.HasField("utterance")] for found in (far, here)]
    assert len(final[1]) == 3
    for one, other in zip(*final, strict=True):
        assert_near(MessageToDict(one), MessageToDict(other))


def test_a_replica_is_killed_and_nothing_is_lost(cluster: Settings, loaded: Models) -> None:
    texts = [f"order {n} is late and I am angry" for n in range(200)]

    async def work(pipeline: Pipeline) -> Sequence[AnalyzeEmotionResponse]:
        await pipeline.runner.ready(text=loaded.text)

        async def one(text: str) -> AnalyzeEmotionResponse:
            return await pipeline.analyze(AnalyzeEmotionRequest(text=Text(content=text)))

        answers = []
        for start in range(0, len(texts), 20):
            waiting = [asyncio.create_task(one(text)) for text in texts[start : start + 20]]
            if start == 60 and pipeline.settings.engine == "ray":
                os.kill(_replicas("text")[0], signal.SIGKILL)
            answers += await asyncio.gather(*waiting)
        return answers

    far, here = (in_process(loaded, work, settings) for settings in (cluster, Settings()))
    scores = [[answer.fused.score for answer in found] for found in (far, here)]
    np.testing.assert_allclose(*scores, atol=1e-4)


def test_a_promoted_model_gets_its_own_replicas(
    cluster: Settings, loaded: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = checkpoint.load(weights.path_of("text"))
    saved.state["sentiment_head.bias"] = saved.state["sentiment_head.bias"].flip(0) + 1
    path = tmp_path / "made" / "text.safetensors"
    path.parent.mkdir()
    checkpoint.save(path, TextDimensions(**saved.dims), saved.state, **saved.extra)
    registry = Registry(tmp_path / "registry")
    registry.promote("text", registry.add("text", path.parent, {}).name)
    monkeypatch.setenv("EMOTION_REGISTRY", str(registry.folder))
    new = TextReader.load(path)
    request = AnalyzeEmotionRequest(text=Text(content="the parcel came on Monday"))

    async def work(pipeline: Pipeline) -> AnalyzeEmotionResponse:
        await pipeline.runner.ready(text=new)
        pipeline.runner.promote(text=new)
        return await pipeline.analyze(request)

    own = Models(loaded.device, loaded.fusion, loaded.text, missing=dict(loaded.missing))
    far = in_process(own, work, cluster.model_copy(update={"ray_text_replicas": 1}))
    here = in_process(own, work)
    assert far.metadata.models == here.metadata.models
    assert_near(MessageToDict(far), MessageToDict(here))


def test_without_ray_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UnavailableError) as error:
        Cluster(Settings(engine="ray"), 1)
    assert "emotion-service[ray]" in error.value.remedy


def _replicas(model: str) -> list[int]:
    """Process ids."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text()
        except OSError:
            continue
        if f"ServeReplica:emotion-{model}-" in command:
            found.append(int(process.name))
    return found
