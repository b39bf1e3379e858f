"""Where a request's work runs: CPU steps in bounded threads, models behind their queues."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from modalities.errors import InputError, LimitError, OverloadedError
from modalities.reading import Modality
from server.analysis import Call
from server.engine import BatchQueue
from server.models import Models
from server.settings import Settings

Result = TypeVar("Result")

WHOLE_REQUEST = (LimitError, OverloadedError, TimeoutError)  # never one modality's affair
NAMES = ("text", "voice", "image", "fusion")


class Runner:
    """Belongs to the event loop in which it was made."""

    def __init__(self, models: Models, settings: Settings) -> None:
        self.models, self.settings = models, settings
        # Apart, so that no text waits for a picture: reading one takes a thousand times longer.
        self._threads = {
            modality: ThreadPoolExecutor(settings.prepare_threads, f"prepare-{modality}")
            for modality in Modality
        }
        # Calls have their own: a long recording that is decoded must not hold up a live one.
        self._listeners = ThreadPoolExecutor(settings.prepare_threads, "listen")
        self._queues = {
            name: BatchQueue[Any, Any](
                model,
                max_queued_batches=settings.max_queued_batches,
                batch_wait_s=settings.batch_wait_ms / 1000,
            )
            for name in NAMES
            if (model := getattr(models, name)) is not None
        }

    async def prepare(self, call: Call, modality: Modality, work: Callable[[], Result]) -> Result:
        """`work` in a thread; raises TimeoutError where the deadline passes before it starts."""

        def unless_late() -> Result:
            if call.deadline is not None and time.monotonic() > call.deadline:
                raise TimeoutError("the deadline passed before the content was looked into")
            return work()

        with call.stage(f"{modality}.prepare"):
            return await asyncio.get_running_loop().run_in_executor(
                self._threads[modality], unless_late
            )

    async def listen(self, work: Callable[[], Result]) -> Result:
        """A short piece of `work` on a call's audio, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._listeners, work)

    async def infer(self, call: Call, name: str, items: Sequence[Any]) -> list[Any]:
        """Results of model `name`; raises UnavailableError where it is missing, and as
        `BatchQueue.infer`."""
        if name not in self._queues:
            raise self.models.missing[name]
        with call.stage(f"{name}.infer"):
            return await self._queues[name].infer(items, call.deadline)

    async def close(self) -> None:
        """Finish what was accepted."""
        await asyncio.gather(*(queue.close() for queue in self._queues.values()))
        for threads in self._threads.values():
            threads.shutdown()
        self._listeners.shutdown()


async def together(work: Sequence[Awaitable[Result]]) -> list[Result]:
    """All results in order; the first error ends the others and is raised as it is."""

    async def one(awaitable: Awaitable[Result]) -> Result:
        return await awaitable

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(awaitable)) for awaitable in work]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


@contextmanager
def naming(field: str) -> Iterator[None]:
    """Fill in the field of an InputError whose raiser could not know it."""
    try:
        yield
    except InputError as error:
        error.field = error.field or field
        raise
