"""Calls in process, whose events come back in a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from server_process import in_process

from modalities.voice.stream import AudioFile
from server.analysis import Call, Role
from server.calls.events import Event, Utterance
from server.calls.scoring import Policy
from server.calls.session import CallSession
from server.models import Models
from server.pipeline import Pipeline

BOTH = (Role.CUSTOMER, Role.AGENT)


def samples_of(path: Path) -> np.ndarray:
    """(channels, n) at 16 kHz."""
    with AudioFile(path) as file:
        return np.concatenate(list(file.blocks()), axis=1)


async def events_of(session: CallSession, feed: Callable[[], object]) -> list[Event]:
    async with session, asyncio.TaskGroup() as group:
        group.create_task(feed())  # type: ignore[arg-type]
        return [event async for event in session.events()]


def heard(
    loaded: Models,
    samples: np.ndarray,
    block: int,
    roles: Sequence[Role | None] = BOTH,
    policy: Policy | None = None,
    paced: bool = False,
    **options: object,
) -> list[Event]:
    """The events of a call that is fed in blocks; `paced` waits for the answers in between."""

    async def work(pipeline: Pipeline) -> list[Event]:
        session = CallSession(pipeline, Call("test"), roles, policy or Policy(), **options)

        async def feed() -> None:
            for start in range(0, samples.shape[1], block):
                await session.feed(samples[:, start : start + block])
                while paced and len(session._tasks) > 1:  # one delivers
                    await asyncio.sleep(0.001)
            await session.finish()

        return await events_of(session, feed)

    return in_process(loaded, work)


def final(events: Sequence[Event]) -> list[Utterance]:
    return [event for event in events if isinstance(event, Utterance) and event.is_final]
