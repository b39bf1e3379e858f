"""Which areas are chat bubbles, and whose: geometry first, colour and portraits on a draw.

A bubble lies on the page of the chat, keeps clear of the page's edges and of other bubbles' rows,
holds its lines whole, and is about as wide as its text. One side's bubbles share an edge: the left
edges of the left side's line up, and the right edges of the right side's. Lengths are shares of
the page's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.image.bubbles import TOLERANCE, Area, Areas, contrast
from modalities.image.ocr import Box, OcrLine


class Side(StrEnum):
    LEFT = "left"
    RIGHT = "right"
    NONE = "none"


EDGE = 0.004  # an area that comes nearer to the page's edge is the page itself or a bar
MIDDLE = 0.05  # margins that differ by less do not tell a side
CENTRED = 0.008  # a text whose middle is nearer to the page's is a notice, or a very long message
ALIGNED = 0.008  # edges that differ by less line up
UNSURE = 0.5  # OCR confidence
AVATAR = 0.16  # the widest portrait
WIDEST = 0.92  # a bubble; the page of a screenshot in a viewer is wider
MIN_FILL = 0.4  # of its bounds: a frame or a mesh is no bubble
MIN_PANE = 0.25  # of the picture's width: what is narrower is no page
SMALLER, FAINTER = 0.9, 0.75  # a quote's letters and ink, as shares of the message's
MAX_BAR = 0.15  # of the picture's height: a title or an input bar


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


@dataclass(frozen=True)
class Page:
    """Where a picture's chat is: columns [left, right) of it."""

    left: int
    right: int

    @property
    def width(self) -> int:
        return self.right - self.left


def overlap(a: Box, b: Box, axis: int) -> int:
    """Pixels that two boxes share along x (axis 0) or y (axis 1); negative is the gap."""
    return min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis])


def contains(outer: Box, inner: Box) -> bool:
    return (
        outer[0] <= inner[0]
        and outer[1] <= inner[1]
        and outer[2] >= inner[2]
        and outer[3] >= inner[3]
    )


def bounds(boxes: Sequence[Box]) -> Box:
    edges = np.array(boxes)
    x0, y0 = edges[:, :2].min(0).tolist()
    x1, y1 = edges[:, 2:].max(0).tolist()
    return x0, y0, x1, y1


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
    page, shaped = _on_the_page(areas, shaped, pixels)
    shaped = [area for area in shaped if not _is_avatar(area, shaped, page)]
    beside = [area for area in texts if not _is_avatar(area, shaped, page)]
    shaped = [area for area in shaped if not _shares_its_rows(area, beside, page)]
    clear = {area: side for area in shaped if (side := _by_margins(area, page))}
    shaped = [area for area in shaped if not _is_beyond(area, clear, page)]
    bubbles = {
        area: Bubble(area, side)
        for area in shaped
        if (
            side := clear.get(area)
            or _by_portrait(area, clear, pixels, page)
            or _by_company(area, clear, page)
        )
    }
    for inner, outer in nested.items():
        if outer in bubbles:
            bubbles[outer].quoted += inner.lines
            bubbles[outer].inner.append(inner.box)
    return _with_quotes(list(bubbles.values()), pixels, page), page


def _has_shape_of_bubble(area: Area, texts: Sequence[Area], width: int) -> bool:
    x0, _, x1, _ = area.box
    if min(x0, width - x1) <= EDGE * width or area.fill < MIN_FILL or x1 - x0 > WIDEST * width:
        return False
    # A patch of an emoji or of a portrait is read as something, but not surely.
    if x1 - x0 < AVATAR * width and max(line.confidence for line in area.lines) < UNSURE:
        return False
    text = bounds([line.box for line in area.lines])
    line_height = min(line.box[3] - line.box[1] for line in area.lines)
    if not _holds(area.box, text, line_height):
        return False
    # An input field and a voice message are far wider than what is written in them, a quoted
    # message included.
    inside = [line.box for other in texts for line in other.lines if contains(area.box, other.box)]
    text = bounds([text, *inside])
    return text[2] - text[0] > 0.5 * (x1 - x0) - 1.5 * line_height


