"""Whose a chat's bubbles are: one decision for all of a picture.

The left side's bubbles share a left edge, the right side's a right one. Of all pairs of edges that
pair is taken which explains most: bubbles that stand on an edge, and what speaks for a side beside
them (portraits at the outer side, names aligned above, times at the inner side, the wider margin),
while a colour on both sides, or a second one on a side, counts against it. A bubble on neither edge
is of the side whose colour it has, or a notice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.image.boxes import bounds, overlap
from modalities.image.bubbles import TOLERANCE, Area
from modalities.image.ocr import Box, OcrLine
from modalities.image.page import AVATAR, Page


class Side(StrEnum):
    LEFT = "left"
    RIGHT = "right"
    NONE = "none"


ALIGNED = 0.01  # of the page's width: edges that differ by less line up
CENTRED = 0.01  # a text whose middle is nearer to the page's is a notice, or a very long message
SAME_COLOUR = 2  # levels
CLEAR = 0.25  # a difference of the margins that leaves no doubt
# What counts how much, where a bubble on an edge counts 1.
MARGIN, NEIGHBOUR, MIXED = 0.5, 0.6, 0.5

Signs = dict[Area, float]  # from -1, surely right, to 1, surely left


@dataclass(frozen=True)
class Anchors:
    """The left side's left edge and the right side's right one; None where a side is silent."""

    left: float | None
    right: float | None


def assign(
    areas: Sequence[Area],
    row_mates: Mapping[Area, Sequence[Area]],
    lines: Sequence[OcrLine],
    page: Page,
    pixels: NDArray[np.uint8],
) -> dict[Area, Side]:
    """The areas that are bubbles, with their sides.

    `row_mates` are what stands beside an area, as bubbles never do, unless outside of the chat;
    `lines` are those on none of the areas.
    """
    sure = [area for area in areas if not row_mates[area] and not _is_centred(area, page)]
    sure = sure or [area for area in areas if not row_mates[area]]
    if not sure:
        return {}
    signs = _signs(areas, lines, page)
    colours = _colours(areas)
    lefts = [None, *_clusters([area.box[0] for area in sure], page)]
    rights = [None, *_clusters([area.box[2] for area in sure], page)]
    tried = [Anchors(*pair) for pair in product(lefts, rights) if pair != (None, None)]
    ranked = [(_score(sure, pair, signs, colours, page, pixels), pair) for pair in tried]
    best = max(ranked, key=lambda one: one[0])[1]
    sides = _sides(areas, best, signs, colours, page)
    sides |= _off_the_edges(areas, sides, best, page)
    return {
        area: side
        for area, side in sides.items()
        if not any(_is_between(mate, best, page) for mate in row_mates[area])
    }


def _is_centred(area: Area, page: Page) -> bool:
    """Whether an area's only row has its middle where the page has it, as a notice's."""
    text = bounds([line.box for line in area.lines])
    if text[3] - text[1] > 1.5 * max(line.box[3] - line.box[1] for line in area.lines):
        return False
    return abs(text[0] + text[2] - page.left - page.right) < 2 * CENTRED * page.width


def _is_between(area: Area, anchors: Anchors, page: Page) -> bool:
    slack = ALIGNED * page.width
    return (anchors.left is None or area.box[0] >= anchors.left - slack) and (
        anchors.right is None or area.box[2] <= anchors.right + slack
    )


def _clusters(edges: Sequence[int], page: Page) -> list[float]:
    """Medians of edges that line up."""
    made: list[list[int]] = []
    for edge in sorted(edges):
        if made and edge - made[-1][0] <= ALIGNED * page.width:
            made[-1].append(edge)
        else:
            made.append([edge])
    return [float(np.median(group)) for group in made]


def _colours(areas: Sequence[Area]) -> dict[Area, int]:
    """Which of the picture's bubble colours each area has."""
    firsts: list[Area] = []
    made: dict[Area, int] = {}
    for area in areas:
        same = [i for i, first in enumerate(firsts) if _alike(area, first)]
        if not same:
            firsts.append(area)
        made[area] = same[0] if same else len(firsts) - 1
    return made


def _alike(a: Area, b: Area) -> bool:
    """Of one colour; gradients, whose first colour depends on the place, are all alike."""
    if a.is_gradient and b.is_gradient:
        return True
    return bool(np.abs(a.colour - b.colour).max() <= TOLERANCE)


def _signs(areas: Sequence[Area], lines: Sequence[OcrLine], page: Page) -> Signs:
    """Which side the margins and the lines beside and above an area speak for."""
    made = {}
    for area in areas:
        x0, _, x1, _ = area.box
        margins = (page.right - x1 - (x0 - page.left)) / (CLEAR * page.width)
        near = [vote for line in lines if (vote := _vote(line.box, area.box, page))]
        neighbours = float(np.sign(sum(near)))
        made[area] = MARGIN * float(np.clip(margins, -1, 1)) + NEIGHBOUR * neighbours
    return made


