"""The one shape of every model that the engine batches: items in, as many results out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item", contravariant=True)
Result = TypeVar("Result")


class BatchModel(Protocol[Item, Result]):
    """A loaded model. `infer` may be called from any one thread at a time, a text model's from
    several.

    An item's result must not depend on what else is in the batch (probabilities within 1e-4 in
    fp32, 2e-2 in bf16). `cost` is in the model's own unit, padding left out; the engine keeps
    longest-item-cost × items ≤ `max_batch_cost`, which it lowers where a batch does not fit the
    device's memory. `infer` itself takes any number of items. The models of `modalities` also state
    their `cost_unit` and their encoder's `precision`.
    """

    name: str
    revision: str
    max_batch_cost: float

    def cost(self, item: Item) -> float: ...

    def infer(self, items: Sequence[Item]) -> list[Result]: ...


def alike(
    costs: Sequence[float], max_cost: float, overhead: float = math.inf
) -> Iterator[list[int]]:
    """Places of all items, dearest first, in groups of similar cost: the dearest's cost × items
    stays within `max_cost`, an item over it is alone; and no more of it is padding than `overhead`,
    what a group costs by itself."""
    order = sorted(range(len(costs)), key=lambda place: -costs[place])
    while order:
        dearest, n, padding = costs[order[0]], 1, 0.0
        while n < len(order) and dearest * (n + 1) <= max_cost:
            padding += dearest - costs[order[n]]
            if padding > overhead:
                break
            n += 1
        yield order[:n]
        order = order[n:]


def infer_all(model: BatchModel[Item, Result], items: Sequence[Item], n_batch: int) -> list[Result]:
    """Results of all items in their order, in batches of `n_batch` of similar cost."""
    order = sorted(range(len(items)), key=lambda i: model.cost(items[i]))
    results: dict[int, Result] = {}
    for start in range(0, len(order), n_batch):
        rows = order[start : start + n_batch]
        results.update(zip(rows, model.infer([items[i] for i in rows]), strict=True))
    return [results[i] for i in range(len(items))]
