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
