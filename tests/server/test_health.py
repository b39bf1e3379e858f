"""A service whose model fails whatever it gets is NOT_SERVING until the model answers again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio

from modalities.errors import UnavailableError
from modalities.text.prepare import Window
from server import health
from server.analysis import Call
from server.models import Models
from server.runner import FAILING, NAMES, Runner
from server.settings import Settings

SERVICE = "emotion.v1.EmotionService"
STATUS = health_pb2.HealthCheckResponse


class Lost:
    """A model on a device that may be lost."""

    def __init__(self, model: Any) -> None:
        self.is_lost, self._infer = False, model.infer
        model.infer = self.infer

    def infer(self, items: Sequence[Any]) -> Any:
        if self.is_lost:
            raise RuntimeError("the device is lost")
        return self._infer(items)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOK_S", 0.01)
    monkeypatch.setattr(health, "TRIAL_S", 0.05)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await holds():
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("name", NAMES)
def test_health_follows_a_model(name: str, loaded: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    model = getattr(loaded, name)
    monkeypatch.setattr(model, "infer", model.infer)  # is put back afterwards
    device = Lost(model)
    item = health.item_for(name, model)

    async def work() -> None:
        runner, servicer = Runner(replace(loaded), Settings()), health_aio.HealthServicer()
        await servicer.set(SERVICE, STATUS.SERVING)

        async def is_told(status: int) -> bool:
            request = health_pb2.HealthCheckRequest(service=SERVICE)
            return bool((await servicer.Check(request, None)).status == status)

        following = asyncio.create_task(health.follow(runner, servicer, [SERVICE]))
        try:
            await runner.infer(Call("good"), name, [item])
            device.is_lost = True
            for n in range(FAILING):
                assert not runner.failing and await is_told(STATUS.SERVING), n
                with pytest.raises(RuntimeError, match="lost"):
                    await runner.infer(Call("bad"), name, [item])
            assert runner.failing == [name]
            await until(lambda: is_told(STATUS.NOT_SERVING))
            device.is_lost = False
            await until(lambda: is_told(STATUS.SERVING))
        finally:
            following.cancel()
            await runner.close()

    asyncio.run(work())


def test_one_bad_item_among_good_ones_says_nothing(
    loaded: Models,
) -> None:
    assert loaded.text is not None
    good: Any = loaded.text.prepare("hello")

    async def work() -> None:
        runner = Runner(replace(loaded), Settings())
        for _ in range(FAILING + 1):
            found = await asyncio.gather(
                runner.infer(Call("good"), "text", [good]),
                runner.infer(Call("bad"), "text", [replace(good, windows=(Window((-1,)),))]),
                return_exceptions=True,
            )
            assert not isinstance(found[0], BaseException)
            assert isinstance(found[1], Exception)
        assert not runner.failing
        await runner.close()

    asyncio.run(work())


def test_a_model_that_is_taken_away_is_not_ill(loaded: Models) -> None:
    assert loaded.text is not None
    bad: Any = replace(loaded.text.prepare("hello"), windows=(Window((-1,)),))

    async def work() -> None:
        runner = Runner(replace(loaded, missing=dict(loaded.missing)), Settings())
        for _ in range(FAILING):
            with pytest.raises(Exception, match="index"):
                await runner.infer(Call("bad"), "text", [bad])
        assert runner.failing == ["text"]
        runner.promote(text=UnavailableError("it was taken away", "bring it back"))
        assert not runner.failing
        await runner.close()

    asyncio.run(work())
