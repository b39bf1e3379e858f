"""What several readers of pictures ask of colours."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Level = TypeVar("Level", np.int16, np.int64, np.float32)


def largest(channels: NDArray[Level]) -> NDArray[Level]:
    """(…, 3) → (…), as `max(-1)`, which over so few takes several times as long."""
    return np.maximum(np.maximum(channels[..., 0], channels[..., 1]), channels[..., 2])


def commonest(colours: NDArray[np.int16]) -> NDArray[np.int16]:
    """Of (n, 3) colours the commonest (3,): the median of the fullest cell of an 8-level grid."""
    red, green, blue = (colours >> 3).T
    cells = (red << 10) | (green << 5) | blue
    fullest = np.bincount(cells).argmax()
    return np.median(colours[cells == fullest], axis=0).astype(np.int16)
