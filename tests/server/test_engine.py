"""The engine on a real torch model, small enough to run in a moment and made to be watched."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pytest
import torch
from torch import nn

from modalities.errors import OverloadedError
from server.engine import Batch, BatchQueue, Pace

Answer = TypeVar("Answer")


class PoisonError(Exception):
    """What the model raises on a batch that holds a poisoned item."""


class MeanModel:
    """Means of vectors of mixed lengths by a real layer; a NaN in an item poisons its batch."""

    name = "mean"
    revision = "test"
    max_batch_cost = 64.0

    def __init__(self) -> None:
        self.batches: list[list[int]] = []  # lengths of the items of each batch
        self.threads: set[int] = set()
        self.of_torch = 0  # threads that it may use where `infer` runs
        self.memory = 10_000  # padded cost that `infer` has room for
        self.gate = threading.Event()  # `infer` waits for it
        self.gate.set()
        self.entered = threading.Event()
        self.layer = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.layer.weight, 2.0)

    def cost(self, item: list[float]) -> float:
        return float(len(item))

    @torch.inference_mode()
    def infer(self, items: Sequence[list[float]]) -> list[float]:
        self.entered.set()
        assert self.gate.wait(10)
        self.threads.add(threading.get_ident())
        self.of_torch = torch.get_num_threads()
        self.batches.append([len(item) for item in items])
        padded = nn.utils.rnn.pad_sequence([torch.tensor(item) for item in items], True)
        if padded.isnan().any():
            raise PoisonError
        if padded.isinf().any():
            raise SystemExit(1)
        if padded.numel() > self.memory:
            raise torch.OutOfMemoryError
        sums = self.layer(padded.sum(1, keepdim=True)).squeeze(1)  # (b,)
        return [float(total) / len(item) for total, item in zip(sums, items, strict=True)]


def run(
    model: MeanModel,
    work: Callable[[BatchQueue[list[float], float]], Awaitable[Answer]],
    *,
    batch_wait_s: float = 0.02,
    max_queued_batches: int = 8,
    threads: int | None = None,
    on_batch: Callable[[Batch], None] | None = None,
) -> Answer:
    async def main() -> Answer:
        queue = BatchQueue(
            model,
            max_queued_batches=max_queued_batches,
            batch_wait_s=batch_wait_s,
            threads=threads,
            on_batch=on_batch,
        )
        try:
            return await work(queue)
        finally:
            model.gate.set()
            await queue.close()

    return asyncio.run(main())


async def entered(model: MeanModel) -> None:
    """Until the model is at work on a batch."""
    assert await asyncio.to_thread(model.entered.wait, 10)


def vector(length: int, value: float = 1.0) -> list[float]:
    return [value] * length


def test_callers_share_a_batch_and_get_their_own_results() -> None:
    model = MeanModel()
    answers = run(
        model,
        lambda queue: asyncio.gather(*(queue.infer([vector(3, float(v))]) for v in range(5))),
    )
    assert answers == [[0.0], [2.0], [4.0], [6.0], [8.0]]
    assert model.batches == [[3] * 5]
    assert model.threads.isdisjoint({threading.get_ident()})


def test_results_keep_the_order_of_the_items() -> None:
    lengths = [30, 1, 17, 2, 40, 5]
    answers = run(
        MeanModel(),
        lambda queue: queue.infer([vector(n, float(i)) for i, n in enumerate(lengths)]),
    )
    assert answers == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]


def test_no_items_no_batch() -> None:
    model = MeanModel()
    assert run(model, lambda queue: queue.infer([])) == []
    assert model.batches == []


def test_padded_cost_of_a_batch_is_bounded() -> None:
    model = MeanModel()
    run(model, lambda queue: queue.infer([vector(n) for n in (1, 30, 2, 31, 8, 8, 16, 64, 3)]))
    assert sorted(n for batch in model.batches for n in batch) == [1, 2, 3, 8, 8, 16, 30, 31, 64]
    for batch in model.batches:
        assert max(batch) * len(batch) <= model.max_batch_cost


def test_an_item_over_the_bound_runs_alone() -> None:
    model = MeanModel()
    assert run(model, lambda queue: queue.infer([vector(100, 3.0)])) == [6.0]
    assert model.batches == [[100]]


def test_the_oldest_item_is_always_in_the_next_batch() -> None:
    """A long item behind which short ones keep coming: nearness in cost must not starve it."""
    model = MeanModel()

    async def work(queue: BatchQueue[list[float], float]) -> None:
        model.gate.clear()
        first = asyncio.create_task(queue.infer([vector(1)]))
        await entered(model)
        long = asyncio.create_task(queue.infer([vector(60)]))
        await asyncio.sleep(0)
        short = [asyncio.create_task(queue.infer([vector(2)])) for _ in range(40)]
        await asyncio.sleep(0)
        model.gate.set()
        await asyncio.gather(first, long, *short)

    run(model, work)
    assert model.batches[0] == [1]
    assert model.batches[1] == [60]


def test_nearest_in_cost_share_the_oldest_ones_batch() -> None:
    model = MeanModel()
    run(model, lambda queue: queue.infer([vector(n) for n in (10, 1, 11, 32, 12, 2, 9, 13)]))
    assert sorted(model.batches[0]) == [2, 9, 10, 11, 12]  # 12 × 5 ≤ 64; 13 would not fit


def test_a_failed_batch_is_halved_until_one_item_fails_alone() -> None:
    model = MeanModel()

    async def work(queue: BatchQueue[list[float], float]) -> list[list[float] | BaseException]:
        items = [vector(4, float("nan") if i == 3 else float(i)) for i in range(8)]
        return await asyncio.gather(*(queue.infer([i]) for i in items), return_exceptions=True)

    answers = run(model, work)
    assert isinstance(answers.pop(3), PoisonError)
    assert answers == [[0.0], [2.0], [4.0], [8.0], [10.0], [12.0], [14.0]]
    assert [len(batch) for batch in model.batches] == [8, 4, 2, 2, 1, 1, 4]


def test_one_callers_bad_item_fails_that_caller_only() -> None:
    async def work(queue: BatchQueue[list[float], float]) -> list[list[float] | BaseException]:
        bad = queue.infer([vector(2), vector(2, float("nan"))])
        return await asyncio.gather(bad, queue.infer([vector(2)]), return_exceptions=True)

    bad, good = run(MeanModel(), work)
    assert isinstance(bad, PoisonError)
    assert good == [2.0]


def test_a_model_that_exits_fails_its_item_and_the_queue_lives_on() -> None:
    async def work(queue: BatchQueue[list[float], float]) -> list[list[float] | BaseException]:
        items = [vector(2, float("inf")), vector(2)]
        found = await asyncio.gather(*(queue.infer([i]) for i in items), return_exceptions=True)
        return [*found, await queue.infer([vector(3)])]

    bad, beside, after = run(MeanModel(), work)
    assert isinstance(bad, RuntimeError) and "SystemExit" in str(bad)
    assert beside == after == [2.0]


def test_out_of_memory_halves_the_batch_and_the_ones_after_it() -> None:
    model, told = MeanModel(), list[Batch]()
    model.memory = 20

    async def work(queue: BatchQueue[list[float], float]) -> list[list[float]]:
        first = await queue.infer([vector(4, float(v)) for v in range(16)])
        second = await queue.infer([vector(4, float(v)) for v in range(16)])
        with pytest.raises(OverloadedError):
            await queue.infer([vector(30)])
        return [first, second]

    first, second = run(model, work, on_batch=told.append)
    assert first == second == [2.0 * v for v in range(16)]
    assert model.max_batch_cost == 16
    assert [len(batch) for batch in model.batches] == [16, 8, 4, 4, 8, 4, 4, *[4] * 4, 1]
    assert [batch.failed for batch in told] == [0] * 5 + [1]


def test_each_batch_is_told_of_and_the_queue_is_seen() -> None:
    model, told = MeanModel(), list[Batch]()

    async def work(queue: BatchQueue[list[float], float]) -> None:
        model.gate.clear()
        first = asyncio.create_task(queue.infer([vector(1, float("nan"))]))
        await entered(model)
        assert (queue.queued_items, queue.queued_cost, queue.oldest_age_s) == (0, 0.0, 0.0)
        waiting = asyncio.create_task(queue.infer([vector(3), vector(5)]))
        await asyncio.sleep(0.01)
        assert (queue.queued_items, queue.queued_cost) == (2, 8.0)
        age_s = queue.oldest_age_s
        assert 0.01 <= age_s <= queue.oldest_age_s
        model.gate.set()
        with pytest.raises(PoisonError):
            await first
        await waiting

    run(model, work, on_batch=told.append)
    failed, ran = told
    assert (failed.items, failed.failed) == (1, 1)
    assert (ran.model, ran.items, ran.cost, ran.padded_cost, ran.failed) == ("mean", 2, 8, 10, 0)
    assert ran.waited_s >= 0.01 and ran.ran_s > 0


def test_a_cancelled_item_never_reaches_the_model() -> None:
    model = MeanModel()

    async def work(queue: BatchQueue[list[float], float]) -> None:
        model.gate.clear()
        first = asyncio.create_task(queue.infer([vector(1)]))
        await entered(model)
        dropped = asyncio.create_task(queue.infer([vector(7)]))
        kept = asyncio.create_task(queue.infer([vector(5)]))
        await asyncio.sleep(0)
        dropped.cancel()
        model.gate.set()
        await asyncio.gather(first, kept)
        with pytest.raises(asyncio.CancelledError):
            await dropped

    run(model, work)
    assert model.batches == [[1], [5]]


def test_an_item_whose_deadline_passes_in_the_queue_is_dropped() -> None:
    model = MeanModel()

    async def work(queue: BatchQueue[list[float], float]) -> None:
        model.gate.clear()
        first = asyncio.create_task(queue.infer([vector(1)]))
        await entered(model)
        late = asyncio.create_task(queue.infer([vector(7)], time.monotonic() + 0.02))
        kept = asyncio.create_task(queue.infer([vector(5)], time.monotonic() + 60))
        await asyncio.sleep(0.05)
        model.gate.set()
        assert await kept == [2.0]
        await first
        with pytest.raises(TimeoutError):
            await late

    run(model, work)
    assert model.batches == [[1], [5]]


def test_a_full_queue_refuses_and_takes_again_when_there_is_room() -> None:
    model = MeanModel()

    async def work(queue: BatchQueue[list[float], float]) -> None:
        model.gate.clear()
        first = asyncio.create_task(queue.infer([vector(1)]))
        await entered(model)
        filling = asyncio.create_task(queue.infer([vector(64), vector(64)]))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError) as refused:
            await queue.infer([vector(1)])
        assert refused.value.retry_after_s > 0
        model.gate.set()
        await asyncio.gather(first, filling)
        assert await queue.infer([vector(1)]) == [2.0]

    run(model, work, max_queued_batches=2)


def test_a_wait_beyond_the_deadline_is_refused_at_once() -> None:
    model = MeanModel()

    async def work(queue: BatchQueue[list[float], float]) -> None:
        queue.pace.add(64, 10.0)  # a batch has been measured to take ten seconds
        model.gate.clear()
        first = asyncio.create_task(queue.infer([vector(64)]))
        await entered(model)
        with pytest.raises(OverloadedError) as refused:
            await queue.infer([vector(1)], time.monotonic() + 1)
        assert refused.value.retry_after_s == pytest.approx(10.0, rel=0.01)
        patient = asyncio.create_task(queue.infer([vector(1)], time.monotonic() + 60))
        await asyncio.sleep(0)
        model.gate.set()
        await asyncio.gather(first, patient)

    run(model, work)


def test_close_finishes_what_was_accepted_and_refuses_the_rest() -> None:
    model = MeanModel()

    async def work(queue: BatchQueue[list[float], float]) -> None:
        model.gate.clear()
        accepted = [asyncio.create_task(queue.infer([vector(40)])) for _ in range(3)]
        await entered(model)
        closing = asyncio.create_task(queue.close())
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await queue.infer([vector(1)])
        model.gate.set()
        await closing
        assert [await task for task in accepted] == [[2.0]] * 3

    run(model, work)


def test_the_event_loop_is_free_while_the_model_works() -> None:
    model = MeanModel()

    async def work(queue: BatchQueue[list[float], float]) -> int:
        model.gate.clear()
        task = asyncio.create_task(queue.infer([vector(1)]))
        await entered(model)
        turns = 0
        for _ in range(100):
            await asyncio.sleep(0)
            turns += 1
        assert not task.done()
        model.gate.set()
        await task
        return turns

    assert run(model, work) == 100


def test_two_threads_take_two_batches_at_once() -> None:
    model, told = MeanModel(), list[Batch]()

    async def work(queue: BatchQueue[list[float], float]) -> list[list[float]]:
        model.gate.clear()
        first = asyncio.create_task(queue.infer([vector(40)]))
        await entered(model)
        model.entered.clear()
        second = asyncio.create_task(queue.infer([vector(40, 2.0)]))
        await entered(model)  # while the first is still under way
        assert model.batches == [] and queue.queued_items == 0
        model.gate.set()
        return await asyncio.gather(first, second)

    assert run(model, work, threads=2, on_batch=told.append) == [[2.0], [4.0]]
    assert len(model.threads) == 2
    assert [batch.cost for batch in told] == [40.0, 40.0]


def test_two_idle_threads_share_what_waits() -> None:
    """All of it would fit in one batch; it comes at once, and wakes one thread."""
    model = MeanModel()

    async def work(queue: BatchQueue[list[float], float]) -> list[float]:
        model.gate.clear()
        task = asyncio.create_task(queue.infer([vector(4)] * 8))
        await entered(model)
        while queue.queued_items:
            await asyncio.sleep(0.001)
        model.gate.set()
        return await task

    assert run(model, work, threads=2) == [2.0] * 8
    assert len(model.threads) == 2
    assert model.batches == [[4] * 4] * 2


@pytest.mark.parametrize(("threads", "expected"), [(2, 1), (None, 3)])
def test_threads_of_a_queue_take_torchs_from_themselves_alone(
    threads: int | None, expected: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        model, later = MeanModel(), list[int]()
        run(model, lambda queue: queue.infer([vector(1)]), threads=threads)
        another = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        another.start()
        another.join()
        assert (model.of_torch, torch.get_num_threads(), later) == (expected, 3, [3])
    finally:
        torch.set_num_threads(before)


def test_pace_tells_overhead_from_cost() -> None:
    pace = Pace()
    assert pace.estimate_s(100, 1) == 0.0
    for cost in (1, 50, 10, 60, 5):
        pace.add(cost, 0.5 + 0.01 * cost)
    assert pace.estimate_s(100, 3) == pytest.approx(3 * 0.5 + 0.01 * 100)


def test_pace_of_equal_batches_is_their_time() -> None:
    pace = Pace()
    for _ in range(3):
        pace.add(8, 0.25)
    assert pace.estimate_s(16, 2) == pytest.approx(0.5)
