"""Areas of one colour: what lines of text stand on (bubbles, notices, bars) and what surrounds it.

No app's constants: an area is what a flood fill reaches from a line's own background, so light
and dark themes, drawn outlines and gradients between bubbles all work alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.image.ocr import Box, OcrLine

TOLERANCE = 6  # levels a channel may differ inside an area; bubbles differ by 10 and more

THIN = 0.2  # of the fullest row or column: less is a tail or a leak


@dataclass(eq=False)
class Area:
    """Pixels of one colour that hang together.

    box     its bounds
    fill    the pixels reached over the box's area, [0, 1]
    colour  (3,) RGB where it was first met
    lines   of text on it
    """

    box: Box
    fill: float
    colour: NDArray[np.int16]
    lines: list[OcrLine] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.last_colour = self.colour  # of the lowest band, where it is a gradient


class Areas:
    """The areas of a picture, found as they are asked for."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        """`pixels` is (h, w, 3) RGB."""
        height, width = pixels.shape[:2]
        self._pixels = pixels
        self._size = (width, height)
        self._owner = np.zeros((height, width), np.int16)  # 1 + index of the area a pixel is in
        # floodFill wants a mask with a border; what is not zero in it is never entered again.
        self._mask = np.zeros((height + 2, width + 2), np.uint8)
        self._found: list[Area] = []

    def of_lines(self, lines: Sequence[OcrLine]) -> list[Area]:
        """The areas that lines stand on, each line in one, in the order of their first lines."""
        areas: dict[int, Area] = {}
        for line in lines:
            area = self._at(self._behind(line.box))
            area.lines.append(line)
            areas[id(area)] = area
        return _whole(list(areas.values()))

    def around(self, area: Area) -> Area:
        """What an area lies on: beside it, as a bar may cut it above or below."""
        x0, y0, x1, y1 = area.box
        width, height = self._size
        # Far enough for the soft edge and the shadow of a bubble.
        margin = max(3, round(0.005 * width))
        edge = _frame((x0, y0 - margin, x1, y1 + margin), margin, width, height)
        edge = edge[(edge[:, 1] < x0) | (edge[:, 1] >= x1)]
        edge = edge[(edge[:, 0] >= y0) & (edge[:, 0] < y1)]
        return self._at(edge)

    def _behind(self, box: Box) -> NDArray[np.int64]:
        """Pixels (n, 2) y, x of what a line stands on: the largest patch of the commonest colour.

        The box may be larger than the bubble, or cut its letters; the ground is most of it either
        way, and it hangs together around the letters.
        """
        width, height = self._size
        margin = max(1, round(0.06 * (box[3] - box[1])))
        left, top = max(box[0] - margin, 0), max(box[1] - margin, 0)
        right, bottom = min(box[2] + margin, width), min(box[3] + margin, height)
        crop = self._pixels[top:bottom, left:right].astype(np.int16)  # (h, w, 3)
        colour = _mode(crop[::2, ::2].reshape(-1, 3))
        near = (np.abs(crop - colour).max(2) <= TOLERANCE).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=4)
        if len(stats) < 2:
            return np.add(np.argwhere(near >= 0), (top, left))
        largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        return np.add(np.argwhere(labels == largest), (top, left))

    def _at(self, edge: NDArray[np.int64]) -> Area:
        """The area that most of the pixels (n, 2) y, x are in."""
        colours = self._pixels[edge[:, 0], edge[:, 1]].astype(np.int16)  # (n, 3)
        colour = _mode(colours)
        distance = np.abs(colours - colour).max(1)  # (n,)
        seeds = edge[np.argsort(distance, kind="stable")][: max(1, int((distance <= 8).sum()))]
        owners = self._owner[seeds[:, 0], seeds[:, 1]]
        known = np.bincount(owners)
        if known[1:].sum() > len(seeds) // 2:
            return self._found[int(known[1:].argmax())]
        y, x = seeds[owners == 0][0]
        return self._fill(int(y), int(x), colour)

    def _fill(self, y: int, x: int, colour: NDArray[np.int16]) -> Area:
        flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
        level = (TOLERANCE,) * 3
        size, _, _, (left, top, w, h) = cv2.floodFill(
            self._pixels, self._mask, (x, y), (0, 0, 0), level, level, flags
        )
        filled = self._mask[top + 1 : top + h + 1, left + 1 : left + w + 1]
        own = filled == 1  # (h, w)
        self._owner[top : top + h, left : left + w][own] = len(self._found) + 1
        filled[own] = 2
        x0, x1 = _without_ends(own.sum(0))
        y0, y1 = _without_ends(own.sum(1))
        box = (left + x0, top + y0, left + x1, top + y1)
        area = Area(box, min(1.0, size / _size(box)), colour)
        self._found.append(area)
        return area


def _whole(areas: Sequence[Area]) -> list[Area]:
    """Areas, the bands of a gradient's joined: one on the other, equally wide, alike in colour."""
    made: list[Area] = []
    for area in sorted(areas, key=lambda area: area.box[1]):
        x0, y0, x1, y1 = area.box
        above = next((other for other in made if _goes_on(other, area)), None)
        if above is None:
            made.append(area)
            continue
        left, top, right, bottom = above.box
        box = min(x0, left), min(y0, top), max(x1, right), max(y1, bottom)
        parts = [(area.fill, area.box), (above.fill, above.box)]
        filled = sum(fill * _size(its) for fill, its in parts)
        above.box, above.fill = box, min(1.0, filled / _size(box))
        above.lines += area.lines
        above.last_colour = area.colour
    return made


def _goes_on(above: Area, area: Area) -> bool:
    slack = max(3.0, 0.02 * (area.box[2] - area.box[0]))
    return (
        abs(above.box[0] - area.box[0]) < slack
        and abs(above.box[2] - area.box[2]) < slack
        and area.box[1] <= above.box[3] + 1
        and np.abs(above.last_colour - area.colour).max() < 4 * TOLERANCE
    )


def _size(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def ink(pixels: NDArray[np.uint8], line: OcrLine, ground: NDArray[np.int16]) -> NDArray[np.float64]:
    """Colour (3,) of a line's letters: the median of the tenth that differs most from `ground`."""
    x0, y0, x1, y1 = line.box
    colours = pixels[y0:y1, x0:x1].reshape(-1, 3).astype(np.int16)
    distance = np.abs(colours - ground).max(1)
    colour: NDArray[np.float64] = np.median(colours[distance >= np.quantile(distance, 0.9)], axis=0)
    return colour


def contrast(pixels: NDArray[np.uint8], area: Area) -> float:
    """Levels between an area's letters and the area: the most of its lines."""
    inks = [ink(pixels, line, area.colour) for line in area.lines]
    return max(float(np.abs(colour - area.colour).max()) for colour in inks)


def _without_ends(counts: NDArray[np.int64]) -> tuple[int, int]:
    """First and last rows or columns (exclusive) that are not nearly empty: what the fill reached
    through a bubble's tail, or a stroke of the wallpaper, is no part of its box."""
    full = np.flatnonzero(counts >= THIN * counts.max())
    return int(full[0]), int(full[-1]) + 1


def _frame(box: Box, margin: int, width: int, height: int) -> NDArray[np.int64]:
    """Pixels (n, 2) (y, x) of a frame just outside a box, inside the picture."""
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
