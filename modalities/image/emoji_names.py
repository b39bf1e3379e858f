"""Which emoji a small picture shows: the nearest of a bank of prototypes, or none.

A picture is described by its colours on a neutral ground and by its shape, 16 × 16; a linear map
(LDA: Fisher, Annals of Eugenics 1936) keeps what tells emoji apart and weighs down what size, blur,
JPEG and grounds change. `training.emoji` makes the bank.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.checkpoint import load
from weights import path_of

SIDE = 16  # pixels of a described picture
SEEN = 24  # levels from the ground


@dataclass(frozen=True)
class Dims:
    """`farthest`: a distance to the nearest prototype; `margin`: the second's over the nearest's,
    at least. Beyond either an emoji has no name."""

    characters: str
    farthest: float
    margin: float


@dataclass(frozen=True, eq=False)
class EmojiNames:
    """mean (1024,), map (1024, d), prototypes (n, d) of the n characters of `dims`."""

    dims: Dims
    mean: NDArray[np.float32]
    map: NDArray[np.float32]
    prototypes: NDArray[np.float32]

    def name(self, described: NDArray[np.float32]) -> tuple[str, float]:
        """The character, "" where unsure, and a confidence in [0, 1]; `described` is (1024,)."""
        distances = self.distances(described)
        first, second = np.partition(distances, 1)[:2].tolist()
        if first > self.dims.farthest or second < self.dims.margin * first:
            return "", 0.0
        return self.dims.characters[int(distances.argmin())], 1 - 0.5 * first / self.dims.farthest

    def distances(self, described: NDArray[np.float32]) -> NDArray[np.float32]:
        """To every prototype, (n,)."""
        at = (described - self.mean) @ self.map
        found: NDArray[np.float32] = np.linalg.norm(self.prototypes - at, axis=1)
        return found


@cache
def names() -> EmojiNames:
    """The embedded bank; raises UnavailableError where it is missing or unreadable."""
    saved = load(path_of("emoji"))
    state = {name: tensor.numpy() for name, tensor in saved.state.items()}
    return EmojiNames(Dims(**saved.dims), **state)


def describe(crop: NDArray[np.uint8], ground: NDArray[np.float64]) -> NDArray[np.float32]:
    """(h, w, 3) RGB pixels on a ground (3,) → (1024,): RGB on grey and shape, each in [-1, 1]."""
    seen = np.abs(crop - ground).max(2) > SEEN
    height, width = seen.shape
    side = max(height, width)
    whole = np.zeros((side, side, 4), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    part = whole[top : top + height, left : left + width]
    part[..., :3][seen] = crop[seen] / 127.5 - 1
    part[..., 3] = seen
    made: NDArray[np.float32] = cv2.resize(whole, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return made.reshape(-1)
