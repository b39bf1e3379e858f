"""Regions of one colour around lines of text: chat bubbles, notices, or the page itself.

No app's constants: a region is what a flood fill reaches from the line's own background, so
light and dark themes, drawn outlines and gradients between bubbles all work alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.image.ocr import Box, OcrLine

TOLERANCE = 6  # levels a channel may differ inside a region; bubbles differ by 10 and more


@dataclass(eq=False)
class Region:
    """A region that holds text.

    box     its bounds
    fill    the pixels reached over the box's area, [0, 1]
    colour  (3,) RGB around its first line
    """

    box: Box
    fill: float
    colour: NDArray[np.int16]
    lines: list[OcrLine]


def find_regions(pixels: NDArray[np.uint8], lines: Sequence[OcrLine]) -> list[Region]:
    """Group lines by the region that surrounds them, in the order of the first line of each.

    pixels (h, w, 3) uint8 RGB. Every line is in exactly one region.
    """
    height, width = pixels.shape[:2]
    owner = np.zeros((height, width), np.int16)  # 1 + index of the region that a pixel is in
    # floodFill wants a mask with a border; what is not zero in it is never entered again.
    mask = np.zeros((height + 2, width + 2), np.uint8)
    regions: list[Region] = []
    for line in lines:
        edge = _around(line.box, width, height)  # (n, 2) y, x
        colours = pixels[edge[:, 0], edge[:, 1]].astype(np.int16)  # (n, 3)
        colour = _mode(colours)
        distance = np.abs(colours - colour).max(1)  # (n,)
        seeds = edge[np.argsort(distance, kind="stable")][: max(1, int((distance <= 8).sum()))]
        owners = owner[seeds[:, 0], seeds[:, 1]]
        known = np.bincount(owners)
        if known[1:].sum() > len(seeds) // 2:
            regions[int(known[1:].argmax())].lines.append(line)
            continue
        y, x = seeds[owners == 0][0]
        flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
        level = (TOLERANCE,) * 3
        area, _, _, (left, top, w, h) = cv2.floodFill(
            pixels, mask, (int(x), int(y)), (0, 0, 0), level, level, flags
        )
        filled = mask[top + 1 : top + h + 1, left + 1 : left + w + 1]
        owner[top : top + h, left : left + w][filled == 1] = len(regions) + 1
        filled[filled == 1] = 2
        regions.append(Region((left, top, left + w, top + h), area / (w * h), colour, [line]))
    return regions


def _around(box: Box, width: int, height: int) -> NDArray[np.int64]:
    """Pixels (n, 2) (y, x) of a frame just outside the line's box, inside the picture."""
    margin = max(1, round(0.06 * (box[3] - box[1])))
    x0, y0 = max(box[0] - margin, 0), max(box[1] - margin, 0)
    x1, y1 = min(box[2] + margin, width) - 1, min(box[3] + margin, height) - 1
    xs, ys = np.arange(x0, x1 + 1), np.arange(y0, y1 + 1)
    sides = [(np.full_like(xs, y), xs) for y in (y0, y1)]
    sides += [(ys, np.full_like(ys, x)) for x in (x0, x1)]
    return np.concatenate([np.stack(side, axis=1) for side in sides])


def _mode(colours: NDArray[np.int16]) -> NDArray[np.int16]:
    """The commonest colour (3,) of (n, 3): the median of the fullest cell of an 8-level grid."""
    cells = (colours >> 3) @ np.array([1024, 32, 1], np.int16)
    values, counts = np.unique(cells, return_counts=True)
    return np.median(colours[cells == values[counts.argmax()]], axis=0).astype(np.int16)
