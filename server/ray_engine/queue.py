"""A model's replicas behind the engine's interface: batches are made here, and run there.

Each lane is a queue of the engine whose model is far away. There are more lanes than replicas, so
that a replica finds its next batch waiting when one is done.
"""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from modalities.errors import UnavailableError
from modalities.model import BatchModel
from server.engine import Batch, BatchQueue
from server.logs import LOG

Item = TypeVar("Item")
Result = TypeVar("Result")

LANES_A_REPLICA = 2
ANSWER_S = 120.0  # for a batch, and where no replica is left, for a new one
PAUSE_S = 10.0  # after nothing came for so long, nothing is asked
TRIES = 2

Deploy = Callable[[], "Future[DeploymentHandle]"]


class RemoteModel(Generic[Item, Result]):
    """A BatchModel whose `infer` is a replica's; it may be called from many threads.

    A batch whose replica died is given to another: inference changes nothing. The engine halves
    one that fails again, so that an item that kills replicas fails alone.
    """

    def __init__(self, model: BatchModel[Item, Result], deploy: Deploy) -> None:
        self.name, self.revision = model.name, model.revision
        self.max_batch_cost = model.max_batch_cost
        self.cost = model.cost
        self._deploy = deploy
        self._pause_until = 0.0

    def infer(self, items: Sequence[Item]) -> list[Result]:
        """Raises what the model raises, and UnavailableError where no replica answers."""
        payload = pickle.dumps(list(items))
        for _ in range(TRIES):
            if time.monotonic() < self._pause_until:
                break
            try:
                answer = self._deploy().result().infer.remote(payload)
                return pickle.loads(answer.result(timeout_s=ANSWER_S))
            except RayTaskError as error:
                raise error.cause from None
            except (RayActorError, RayServeException) as error:
                LOG.error(
                    "replica lost", extra={"model": self.name, "reason": type(error).__name__}
                )
            except TimeoutError:
                LOG.error("no replica answers", extra={"model": self.name})
                self._pause_until = time.monotonic() + PAUSE_S
        raise UnavailableError(
            f"no replica of model {self.name} answers",
            "see 'serve status' and the replica's log on the Ray cluster",
        )


@dataclass
class _Lane(Generic[Item, Result]):
    queue: BatchQueue[Item, Result]
    cost: float = 0.0  # of what is in it


class RayQueue(Generic[Item, Result]):
    """As `server.engine.BatchQueue`, for `n_replicas` at once; `deploy` gives the replicas' handle
    as often as it is asked, `ended` is called when nothing is left to do."""

    def __init__(
        self,
        model: BatchModel[Item, Result],
        deploy: Deploy,
        ended: Callable[[], None],
        n_replicas: int,
        *,
        max_queued_batches: int,
        batch_wait_s: float,
        on_batch: Callable[[Batch], None] | None = None,
    ) -> None:
        self.model = model
        self._deploy, self._ended = deploy, ended
        deploy()
        remote = RemoteModel(model, deploy)
        self._lanes = [
            _Lane(
                BatchQueue[Item, Result](
                    remote,
                    max_queued_batches=-(-max_queued_batches // LANES_A_REPLICA),
                    batch_wait_s=batch_wait_s,
                    on_batch=on_batch,
                )
            )
            for _ in range(n_replicas * LANES_A_REPLICA)
        ]

    async def infer(self, items: Sequence[Item], deadline: float | None = None) -> list[Result]:
        """As `BatchQueue.infer`; raises UnavailableError also where the replicas did not start."""
        if not (handle := self._deploy()).done():
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(handle)), left_s)
        cost = sum(map(self.model.cost, items))
        lane = min(self._lanes, key=lambda lane: lane.cost)
        lane.cost += cost
        try:
            return await lane.queue.infer(items, deadline)
        finally:
            lane.cost -= cost

    async def close(self) -> None:
        """Refuse new items, finish those that were accepted, let the replicas go."""
        await asyncio.gather(*(lane.queue.close() for lane in self._lanes))
        await asyncio.to_thread(self._ended)

    def expected_wait_s(self) -> float:
        return min(lane.queue.expected_wait_s() for lane in self._lanes)

    @property
    def queued_items(self) -> int:
        return sum(lane.queue.queued_items for lane in self._lanes)

    @property
    def queued_cost(self) -> float:
        return sum(lane.queue.queued_cost for lane in self._lanes)

    @property
    def oldest_age_s(self) -> float:
        return max(lane.queue.oldest_age_s for lane in self._lanes)