def _holds(box: Box, text: Box, line_height: int) -> bool:
    """Whether text lies in a box; what juts out of one was read in a picture, where the fill caught
    only a patch behind it. A line may be cut by a bar above or below."""
    x, y = 0.25 * line_height, 0.5 * line_height
    return (
        text[0] >= box[0] - x
        and text[1] >= box[1] - y
        and text[2] <= box[2] + x
        and text[3] <= box[3] + y
        and box[3] - box[1] > 0.8 * line_height
    )


def _on_the_page(
    areas: Areas, shaped: Sequence[Area], pixels: NDArray[np.uint8]
) -> tuple[Page, list[Area]]:
    """The page, and those of the areas that lie on it.

    What surrounds an area has columns from edge to edge of the part of the window that it is in:
    the chat, a list of contacts beside it, a card, a bar. The chat is the part with most in it,
    and is wide. On a wallpaper the surroundings are patches; then the whole picture is the page.
    """
    width = pixels.shape[1]
    ground = {area: areas.around(area) for area in shaped}
    bars = {under for under in set(ground.values()) if _is_bar(under, pixels)}
    parts: dict[tuple[int, int], float] = {}  # columns → area of what lies there
    columns: dict[Area, tuple[int, int]] = {}
    for area in shaped:
        under = ground[area]
        left, right = under.box[0], under.box[2]
        if under in bars or right - left < MIN_PANE * width or not _spans(under.box, area.box):
            continue
        key = next(
            (k for k in parts if abs(k[0] - left) + abs(k[1] - right) < EDGE * width), (left, right)
        )
        columns[area] = key
        x0, y0, x1, y1 = area.box
        parts[key] = parts.get(key, 0.0) + (x1 - x0) * (y1 - y0) * (right - left) ** 2
    best = max(parts, key=lambda key: parts[key], default=(0, width))
    page = Page(*best)
    return page, [
        area
        for area in shaped
        if ground[area] not in bars
        and columns.get(area, best) == best
        and page.left + EDGE * page.width < area.box[0]
        and area.box[2] < page.right - EDGE * page.width
    ]


def _is_bar(area: Area, pixels: NDArray[np.uint8]) -> bool:
    """A low area along the picture's upper or lower edge; not the last band of a gradient."""
    height, width = pixels.shape[:2]
    x0, top, x1, bottom = area.box
    if bottom - top >= MAX_BAR * height:
        return False
    if top < EDGE * width:
        border = bottom
    elif bottom > height - EDGE * width:
        border = top
    else:
        return False
    above, below = max(border - 4, 0), min(border + 3, height - 1)
    step = np.abs(pixels[below, x0:x1].astype(np.int16) - pixels[above, x0:x1]).max(1)
    return float(np.median(step)) > TOLERANCE / 2


def _spans(outer: Box, inner: Box) -> bool:
    return outer[0] < inner[0] and inner[2] < outer[2]


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


def _shares_its_rows(area: Area, others: Sequence[Area], page: Page) -> bool:
    """Buttons, chips and fields stand side by side; bubbles never do."""
    return any(
        overlap(area.box, other.box, axis=1)
        > 0.5 * min(area.box[3] - area.box[1], other.box[3] - other.box[1])
        and overlap(area.box, other.box, axis=0) <= 0
        and contains(other.box, other.lines[0].box)
        and page.left < other.box[0]
        and other.box[2] < page.right
        for other in others
    )


def _by_margins(area: Area, page: Page) -> Side | None:
    text = bounds([line.box for line in area.lines])
    # A notice's text is in the middle, whatever of the wallpaper the fill reached beside it.
    if abs(text[0] + text[2] - page.left - page.right) < 2 * CENTRED * page.width:
        return None
    left, right = area.box[0] - page.left, page.right - area.box[2]
    if abs(left - right) < MIDDLE * page.width:
        return None
    return Side.LEFT if left < right else Side.RIGHT


