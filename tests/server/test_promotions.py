"""Promotion and rollback: in this process, and of a real server under load."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections import Counter
from pathlib import Path

import pytest
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest, AnalyzeEmotionResponse
from emotion.v1.model_service_pb2 import GetModelRequest, Model
from emotion.v1.types_pb2 import Text
from server_process import Server, in_process, start

import weights
from fusion.satisfaction import SatisfactionHead
from modalities import checkpoint
from modalities.errors import UnavailableError
from modalities.text.infer import TextReader
from modalities.text.model import TextDimensions
from server.analysis import Call
from server.models import load
from server.pipeline import Pipeline
from server.settings import Settings
from training.learn.registry import Registry

REQUEST = AnalyzeEmotionRequest(text=Text(content="the parcel came on Monday"))
CARD = {"parent": {"version": "embedded"}, "gate": {"pooled": {"change": 0.0}}}


def made(folder: Path, *, with_head: bool = True) -> Path:
    """A bundle's folder whose text model answers otherwise than the embedded one."""
    folder.mkdir(parents=True)
    saved = checkpoint.load(weights.path_of("text"))
    saved.state["sentiment_head.bias"] = saved.state["sentiment_head.bias"].flip(0) + 1
    path = folder / "text.safetensors"
    checkpoint.save(path, TextDimensions(**saved.dims), saved.state, **saved.extra)
    if with_head:
        head = SatisfactionHead.load(weights.path_of("satisfaction"))
        head.text_revision = checkpoint.load(path).revision
        head.save(folder / "satisfaction.safetensors")
    return folder


def used(response: AnalyzeEmotionResponse) -> str:
    """The text model's revision, as the answer states it."""
    return {use.name: use.revision for use in response.metadata.models}["models/text"]


def test_each_answer_is_of_the_model_that_it_names(tmp_path: Path) -> None:
    old = load(Settings())
    new = TextReader.load(made(tmp_path / "new") / "text.safetensors")
    assert old.text is not None
    first = old.text.revision

    async def work(pipeline: Pipeline) -> list[AnalyzeEmotionResponse]:
        answers = [await pipeline.analyze(REQUEST)]
        waiting = [asyncio.create_task(pipeline.analyze(REQUEST)) for _ in range(20)]
        for _ in range(10):
            await asyncio.sleep(0)  # until all have asked for the model
        pipeline.runner.promote(text=new, satisfaction=UnavailableError("of another", "refit it"))
        waiting += [asyncio.create_task(pipeline.analyze(REQUEST)) for _ in range(20)]
        answers += await asyncio.gather(*waiting)
        return answers

    answers = in_process(old, work)
    scores = {
        revision: {round(a.fused.score, 4) for a in answers if used(a) == revision}
        for revision in (first, new.revision)
    }
    assert Counter(map(used, answers)) == {first: 21, new.revision: 20}
    assert all(len(found) == 1 for found in scores.values())
    assert scores[first] != scores[new.revision]
    assert old.missing["satisfaction"].reason == "of another"


def test_a_replaced_model_is_freed_once_its_last_call_has_ended(tmp_path: Path) -> None:
    models = load(Settings())
    new = TextReader.load(made(tmp_path / "new") / "text.safetensors")

    async def work(pipeline: Pipeline) -> tuple[bool, bool]:
        call = Call("long")
        assert pipeline.runner.models_of(call).text is not None
        gone = weakref.ref(pipeline.runner.models_of(call).text)
        pipeline.runner.promote(text=new)
        await pipeline.analyze(REQUEST)
        held = gone() is not None
        del call
        for _ in range(50):
            gc.collect()
            if gone() is None:
                break
            await asyncio.sleep(0.01)
        return held, gone() is None

    assert in_process(models, work) == (True, True)


def revision_of(server: Server) -> str:
    return server.models.GetModel(GetModelRequest(name="models/text")).revision


def wait_for(server: Server, revision: str) -> None:
    give_up = time.monotonic() + 60
    while revision_of(server) != revision:
        assert time.monotonic() < give_up, server.log.read_text()
        time.sleep(0.1)


def test_promote_and_roll_back_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(tmp_path / "registry")
    monkeypatch.setenv("EMOTION_REGISTRY", str(registry.folder))
    version = registry.add("text", made(tmp_path / "new"), CARD)
    bare = registry.add("text", made(tmp_path / "bare", with_head=False), CARD)
    (bare.folder / "text.safetensors").write_bytes(b"altered")
    new = checkpoint.load(version.checkpoint).revision
    first = checkpoint.sha256(weights.path_of("text"))[:12]
    server = start(tmp_path / "log")
    answers: list[AnalyzeEmotionResponse] = []
    failures: list[Exception] = []
    stop = threading.Event()

    def load_it() -> None:
        while not stop.is_set():
            try:
                answers.append(server.emotion.AnalyzeEmotion(REQUEST, timeout=60))
            except Exception as error:
                failures.append(error)

    callers = [threading.Thread(target=load_it) for _ in range(8)]
    try:
        for caller in callers:
            caller.start()
        assert revision_of(server) == first
        registry.promote("text", version.name)
        wait_for(server, new)
        head = server.models.GetModel(GetModelRequest(name="models/satisfaction"))
        assert head.state == Model.READY
        give_up = time.monotonic() + 60
        registry.promote("text", bare.name)  # it cannot be served: what serves goes on
        while "does not match SHA256SUMS" not in server.log.read_text():
            assert time.monotonic() < give_up
            time.sleep(0.1)
        assert revision_of(server) == new
        registry.rollback("text")
        registry.rollback("text")
        wait_for(server, first)
        n_before = len(answers)
        while len(answers) < n_before + 20:
            time.sleep(0.05)
    finally:
        stop.set()
        for caller in callers:
            caller.join()
        server.channel.close()
        status = server.stop()
    assert not failures
    assert status == 0
    assert set(map(used, answers)) == {first, new}
    scores = {(used(answer), round(answer.fused.score, 4)) for answer in answers}
    assert len(scores) == 2
