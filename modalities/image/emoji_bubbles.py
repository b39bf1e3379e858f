"""Which bubbles of a chat hold emoji, and those that hold nothing else.

The OCR finds no line in a bubble of emoji alone. Such a bubble has the colour of its side's others
and stands on the edge that they share, so it is met on the way down along that edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modalities.image.boxes import contains
from modalities.image.bubbles import TOLERANCE, Area, Areas, ink
from modalities.image.emoji import Emoji, find_emoji
from modalities.image.find import MIN_FILL, Bubble
from modalities.image.ocr import OcrLine
from modalities.image.page import Page
from modalities.image.parts import Parts
from modalities.image.sides import ALIGNED, Side

INSET = 0.25  # line heights from a bubble's edge, where its colour is met
LOWEST, HIGHEST = 0.8, 3.5  # line heights of a bubble of one row, its round corners left out


@dataclass(frozen=True)
class Typeset:
    """How a chat is set: a line's height in pixels, and each side's ink, (3,) RGB."""

    line_height: float
    inks: dict[Side, NDArray[np.float64]]

    @staticmethod
    def of(bubbles: Sequence[Bubble], pixels: NDArray[np.uint8]) -> Typeset:
        """Medians over all bubbles: what was read over an emoji has neither's height nor ink."""
        inks: dict[Side, list[NDArray[np.float64]]] = {}
        for bubble in bubbles:
            found = [ink(pixels, line).colour for line in bubble.area.lines]
            inks.setdefault(bubble.side, []).extend(found)
        return Typeset(
            float(np.median([bubble.line_height for bubble in bubbles])),
            {side: np.median(found, axis=0) for side, found in inks.items()},
        )


def emoji_in(
    bubble: Bubble, parts: Parts, typeset: Typeset, pixels: NDArray[np.uint8]
) -> list[Emoji]:
    """Emoji in a bubble's message; not those in its name or in what it quotes."""
    apart = [line.box for line in (*parts.name, *parts.quoted)] + bubble.inner
    return [
        emoji
        for emoji in _find(bubble.area, bubble.side, typeset, pixels)
        if not any(box[1] <= (emoji.box[1] + emoji.box[3]) / 2 < box[3] for box in apart)
    ]


def without_words(
    bubbles: Sequence[Bubble],
    lines: Sequence[OcrLine],
    page: Page,
    typeset: Typeset,
    pixels: NDArray[np.uint8],
) -> list[tuple[Bubble, list[Emoji]]]:
    """Bubbles that hold emoji alone, with these; `lines` may have been read over some."""
    found = []
    for side in typeset.inks:
        mates = [bubble for bubble in bubbles if bubble.side is side]
        for area in _along_the_edge(mates, page, typeset.line_height, pixels):
            emoji = _find(area, side, typeset, pixels)
            if emoji:
                area.lines = [line for line in lines if contains(area.box, line.box)]
                found.append((Bubble(area, side), emoji))
    return found


def _find(area: Area, side: Side, typeset: Typeset, pixels: NDArray[np.uint8]) -> list[Emoji]:
    ground = np.stack([area.colour, area.last_colour])
    return find_emoji(pixels, area.box, ground, typeset.inks[side], typeset.line_height)


def _along_the_edge(
    mates: Sequence[Bubble],
    page: Page,
    line_height: float,
    pixels: NDArray[np.uint8],
) -> list[Area]:
    """Low areas in the colour of a side's bubbles, on their edge, that none of them is."""
    axis, inward = (0, 1) if mates[0].side is Side.LEFT else (2, -1)
    edge = float(np.median([bubble.box[axis] for bubble in mates]))
    column = round(edge + inward * INSET * line_height)
    if not 0 <= column < pixels.shape[1]:
        return []
    free = np.ones(len(pixels), bool)  # (h,)
    for bubble in mates:
        free[max(bubble.box[1] - 2, 0) : bubble.box[3] + 2] = False
    colours = np.unique([bubble.area.colour for bubble in mates], axis=0)  # (n, 3)
    steps = np.abs(pixels[:, None, column].astype(np.int16) - colours).max(2).min(1)  # (h,)
    same = np.concatenate([[0], (free & (steps <= TOLERANCE)).astype(np.int8), [0]])
    turns = np.flatnonzero(np.diff(same)).reshape(-1, 2)
    found: list[Area] = []
    for top, bottom in turns.tolist():
        if not LOWEST * line_height <= bottom - top <= HIGHEST * line_height:
            continue
        # Apart from the areas that are known: the page's may have leaked into a bubble unread.
        first = max(0, top - round(line_height))
        area = Areas(pixels[first : bottom + round(line_height)]).at(
            column, (top + bottom) // 2 - first
        )
        x0, y0, x1, y1 = area.box
        area.box = (x0, y0 + first, x1, y1 + first)
        if (
            area.box[3] - area.box[1] <= HIGHEST * line_height
            and abs(area.box[axis] - edge) <= ALIGNED * page.width
            and page.left < area.box[0]
            and area.box[2] < page.right
            and area.fill >= MIN_FILL
        ):
            found.append(area)
    return found
