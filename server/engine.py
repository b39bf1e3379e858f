"""The engine: a bounded queue and its own threads a model, requests' items batched together.

A batch always holds the oldest item, and beside it those nearest to it in cost, so that little
is padding and nothing starves. Clipper (Crankshaw et al., NSDI 2017, §4.3) batches so under a
deadline; here the bound is the padded cost of a batch, longest item × items.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from modalities.errors import OverloadedError
from modalities.model import BatchModel

Item = TypeVar("Item")
Result = TypeVar("Result")

_SETTING = threading.Lock()
_DECAY = 0.9  # weight of a batch's measured time against that of the next one


@dataclass(eq=False)
class _Entry(Generic[Item, Result]):
    item: Item
    cost: float
    arrived: float  # time.monotonic()
    deadline: float | None  # time.monotonic(), as all times here
    future: asyncio.Future[Result]


@dataclass(frozen=True)
class Batch:
    """What became of one batch; costs in the model's unit."""

    model: str
    items: int
    cost: float
    padded_cost: float  # of the longest item times the items
    waited_s: float  # the oldest item, in the queue
    ran_s: float
    failed: int  # items


class Pace:
    """Seconds of a batch ≈ base + slope · cost: least squares over the batches that were run,
    the last ones counting most. A plain mean of seconds per cost would take the overhead of
    small batches for the price of large ones, and refuse what there is time for."""

    def __init__(self) -> None:
        self._n = self._x = self._y = self._xx = self._xy = 0.0

    def add(self, cost: float, seconds: float) -> None:
        self._n = _DECAY * self._n + 1
        self._x = _DECAY * self._x + cost
        self._y = _DECAY * self._y + seconds
        self._xx = _DECAY * self._xx + cost * cost
        self._xy = _DECAY * self._xy + cost * seconds

    def estimate_s(self, cost: float, batches: float) -> float:
        """Seconds for `cost` run in so many batches; 0 before the first measurement."""
        if not self._n:
            return 0.0
        variance = self._xx - self._x * self._x / self._n
        covariance = self._xy - self._x * self._y / self._n
        slope = max(0.0, covariance / variance) if variance > 1e-9 * self._xx else 0.0
        base = max(0.0, (self._y - slope * self._x) / self._n)
        return batches * base + slope * cost


