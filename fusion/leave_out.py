"""What each of many readings of one source moved: the combined score without it, exactly."""

from __future__ import annotations

from collections.abc import Sequence

from fusion.combine import combine
from modalities.reading import Reading


def effects(readings: Sequence[Reading], weights: Sequence[float]) -> list[float]:
    """The score of `combine(readings, weights)` less that without each reading, in [−2, 2]; of
    the only one its whole score. Raises ValueError as `combine`."""
    whole = combine(readings, weights).score
    if len(readings) == 1:
        return [whole]
    return [
        whole
        - combine(
            [*readings[:left], *readings[left + 1 :]], [*weights[:left], *weights[left + 1 :]]
        ).score
        for left in range(len(readings))
    ]
