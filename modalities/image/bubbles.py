"""Areas of one colour: what lines of text stand on (bubbles, notices, bars) and what surrounds it.

No app's constants: an area is what a flood fill reaches from a line's own background, so light
and dark themes, drawn outlines and gradients between bubbles all work alike. A fill keeps to one
colour; where that gives only a band of a gradient, one that follows the colour takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.image.boxes import bounds, holds
from modalities.image.colours import commonest, largest
from modalities.image.ocr import Box, OcrLine

TOLERANCE = 6  # levels a channel may differ inside an area; bubbles differ by 10 and more
SLOPE = 6  # levels from one pixel of a gradient to the next
MOST = 0.7  # of the picture: a fill that follows a gradient farther has leaked

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

    @property
    def is_gradient(self) -> bool:
        return bool(np.abs(self.colour - self.last_colour).max() > TOLERANCE)


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
        return self._with_gradients(_whole(list(areas.values())))

    def at(self, x: int, y: int) -> Area:
        """The area that a pixel is in."""
        return self._at(np.array([[y, x]]))

    def around(self, area: Area) -> Area:
        """What an area lies on: beside it, as a bar may cut it above or below."""
        x0, y0, x1, y1 = area.box
        width, height = self._size
        # Far enough for the soft edge and the shadow of a bubble.
        margin = max(3, round(0.005 * width))
        edge = _beside((x0, y0, x1, y1), margin, width, height)
        under = self._at(edge)
        if under.box[2] - under.box[0] < 2 * (x1 - x0):  # a shadow, or a band of a gradient
            wider = self._follow(_beside((x0, y0, x1, y1), 3 * margin, width, height), [under])
            under = wider or under
        return under

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
        colour = commonest(crop[::2, ::2].reshape(-1, 3))
        near = (largest(np.abs(crop - colour)) <= TOLERANCE).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=4)
        if len(stats) < 2:
            return np.add(np.argwhere(near >= 0), (top, left))
        patch = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        return np.add(np.argwhere(labels == patch), (top, left))

    def _at(self, edge: NDArray[np.int64]) -> Area:
        """The area that most of the pixels (n, 2) y, x are in."""
        colours = self._pixels[edge[:, 0], edge[:, 1]].astype(np.int16)  # (n, 3)
        colour = commonest(colours)
        distance = largest(np.abs(colours - colour))  # (n,)
        seeds = edge[np.argsort(distance, kind="stable")][: max(1, int((distance <= 8).sum()))]
        owners = self._owner[seeds[:, 0], seeds[:, 1]]
        known = np.bincount(owners)
        if known[1:].sum() > len(seeds) // 2:
            return self._found[int(known[1:].argmax())]
        y, x = seeds[owners == 0][0]
        return self._fill(int(y), int(x), colour)

    def _with_gradients(self, areas: list[Area]) -> list[Area]:
        """Areas, those that are but bands behind their lines filled anew along their gradients."""
        whole = [area for area in areas if _holds_its_lines(area)]
        bands = [area for area in areas if area not in whole]
        for band in bands:
            if any(line in area.lines for area in whole for line in band.lines):
                continue
            # Beside the letters: where the ground shades off, theirs is the commonest colour.
            first = band.lines[0].box
            seeds = _beside(first, max(2, (first[3] - first[1]) // 8), *self._size)
            made = self._follow(seeds, bands)
            if made is None:
                whole.append(band)
                continue
            inside = [line for area in bands for line in area.lines if _is_on(line.box, made.box)]
            made.lines = [*band.lines, *(line for line in inside if line not in band.lines)]
            whole.append(made)
        return whole

    def _follow(self, seeds: NDArray[np.int64], over: Sequence[Area]) -> Area | None:
        """What a fill reaches that follows a gradient from the pixels (n, 2) y, x, over the areas
        `over` too; None where it leaks."""
        colours = self._pixels[seeds[:, 0], seeds[:, 1]].astype(np.int16)
        y, x = seeds[int(largest(np.abs(colours - commonest(colours))).argmin())].tolist()
        height, width = self._owner.shape
        mask = self._mask.copy()
        for area in over:
            mask[1:-1, 1:-1][self._owner == 1 + self._found.index(area)] = 0
        if mask[y + 1, x + 1]:
            return None
        flags = 4 | cv2.FLOODFILL_MASK_ONLY | (3 << 8)
        size, _, _, (left, top, w, h) = cv2.floodFill(
            self._pixels, mask, (x, y), (0, 0, 0), (SLOPE,) * 3, (SLOPE,) * 3, flags
        )
        own = mask[top + 1 : top + h + 1, left + 1 : left + w + 1] == 3  # (h, w)
        if size > MOST * height * width:
            return None
        self._mask[top + 1 : top + h + 1, left + 1 : left + w + 1][own] = 2
        self._owner[top : top + h, left : left + w][own] = len(self._found) + 1
        x0, x1 = _without_ends(own.sum(0))
        y0, y1 = _without_ends(own.sum(1))
        inner = self._pixels[top : top + h, left : left + w]
        ends = [
            commonest(inner[rows][own[rows]].astype(np.int16))
            for rows in (slice(y0, y0 + 3), slice(y1 - 3, y1))
        ]
        box = (left + x0, top + y0, left + x1, top + y1)
        area = Area(box, min(1.0, size / _size(box)), ends[0])
        area.last_colour = ends[1]
        self._found.append(area)
        return area

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


def _holds_its_lines(area: Area) -> bool:
    text = bounds([line.box for line in area.lines])
    return holds(area.box, text, min(line.box[3] - line.box[1] for line in area.lines))


def _is_on(line: Box, box: Box) -> bool:
    """Whether a line's middle lies in a box."""
    x, y = (line[0] + line[2]) / 2, (line[1] + line[3]) / 2
    return box[0] <= x < box[2] and box[1] <= y < box[3]


def _size(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


@dataclass(frozen=True)
class Ink:
    """Of a line's letters: their colour (3,) and its levels from what they stand on."""

    colour: NDArray[np.float64]
    contrast: float


def ink(pixels: NDArray[np.uint8], line: OcrLine) -> Ink:
    """The median of the tenth of a line's pixels that differs most from the commonest colour."""
    x0, y0, x1, y1 = line.box
    colours = pixels[y0:y1, x0:x1].reshape(-1, 3).astype(np.int16)
    ground = commonest(colours)
    distance = largest(np.abs(colours - ground))
    colour: NDArray[np.float64] = np.median(colours[distance >= np.quantile(distance, 0.9)], axis=0)
    return Ink(colour, float(np.abs(colour - ground).max()))


def contrast(pixels: NDArray[np.uint8], area: Area) -> float:
    """Levels between an area's letters and the area: the most of its lines."""
    return max(ink(pixels, line).contrast for line in area.lines)


def _without_ends(counts: NDArray[np.int64]) -> tuple[int, int]:
    """First and last rows or columns (exclusive) that are not nearly empty: what the fill reached
    through a bubble's tail, or a stroke of the wallpaper, is no part of its box."""
    full = np.flatnonzero(counts >= THIN * counts.max())
    return int(full[0]), int(full[-1]) + 1


def _beside(box: Box, margin: int, width: int, height: int) -> NDArray[np.int64]:
    """Pixels (n, 2) (y, x) `margin` left and right of a box, inside the picture."""
    x0, y0, x1, y1 = box
    ys = np.arange(max(y0, 0), min(y1, height))
    xs = [x for x in (x0 - margin, x1 + margin - 1) if 0 <= x < width] or [max(x0 - 1, 0)]
    return np.concatenate([np.stack([ys, np.full_like(ys, x)], axis=1) for x in xs])
