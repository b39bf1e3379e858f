"""Where a request's work runs: CPU steps in bounded threads, models behind their queues.

A request, or a live call, is answered by the models that were there when it first asked for one,
to its end: a model that is promoted meanwhile is for those that come later. What prepared an item
then also infers it, and the revisions in the answer's metadata are those that made it.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch

from modalities.errors import InputError, LimitError, OverloadedError, UnavailableError
from modalities.reading import Modality
from server.analysis import Call
from server.engine import Batch, BatchQueue
from server.models import Models
from server.observe import metrics
from server.observe.threads import Threads
from server.settings import Settings

if TYPE_CHECKING:
    from server.ray_engine.engine import RayEngine

Result = TypeVar("Result")

WHOLE_REQUEST = (LimitError, OverloadedError, TimeoutError)  # never one modality's affair
NAMES = ("text", "voice", "image", "fusion")
# Its operations are so small that a second thread does more at another batch than at the same.
ONE_THREAD_A_BATCH = "text"
MAX_EXPLANATIONS = 8  # waiting or under way
FAILING = 3  # batches of a model, one after another and to the last item, after which it is ill


class Queue(Protocol):
    """What stands before a model, as `server.engine.BatchQueue` does."""

    model: Any

    async def infer(self, items: Sequence[Any], deadline: float | None = None) -> list[Any]: ...

    async def close(self) -> None: ...

    def expected_wait_s(self) -> float: ...

    @property
    def queued_items(self) -> int: ...

    @property
    def queued_cost(self) -> float: ...

    @property
    def oldest_age_s(self) -> float: ...


@dataclass(frozen=True, eq=False)
class _Served:
    """A model behind its queue, which ends once nobody holds this any more."""

    queue: Queue


@dataclass(frozen=True, eq=False)
class Generation:
    """The models of a time, as the calls that began in it see them."""

    models: Models
    served: Mapping[str, _Served]


class Runner:
    """Belongs to the event loop in which it was made. `models` are those that a new call gets."""

    def __init__(self, models: Models, settings: Settings) -> None:
        self.models, self.settings = models, settings
        self._loop = asyncio.get_running_loop()
        # Apart, so that no text waits for a picture: reading one takes a thousand times longer.
        self._threads = {
            modality: Threads(settings.prepare_threads, f"prepare-{modality}")
            for modality in Modality
        }
        # Calls have their own: a long recording that is decoded must not hold up a live one.
        self._listeners = Threads(settings.prepare_threads, "listen")
        # And so has what takes gradients, a hundred times the work of an answer.
        self._explainer = Threads(1, "explain")
        self._explaining = 0
        self._ray = _ray_engine(settings) if settings.engine == "ray" else None
        self._failed: Counter[str] = Counter()  # batches since one had an answer
        self._open: dict[Queue, weakref.finalize[Any, Any]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        served = {
            name: self._serve(name, model)
            for name in NAMES
            if (model := getattr(models, name)) is not None
        }
        self._now = Generation(replace(models, missing=dict(models.missing)), served)

    def models_of(self, call: Call) -> Models:
        """The models that answer `call`: what becomes of it is asked of these, not of `models`."""
        return self._generation(call).models

    async def ready(self, **parts: Any) -> None:
        """Once these models could answer; at once where they run in this process. Raises
        UnavailableError where they cannot be started elsewhere."""
        if self._ray is not None:
            await self._ray.ready(parts)

    def promote(self, **parts: Any) -> None:
        """Serve these in place of the models of their names; calls that have begun keep theirs.

        A part that is given as an UnavailableError is missing from now on.
        """
        served = dict(self._now.served)
        for name, part in parts.items():
            absent = isinstance(part, UnavailableError)
            setattr(self.models, name, None if absent else part)
            self.models.missing.pop(name, None)
            self._failed.pop(name, None)  # batches of the model before it
            before = served.pop(name, None)
            if absent:
                self.models.missing[name] = part
            elif name in NAMES:
                if before is not None:  # measured for this machine at the start
                    part.max_batch_cost = before.queue.model.max_batch_cost
                served[name] = self._serve(name, part)
        models = replace(self.models, missing=dict(self.models.missing))
        self._now = Generation(models, served)

    async def prepare(self, call: Call, modality: Modality, work: Callable[[], Result]) -> Result:
        """`work` in a thread; raises TimeoutError where the deadline passes before it starts."""
        with call.stage(f"{modality}.prepare"):
            return await asyncio.get_running_loop().run_in_executor(
                self._threads[modality], _unless_late, call, work
            )

    def at_once(self, call: Call, modality: Modality, work: Callable[[], Result]) -> Result:
        """As `prepare`, in this thread: for what takes no longer than to hand it to another."""
        with call.stage(f"{modality}.prepare"):
            return _unless_late(call, work)

    async def listen(self, work: Callable[[], Result]) -> Result:
        """A short piece of `work` on a call's audio, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._listeners, work)

    async def explain(self, call: Call, work: Callable[[], Result]) -> Result:
        """`work` that takes gradients, in the one thread for it; raises OverloadedError where too
        much of it waits, and as `prepare`."""
        if self._explaining >= MAX_EXPLANATIONS:
            raise OverloadedError("too many explanations are under way", 1.0)
        self._explaining += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._explainer, _unless_late, call, work
            )
        finally:
            self._explaining -= 1

    async def infer(self, call: Call, name: str, items: Sequence[Any]) -> list[Any]:
        """Results of model `name`; raises UnavailableError where it is missing, and as
        `BatchQueue.infer`."""
        generation = self._generation(call)
        if name not in generation.served:
            raise generation.models.missing[name]
        with call.stage(f"{name}.infer"):
            return await generation.served[name].queue.infer(items, call.deadline)

    @property
    def failing(self) -> list[str]:
        """Parts (of NAMES) whose last batches failed whole, FAILING of them or more."""
        return [name for name, n in self._failed.items() if n >= FAILING]

    def _batch_ended(self, part: str, batch: Batch) -> None:
        metrics.batch_ended(batch)
        self._failed[part] = self._failed[part] + 1 if batch.failed == batch.items else 0

    def queues(self) -> list[tuple[str, Queue | Threads]]:
        """What waits, by stage; from any thread, for the metrics."""
        threads = ((f"{modality}.prepare", line) for modality, line in self._threads.items())
        models = ((f"{queue.model.name}.infer", queue) for queue in tuple(self._open))
        return [*threads, ("listen", self._listeners), ("explain", self._explainer), *models]

    async def close(self) -> None:
        """Finish what was accepted."""
        queues, self._open = self._open, {}
        for unneeded in queues.values():
            unneeded.detach()  # it holds this runner, and with it all models, for ever
        await asyncio.gather(*self._closing, *(queue.close() for queue in queues))
        if self._ray is not None:
            await asyncio.to_thread(self._ray.close)
        for threads in self._threads.values():
            threads.shutdown()
        self._listeners.shutdown()
        self._explainer.shutdown()

    def _generation(self, call: Call) -> Generation:
        if call.generation is None:
            call.generation = self._now
        return call.generation

    def _serve(self, name: str, model: Any) -> _Served:
        queue: Queue
        if self._ray is not None and name in self._ray.remote:
            queue = self._ray.queue(name, model, partial(self._batch_ended, name))
        else:
            apart = name == ONE_THREAD_A_BATCH and self.models.device == "cpu"
            queue = BatchQueue[Any, Any](
                model,
                max_queued_batches=self.settings.max_queued_batches,
                batch_wait_s=self.settings.batch_wait_ms / 1000,
                threads=torch.get_num_threads() if apart else None,
                on_batch=partial(self._batch_ended, name),
            )
        served = _Served(queue)
        # The last call that holds it may be let go in any thread, or after the loop has ended.
        self._open[queue] = weakref.finalize(served, self._unneeded, queue)
        self._open[queue].atexit = False
        return served

    def _unneeded(self, queue: Queue) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end, queue)

    def _end(self, queue: Queue) -> None:
        if queue in self._open:
            del self._open[queue]
            task = self._loop.create_task(queue.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


def _ray_engine(settings: Settings) -> RayEngine:
    from server.ray_engine.engine import RayEngine  # the extra is not always there

    return RayEngine(settings)


def _unless_late(call: Call, work: Callable[[], Result]) -> Result:
    if call.deadline is not None and time.monotonic() > call.deadline:
        raise TimeoutError("the deadline passed before the content was looked into")
    return work()


async def together(work: Sequence[Awaitable[Result]]) -> list[Result]:
    """All results in order; the first error ends the others and is raised as it is.

    Not a TaskGroup: that raises an error which meets a cancellation in its place.
    """
    if not work:
        return []
    if len(work) == 1:
        return [await work[0]]
    tasks = [asyncio.ensure_future(awaitable) for awaitable in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if task in done and not task.cancelled() and (error := task.exception()):
            raise error
    return [task.result() for task in tasks]


@contextmanager
def naming(field: str) -> Iterator[None]:
    """Fill in the field of an InputError whose raiser could not know it."""
    try:
        yield
    except InputError as error:
        error.field = error.field or field
        raise
