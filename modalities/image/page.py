"""Where in a picture its chat is: the columns of a window that hold most of the bubbles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modalities.image.bubbles import TOLERANCE, Area, Areas

EDGE = 0.004  # of the width: an area that comes nearer to the page's edge is the page or a bar
AVATAR = 0.16  # of the width: the widest portrait
MIN_PANE = 0.2  # of the picture's width: what is narrower is no page
MAX_BAR = 0.15  # of the picture's height: a title or an input bar


@dataclass(frozen=True)
class Page:
    """Columns [left, right) of a picture."""

    left: int
    right: int

    @property
    def width(self) -> int:
        return self.right - self.left


def on_the_page(
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
        if under in bars or right - left < MIN_PANE * width or not _spans(under, area, width):
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


def _spans(outer: Area, inner: Area, width: int) -> bool:
    """Whether an area reaches well beyond another at both sides: not its shadow or outline."""
    room = 2 * EDGE * width
    return outer.box[0] < inner.box[0] - room and inner.box[2] + room < outer.box[2]
