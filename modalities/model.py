"""The one shape of every model that the engine batches: items in, as many results out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item", contravariant=True)
Result = TypeVar("Result")


class BatchModel(Protocol[Item, Result]):
    """A loaded model. `infer` may be called from any one thread at a time.

    An item's result must not depend on what else is in the batch (probabilities within 1e-4 on
    the CPU). `cost` is in the model's own unit (tokens, seconds, pixels), padding left out; the
    engine keeps longest-item-cost × items ≤ `max_batch_cost`.
    """

    name: str
    revision: str
    max_batch_cost: float

    def cost(self, item: Item) -> float: ...

    def infer(self, items: Sequence[Item]) -> list[Result]: ...


def infer_all(model: BatchModel[Item, Result], items: Sequence[Item], n_batch: int) -> list[Result]:
    """Results of all items in their order, in batches of `n_batch` of similar cost."""
    order = sorted(range(len(items)), key=lambda i: model.cost(items[i]))
    results: dict[int, Result] = {}
    for start in range(0, len(order), n_batch):
        rows = order[start : start + n_batch]
        results.update(zip(rows, model.infer([items[i] for i in rows]), strict=True))
    return [results[i] for i in range(len(items))]
