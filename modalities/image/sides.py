"""Which regions are chat bubbles, and whose: geometry first, colour and portraits on a draw.

A bubble keeps clear of both edges of the picture, holds its lines whole, and is about as wide as
its text. One side's bubbles share an edge: the left edges of the left side's line up, and the
right edges of the right side's. Lengths are shares of the picture's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.image.bubbles import TOLERANCE, Region
from modalities.image.ocr import Box


class Side(StrEnum):
    LEFT = "left"
    RIGHT = "right"
    NONE = "none"


EDGE = 0.004  # a region that comes nearer to the picture's edge is the page or a bar
MIDDLE = 0.05  # margins that differ by less do not tell a side
ALIGNED = 0.008  # edges that differ by less line up
AVATAR = 0.16  # the widest portrait
MIN_FILL = 0.4  # of its bounds: a frame or a mesh is no bubble


def overlap(a: Box, b: Box, axis: int) -> int:
    """Pixels that two boxes share along x (axis 0) or y (axis 1); negative is the gap."""
    return min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis])


def bounds(boxes: Sequence[Box]) -> Box:
    edges = np.array(boxes)
    x0, y0 = edges[:, :2].min(0).tolist()
    x1, y1 = edges[:, 2:].max(0).tolist()
    return x0, y0, x1, y1


def find_bubbles(regions: Sequence[Region], pixels: NDArray[np.uint8]) -> dict[Region, Side]:
    """The regions that are bubbles, with their sides; pixels (h, w, 3) RGB."""
    width = pixels.shape[1]
    shaped = [region for region in regions if _has_shape_of_bubble(region, width)]
    shaped = [region for region in shaped if not _is_avatar(region, shaped, width)]
    clear = {region: side for region in shaped if (side := _by_margins(region, width))}
    return {
        region: side
        for region in shaped
        if (
            side := clear.get(region)
            or _by_portrait(region, pixels)
            or _by_company(region, clear, width)
        )
    }


def _has_shape_of_bubble(region: Region, width: int) -> bool:
    x0, y0, x1, y1 = region.box
    if min(x0, width - x1) <= EDGE * width or region.fill < MIN_FILL:
        return False
    text = bounds([line.box for line in region.lines])
    line_height = min(line.box[3] - line.box[1] for line in region.lines)
    # Text that juts out was read in a picture, where the fill caught only a patch behind it.
    slack = 0.25 * line_height
    if text[0] < x0 - slack or text[1] < y0 - slack or text[2] > x1 + slack or text[3] > y1 + slack:
        return False
    # An input field and a voice message are far wider than what is written in them.
    return text[2] - text[0] > 0.5 * (x1 - x0) - 1.5 * line_height


def _is_avatar(region: Region, others: Sequence[Region], width: int) -> bool:
    """A small square between a bubble and the edge of the picture, level with its top."""
    x0, y0, x1, y1 = region.box
    if x1 - x0 > AVATAR * width or not 0.75 < (x1 - x0) / (y1 - y0) < 1.34:
        return False
    return any(
        overlap(region.box, other.box, axis=1) > 0.5 * (y1 - y0)
        and (0 < x0 < x1 <= other.box[0] or other.box[2] <= x0)
        for other in others
        if other is not region
    )


def _by_margins(region: Region, width: int) -> Side | None:
    left, right = region.box[0], width - region.box[2]
    if abs(left - right) < MIDDLE * width:
        return None
    return Side.LEFT if left < right else Side.RIGHT


def _by_company(region: Region, clear: dict[Region, Side], width: int) -> Side | None:
    """The side whose bubbles a region in the middle lines up with, or else shares a colour."""
    offset = {Side.LEFT: float("inf"), Side.RIGHT: float("inf")}
    for side, axis in ((Side.LEFT, 0), (Side.RIGHT, 2)):
        edges = [other.box[axis] for other, its in clear.items() if its is side]
        if edges:
            offset[side] = min(abs(region.box[axis] - edge) for edge in edges) / width
    best = min(offset, key=lambda side: offset[side])
    if offset[best] > ALIGNED:
        return None
    if abs(offset[Side.LEFT] - offset[Side.RIGHT]) > ALIGNED / 4:
        return best
    alike = [
        side
        for other, side in clear.items()
        if np.abs(other.colour - region.colour).max() <= 2 * TOLERANCE
    ]
    return max(set(alike), key=alike.count) if alike else None


def _by_portrait(region: Region, pixels: NDArray[np.uint8]) -> Side | None:
    """The side where a picture stands beside the region's top; None for a notice."""
    x0, y0, x1, y1 = region.box
    rows = slice(y0, min(y1, y0 + round(AVATAR * pixels.shape[1])))
    detail = []
    for strip in (pixels[rows, : x0 - 1], pixels[rows, x1 + 1 :]):
        grey = cv2.cvtColor(strip, cv2.COLOR_RGB2GRAY)
        detail.append(float((np.abs(grey.astype(int) - np.median(grey)) > 2 * TOLERANCE).mean()))
    if max(detail) < 0.1 or max(detail) < 3 * min(detail):
        return None
    return Side.LEFT if detail[0] > detail[1] else Side.RIGHT
