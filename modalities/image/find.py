"""Which areas are chat bubbles.

A bubble lies on the page of the chat, keeps clear of the page's edges and of other bubbles' rows,
holds its lines whole, and is about as wide as its text. Lengths are shares of the page's width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modalities.image.boxes import bounds, contains, holds, overlap
from modalities.image.bubbles import TOLERANCE, Area, Areas
from modalities.image.ocr import Box, OcrLine
from modalities.image.page import AVATAR, EDGE, Page, on_the_page
from modalities.image.sides import Side, assign

UNSURE = 0.5  # OCR confidence
WIDEST = 0.92  # a bubble; the page of a screenshot in a viewer is wider
MIN_FILL = 0.4  # of its bounds: a frame or a mesh is no bubble


@dataclass(eq=False)
class Bubble:
    """A message's area.

    quoted  the lines of the message that it answers
    inner   areas inside it
    """

    area: Area
    side: Side
    quoted: list[OcrLine] = field(default_factory=list)
    inner: list[Box] = field(default_factory=list)

    @property
    def box(self) -> Box:
        return self.area.box

    @property
    def line_height(self) -> float:
        """Of its letters, pixels: the upper half of its lines, as a time is smaller."""
        return float(np.quantile([line.box[3] - line.box[1] for line in self.area.lines], 0.75))


def find_bubbles(
    areas: Areas, texts: Sequence[Area], pixels: NDArray[np.uint8]
) -> tuple[list[Bubble], Page]:
    """The areas of lines (`texts`) that are bubbles, and the page; pixels (h, w, 3) RGB."""
    width = pixels.shape[1]
    shaped = [area for area in texts if _has_shape_of_bubble(area, texts, width)]
    inside = {
        outer: [a for a in shaped if a is not outer and contains(outer.box, a.box)]
        for outer in shaped
    }
    # One box in another is a quote in a bubble; several are bubbles on a page.
    shaped = [area for area in shaped if len(inside[area]) < 2]
    nested = {inner: outer for outer in shaped for inner in inside[outer]}
    shaped = [area for area in shaped if area not in nested]
    page, shaped = on_the_page(areas, shaped, pixels)
    shaped = [area for area in shaped if not _is_avatar(area, shaped, page)]
    beside = [area for area in texts if not _is_avatar(area, shaped, page)]
    row_mates = {area: _beside(area, beside, page) for area in shaped}
    held = {line for area in (*shaped, *nested) for line in area.lines}
    lines = [line for area in texts for line in area.lines if line not in held]
    sides = assign(shaped, row_mates, lines, page, pixels)
    sides |= _cut_at_the_border(texts, sides, nested, pixels)
    bubbles = {area: Bubble(area, side) for area, side in sides.items()}
    for inner, outer in nested.items():
        if outer in bubbles:
            bubbles[outer].quoted += inner.lines
            bubbles[outer].inner.append(inner.box)
    return list(bubbles.values()), page


def _cut_at_the_border(
    texts: Sequence[Area],
    sides: Mapping[Area, Side],
    nested: Mapping[Area, Area],
    pixels: NDArray[np.uint8],
) -> dict[Area, Side]:
    """The sides of bubbles whose outer part, portraits included, was cropped off.

    Such an area ends at one border of the picture, keeps clear of the other by more than any bubble
    at hand, and has not the colour of the other side's.
    """
    height, width = pixels.shape[:2]
    if not sides:
        return {}
    made: dict[Area, Side] = {}
    for area in texts:
        x0, y0, x1, y1 = area.box
        if area in sides or area in nested or area.fill < MIN_FILL or x1 - x0 > WIDEST * width:
            continue
        room = x0, width - x1
        if min(room) > EDGE * width or max(room) < 2 * EDGE * width:
            continue
        if y0 < EDGE * height or y1 > height - EDGE * height:
            continue  # a bar, or the page itself
        text = bounds([line.box for line in area.lines])
        if not holds(area.box, text, min(line.box[3] - line.box[1] for line in area.lines)):
            continue
        side = Side.LEFT if room[0] < room[1] else Side.RIGHT
        others = [other for other, of in sides.items() if of is not side]
        if any(np.abs(area.colour - other.colour).max() <= TOLERANCE for other in others):
            continue
        if not any(overlap(area.box, other.box, axis=1) > 0 for other in (*sides, *made)):
            made[area] = side
    return made


def _has_shape_of_bubble(area: Area, texts: Sequence[Area], width: int) -> bool:
    x0, _, x1, _ = area.box
    if min(x0, width - x1) <= EDGE * width or area.fill < MIN_FILL or x1 - x0 > WIDEST * width:
        return False
    # A patch of an emoji or of a portrait is read as something, but not surely.
    if x1 - x0 < AVATAR * width and max(line.confidence for line in area.lines) < UNSURE:
        return False
    text = bounds([line.box for line in area.lines])
    line_height = min(line.box[3] - line.box[1] for line in area.lines)
    if not holds(area.box, text, line_height):
        return False
    # An input field and a voice message are far wider than what is written in them, a quoted
    # message included.
    inside = [line.box for other in texts for line in other.lines if contains(area.box, other.box)]
    text = bounds([text, *inside])
    return text[2] - text[0] > 0.5 * (x1 - x0) - 1.5 * line_height


def _is_avatar(area: Area, others: Sequence[Area], page: Page) -> bool:
    """A small square between a bubble and the nearer edge of the page, level with it."""
    x0, y0, x1, y1 = area.box
    if x1 - x0 > AVATAR * page.width or not 0.75 < (x1 - x0) / (y1 - y0) < 1.34:
        return False
    on_left = x0 + x1 < page.left + page.right
    return any(
        overlap(area.box, other.box, axis=1) > 0.5 * (y1 - y0)
        and (x1 <= other.box[0] if on_left else other.box[2] <= x0)
        for other in others
        if other is not area
    )


def _beside(area: Area, others: Sequence[Area], page: Page) -> list[Area]:
    """What shares an area's rows: buttons, chips and fields stand side by side, bubbles never."""
    return [
        other
        for other in others
        if overlap(area.box, other.box, axis=1)
        > 0.5 * min(area.box[3] - area.box[1], other.box[3] - other.box[1])
        and overlap(area.box, other.box, axis=0) <= 0
        and contains(other.box, other.lines[0].box)
        and page.left < other.box[0]
        and other.box[2] < page.right
    ]
