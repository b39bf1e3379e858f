"""Health follows the models: a service whose model fails on whatever it gets is NOT_SERVING, until
the model answers again.

A model that raises fails its items and takes the next ones, so one bad item says nothing. Where
whole batches fail one after another, as on a device that is lost, requests are better sent
elsewhere; then nothing comes any more that could show that it answers again, so it is tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from grpc_health.v1 import health, health_pb2

from modalities.image.infer import VisionItem
from modalities.reading import Quality, Reading, Source
from modalities.voice.prepare import Segment
from modalities.voice.stream import SAMPLE_RATE_HZ
from server.analysis import Call
from server.logs import LOG
from server.runner import Runner

LOOK_S, TRIAL_S = 1.0, 5.0
STATUS = health_pb2.HealthCheckResponse


async def follow(runner: Runner, servicer: health.aio.HealthServicer, names: Sequence[str]) -> None:
    """Until it is cancelled, set the health of the services `names`."""
    is_well, untried_s = True, 0.0
    while True:
        await asyncio.sleep(LOOK_S)
        untried_s += LOOK_S
        if runner.failing and untried_s >= TRIAL_S:
            await asyncio.gather(*(_try(runner, name) for name in runner.failing))
            untried_s = 0.0
        if bool(runner.failing) is is_well:
            is_well = not is_well
            if is_well:
                LOG.info("models answer again")
            else:
                LOG.warning("models fail", extra={"models": runner.failing})
            for name in names:
                await servicer.set(name, STATUS.SERVING if is_well else STATUS.NOT_SERVING)


async def _try(runner: Runner, name: str) -> None:
    model = getattr(runner.models, name)
    try:
        await runner.infer(Call("trial"), name, [item_for(name, model)])
    except Exception:  # of a kind that nobody knows; the batch is counted
        LOG.exception("model still fails", extra={"model": name})


def item_for(part: str, model: Any) -> Any:
    """Something small that `model`, that of `part`, can infer."""
    if part == "text":
        return model.prepare("hello")
    if part == "voice":
        return Segment(np.zeros(SAMPLE_RATE_HZ, np.float32), 0.0, 1.0, 0.0)
    if part == "image":
        return VisionItem(np.zeros((model.size, model.size, 3), np.uint8), Quality())
    sentiment, emotions = (np.full(n, -np.log(n), np.float32) for n in (3, 7))
    return [Reading(Source.TEXT, sentiment, emotions, np.zeros(1, np.float32))]