class BatchQueue(Generic[Item, Result]):
    """The queue of one model; belongs to the event loop in which it was made.

    Its thread takes batch after batch by itself: while the loop deals with the results of one, the
    next is under way. With `threads` there are so many, each at a batch of its own for which torch
    uses no other; without, one, for which torch uses all that it has. `on_batch` is told of each
    batch, in the loop, and raises nothing. A batch that the device's memory does not hold is
    halved, and so is the model's `max_batch_cost` from then on.
    """

    def __init__(
        self,
        model: BatchModel[Item, Result],
        *,
        max_queued_batches: int,
        batch_wait_s: float,
        threads: int | None = None,
        on_batch: Callable[[Batch], None] | None = None,
    ) -> None:
        self.model = model
        self.max_queued_cost = max_queued_batches * model.max_batch_cost
        self.batch_wait_s = batch_wait_s
        self.on_batch = on_batch
        self.pace = Pace()
        self._loop = asyncio.get_running_loop()
        self._pending: list[_Entry[Item, Result]] = []  # in order of arrival
        self._running: list[float] = []  # costs of the batches under way
        self._closed = self._is_waking = False
        self._changed = threading.Condition()  # its lock is held where the above is written
        self._threads = [
            threading.Thread(
                target=self._work, args=(threads is not None,), name=f"infer-{model.name}-{n}",
                daemon=True,
            )
            for n in range(threads or 1)
        ]  # fmt: skip
        for thread in self._threads:
            thread.start()

    async def infer(self, items: Sequence[Item], deadline: float | None = None) -> list[Result]:
        """Results in the order of `items`, all of which are queued at once or none.

        Raises OverloadedError where there is no room, or where the answer would come after
        `deadline` (time.monotonic()); TimeoutError where the deadline passes in the queue; and
        what the model raises on one of these items, never on another caller's.
        """
        if not items:
            return []
        costs = [self.model.cost(item) for item in items]
        self._admit(sum(costs), deadline)
        now = time.monotonic()
        entries = [
            _Entry[Item, Result](item, cost, now, deadline, self._loop.create_future())
            for item, cost in zip(items, costs, strict=True)
        ]
        with self._changed:
            self._pending += entries
        if not self._is_waking:
            # Once all that is ready to ask has asked, so that it shares a batch.
            self._is_waking = True
            self._loop.call_soon(self._wake)
        try:
            if len(entries) == 1:
                return [await entries[0].future]
            return await asyncio.gather(*(entry.future for entry in entries))
        finally:  # a caller that gives up, or whose item failed, wants none of the others
            for entry in entries:
                if entry.future.done() and not entry.future.cancelled():
                    entry.future.exception()  # seen, so that asyncio does not log it
                else:
                    entry.future.cancel()

    async def close(self) -> None:
        """Refuse new items, finish those that were accepted, end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def expected_wait_s(self) -> float:
        """Seconds until an item that arrives now would be taken, by what batches have taken."""
        return self._wait_s(self.queued_cost)

    def _wait_s(self, queued_cost: float) -> float:
        cost = queued_cost + sum(self._running)
        batches = math.ceil(cost / self.model.max_batch_cost)
        return self.pace.estimate_s(cost, batches) / len(self._threads)

    @property
    def queued_items(self) -> int:
        """Those that wait, without the batch that runs."""
        return sum(not entry.future.done() for entry in self._pending)

    @property
    def queued_cost(self) -> float:
        return sum(entry.cost for entry in self._pending if not entry.future.done())

    @property
    def oldest_age_s(self) -> float:
        """For how long the oldest item has waited; 0 where none does."""
        arrived = (entry.arrived for entry in self._pending if not entry.future.done())
        oldest = next(arrived, None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    def _admit(self, cost: float, deadline: float | None) -> None:
        if self._closed:
            raise OverloadedError("the service is stopping", 1.0)
        queued = self.queued_cost
        wait_s = self._wait_s(queued)
        # A request that is larger than the whole queue may still have an empty one to itself.
        if queued and queued + cost > self.max_queued_cost:
            raise OverloadedError(f"the queue of model {self.model.name} is full", max(wait_s, 0.1))
        if deadline is not None and time.monotonic() + wait_s > deadline:
            raise OverloadedError("the answer would come after the deadline", max(wait_s, 0.1))

    def _wake(self) -> None:
        with self._changed:
            self._is_waking = False
            self._changed.notify()

    def _ended(
        self, batch: list[_Entry[Item, Result]], outcomes: list[Result | _Failure], told: Batch
    ) -> None:
        self.pace.add(told.cost, told.ran_s)
        for entry, outcome in zip(batch, outcomes, strict=True):
            if entry.future.done():
                continue
            if isinstance(outcome, _Failure):
                entry.future.set_exception(outcome.error)
            else:
                entry.future.set_result(outcome)
        if self.on_batch is not None:
            self.on_batch(told)

    # What follows runs in the threads.

    def _work(self, alone: bool) -> None:
        if alone:
            _use_no_other_thread()
        while batch := self._next():
            started = time.monotonic()
            outcomes = self._infer(batch)
            cost = _cost(batch)
            told = Batch(
                model=self.model.name,
                items=len(batch),
                cost=cost,
                padded_cost=_padded_cost(batch),
                waited_s=started - min(entry.arrived for entry in batch),
                ran_s=time.monotonic() - started,
                failed=sum(isinstance(outcome, _Failure) for outcome in outcomes),
            )
            with self._changed:
                self._running.remove(cost)
            self._tell(self._ended, batch, outcomes, told)

    def _tell(self, callback: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # of a loop that was closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _next(self) -> list[_Entry[Item, Result]]:
        """The next batch, once there is one; none once the queue is closed and empty."""
        with self._changed:
            while True:
                self._drop_dead()
                batch = self._choose()
                if not batch and self._closed:
                    return []
                left_s = None  # until something comes
                if batch:
                    left_s = batch[0].arrived + self.batch_wait_s - time.monotonic()
                    # All that is queued fits in one batch: more may come to share it.
                    if left_s <= 0 or len(batch) < len(self._pending) or self._closed:
                        break
                self._changed.wait(left_s)
            taken = set(map(id, batch))
            self._pending = [entry for entry in self._pending if id(entry) not in taken]
            self._running.append(_cost(batch))
            if self._pending:
                self._changed.notify()
        return batch

    def _drop_dead(self) -> None:
        """Of what waits: whoever gave up, and whatever is too late."""
        now = time.monotonic()
        waiting = [entry for entry in self._pending if not entry.future.done()]
        late = [entry for entry in waiting if entry.deadline is not None and entry.deadline < now]
        if late:
            self._tell(_refuse, late)
            waiting = [entry for entry in waiting if entry not in late]
        self._pending = waiting

    def _choose(self) -> list[_Entry[Item, Result]]:
        """The oldest entry and its nearest in cost, within the model's padded cost, and no more
        than this thread's share of what waits: else one would take all, and the others none."""
        if not self._pending:
            return []
        share = math.ceil(len(self._pending) / (len(self._threads) - len(self._running)))
        oldest, *others = self._pending
        others.sort(key=lambda entry: abs(entry.cost - oldest.cost))  # stable: older first
        batch, longest = [oldest], oldest.cost
        for entry in others:
            longest_then = max(longest, entry.cost)
            if len(batch) < share and longest_then * (len(batch) + 1) <= self.model.max_batch_cost:
                batch.append(entry)
                longest = longest_then
        return batch

    def _infer(self, batch: list[_Entry[Item, Result]]) -> list[Result | _Failure]:
        """Results, a _Failure for an item that fails also alone: a failed batch is halved."""
        try:
            results = self.model.infer([entry.item for entry in batch])
            if len(results) != len(batch):
                raise RuntimeError(
                    f"model {self.model.name} gave {len(results)} for {len(batch)} items"
                )
            return list(results)
        except torch.OutOfMemoryError:  # kept by nothing: its traceback holds the tensors
            error: Exception = OverloadedError("the device's memory does not hold it", 1.0)
            if len(batch) > 1:
                half_cost = _padded_cost(batch) / 2
                self.model.max_batch_cost = min(self.model.max_batch_cost, half_cost)
        except Exception as failure:
            error = failure
        except BaseException as failure:  # SystemExit, say: it would end the event loop
            error = RuntimeError(f"model {self.model.name} raised {type(failure).__name__}")
        if isinstance(error, OverloadedError):
            torch.cuda.empty_cache()
        if len(batch) == 1:
            return [_Failure(error)]
        half = len(batch) // 2
        return self._infer(batch[:half]) + self._infer(batch[half:])


def _use_no_other_thread() -> None:
    """In torch's work for this one. What it sets is of the caller and of threads that are yet to
    begin; for those another one sets back what was."""
    with _SETTING:  # the next one would take 1 for what was
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        another = threading.Thread(target=torch.set_num_threads, args=(before,))
        another.start()
        another.join()


@dataclass(frozen=True)
class _Failure:
    error: Exception


def _refuse(late: Sequence[_Entry[Any, Any]]) -> None:
    for entry in late:
        if not entry.future.done():
            entry.future.set_exception(TimeoutError("the deadline passed in the queue"))


def _cost(batch: Sequence[_Entry[Any, Any]]) -> float:
    return sum(entry.cost for entry in batch)


def _padded_cost(batch: Sequence[_Entry[Any, Any]]) -> float:
    return max(entry.cost for entry in batch) * len(batch)