def _is_beyond(area: Area, clear: dict[Area, Side], page: Page) -> bool:
    """Whether an area is nearer to the edge than its side's bubbles: a patch of a portrait."""
    side = clear.get(area)
    if side is None:
        return False
    margins = [
        other.box[0] - page.left if side is Side.LEFT else page.right - other.box[2]
        for other, its in clear.items()
        if its is side and other is not area
    ]
    own = area.box[0] - page.left if side is Side.LEFT else page.right - area.box[2]
    return len(margins) > 2 and own < min(margins) - 2 * ALIGNED * page.width


def _by_company(area: Area, clear: dict[Area, Side], page: Page) -> Side | None:
    """The side whose bubbles an area in the middle lines up with, or else shares a colour."""
    offset = {Side.LEFT: float("inf"), Side.RIGHT: float("inf")}
    for side, axis in ((Side.LEFT, 0), (Side.RIGHT, 2)):
        mates = [other for other, its in clear.items() if its is side]
        alike = [mate for mate in mates if _alike(area, mate)]
        edges = sorted(mate.box[axis] for mate in alike or mates)
        if not alike:  # one of another colour may be a patch of a sticker
            edges = [a for a, b in pairwise(edges) if b - a < ALIGNED * page.width]
        if edges:
            offset[side] = min(abs(area.box[axis] - edge) for edge in edges) / page.width
    best = min(offset, key=lambda side: offset[side])
    if offset[best] > ALIGNED:
        return None
    if abs(offset[Side.LEFT] - offset[Side.RIGHT]) > ALIGNED / 4:
        return best
    sides = [side for other, side in clear.items() if _alike(area, other)]
    return max(set(sides), key=sides.count) if sides else None


def _by_portrait(
    area: Area, clear: dict[Area, Side], pixels: NDArray[np.uint8], page: Page
) -> Side | None:
    """The side where a picture stands beside the area's top, if the area has the colour of that
    side's bubbles; None for a notice."""
    x0, y0, x1, y1 = area.box
    rows = slice(y0, min(y1, y0 + round(AVATAR * page.width)))
    detail = []
    for strip in (pixels[rows, page.left : x0 - 1], pixels[rows, x1 + 1 : page.right]):
        grey = cv2.cvtColor(strip, cv2.COLOR_RGB2GRAY)
        detail.append(float((np.abs(grey.astype(int) - np.median(grey)) > 2 * TOLERANCE).mean()))
    if max(detail) < 0.1 or max(detail) < 3 * min(detail):
        return None
    side = Side.LEFT if detail[0] > detail[1] else Side.RIGHT
    mates = [other for other, its in clear.items() if its is side]
    # One mate alone may be a quote's box.
    return side if len(mates) < 2 or any(_alike(area, mate) for mate in mates) else None


def _alike(a: Area, b: Area) -> bool:
    return bool(np.abs(a.colour - b.colour).max() <= TOLERANCE)


def _with_quotes(bubbles: list[Bubble], pixels: NDArray[np.uint8], page: Page) -> list[Bubble]:
    """Give a bubble the box just below or above it that quotes what it answers.

    Such a box is of another colour than its side's bubbles, its letters smaller or fainter.
    """
    kept = []
    for bubble in bubbles:
        owner = next((b for b in bubbles if _may_be_quote_of(bubble, b, page)), None)
        if owner is not None and _is_quote_of(bubble, owner, pixels):
            owner.quoted += bubble.area.lines
        else:
            kept.append(bubble)
    return kept


def _may_be_quote_of(quote: Bubble, owner: Bubble, page: Page) -> bool:
    axis = 0 if owner.side is Side.LEFT else 2
    return (
        quote.side is owner.side
        and 0 <= -overlap(quote.box, owner.box, axis=1) < 0.5 * owner.line_height
        and abs(quote.box[axis] - owner.box[axis]) < 2 * ALIGNED * page.width
    )


def _is_quote_of(quote: Bubble, owner: Bubble, pixels: NDArray[np.uint8]) -> bool:
    """Two of three: another colour, smaller letters, fainter letters."""
    signs = (
        np.abs(quote.area.colour - owner.area.colour).max() > TOLERANCE,
        quote.line_height < SMALLER * owner.line_height,
        contrast(pixels, quote.area) < FAINTER * contrast(pixels, owner.area),
    )
    return sum(map(bool, signs)) >= 2