def _vote(line: Box, box: Box, page: Page) -> int:
    """1 for left, -1 for right: a name stands above the edge that a side's bubbles share, a time
    or a read mark beside the other edge."""
    height = line[3] - line[1]
    slack = ALIGNED * page.width + 0.15 * height
    beside = overlap(line, box, axis=1) > 0.5 * height
    gap = overlap(line, box, axis=0)
    if beside and -1.5 * height < gap <= 0:
        return 1 if line[0] >= box[2] else -1
    if -0.25 * height <= box[1] - line[3] < height:
        left, right = abs(line[0] - box[0]) < slack, abs(line[2] - box[2]) < slack
        return int(left) - int(right)
    return 0


def _sides(
    areas: Sequence[Area], anchors: Anchors, signs: Signs, colours: dict[Area, int], page: Page
) -> dict[Area, Side]:
    """The sides of what stands on an edge, and goes beyond the other by no more than a portrait."""
    slack, reach = ALIGNED * page.width, AVATAR * page.width
    left = -np.inf if anchors.left is None else anchors.left
    right = np.inf if anchors.right is None else anchors.right
    fits = {
        area: (abs(area.box[0] - left) <= slack, abs(area.box[2] - right) <= slack)
        for area in areas
        if area.box[0] >= left - reach and area.box[2] <= right + reach
    }
    clear = {
        area: Side.LEFT if on_left else Side.RIGHT
        for area, (on_left, on_right) in fits.items()
        if on_left != on_right
    }
    for area, (on_left, on_right) in fits.items():
        if on_left and on_right:
            mates = [side for other, side in clear.items() if colours[other] == colours[area]]
            nearer = abs(area.box[2] - right) - abs(area.box[0] - left)
            most = mates.count(Side.LEFT) - mates.count(Side.RIGHT)
            lean = most or (nearer if abs(nearer) > slack / 4 else signs[area])
            clear[area] = Side.LEFT if lean >= 0 else Side.RIGHT
    return clear


def _score(
    areas: Sequence[Area],
    anchors: Anchors,
    signs: Signs,
    colours: dict[Area, int],
    page: Page,
    pixels: NDArray[np.uint8],
) -> float:
    sides = _sides(areas, anchors, signs, colours, page)
    score = 0.0
    counts: dict[int, list[int]] = {}
    for area, side in sides.items():
        toward = 1 if side is Side.LEFT else -1
        score += 1 + toward * (signs[area] + NEIGHBOUR * _portrait(area, anchors, page, pixels))
        counts.setdefault(colours[area], [0, 0])[side is Side.RIGHT] += 1
    mixed = sum(min(pair) for pair in counts.values())
    for one in zip(*counts.values(), strict=True):  # a side's bubbles of each colour
        mixed += sum(one) - max(one)
    return score - MIXED * mixed


def _portrait(area: Area, anchors: Anchors, page: Page, pixels: NDArray[np.uint8]) -> int:
    """1 where a picture stands left of the left side's edge, level with an area; -1 for right."""
    x0, y0, x1, y1 = area.box
    reach = round(AVATAR * page.width)
    rows = slice(max(0, y0 - reach // 3), min(y1, y0 + reach) if y1 - y0 > 2 * reach else y1)
    left = x0 if anchors.left is None else min(x0, round(anchors.left))
    right = x1 if anchors.right is None else max(x1, round(anchors.right))
    shares = [
        _detail(pixels[rows, max(page.left, left - reach) : max(left - 2, 0)]),
        _detail(pixels[rows, right + 2 : min(page.right, right + reach)]),
    ]
    if max(shares) < 0.1 or max(shares) < 3 * min(shares):
        return 0
    return 1 if shares[0] > shares[1] else -1


def _detail(strip: NDArray[np.uint8]) -> float:
    """Share of the pixels that differ from the strip's commonest shade."""
    if not strip.size:
        return 0.0
    grey = cv2.cvtColor(np.ascontiguousarray(strip), cv2.COLOR_RGB2GRAY)
    return float((np.abs(grey.astype(int) - np.median(grey)) > 2 * TOLERANCE).mean())


def _off_the_edges(
    areas: Sequence[Area], sides: dict[Area, Side], anchors: Anchors, page: Page
) -> dict[Area, Side]:
    """The sides of what stands on no edge, between them, in the very colour of one side alone."""
    made = {}
    for area in areas:
        if area in sides or not _is_between(area, anchors, page) or _is_centred(area, page):
            continue
        mates = {
            side
            for other, side in sides.items()
            if np.abs(area.colour - other.colour).max() <= SAME_COLOUR
        }
        if len(mates) == 1:
            made[area] = mates.pop()
    return made
