"""Emoji in chat bubbles, which the OCR does not read: where they are, and their place in the text.

An emoji is a compact blob about as high as a line, with a solid patch of a colour that letters do
not have: not on the way from the bubble's colour to its ink, which is where the edges of letters
are. Grey and white emoji are therefore not found, nor are those larger than a line.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.image.boxes import overlap
from modalities.image.colours import largest
from modalities.image.emoji_names import describe, names
from modalities.image.ocr import Box, OcrLine

COLOURED = 45  # levels from every mix of the bubble's colour and its ink
SOLID = 0.18  # line heights: the least side of a patch without a hole; strokes are half as thick
FULL = 0.4  # of its box: what of an emoji is coloured, at least
JOINED = 0.12  # line heights: parts of one emoji are no farther apart
LOW, HIGH = 0.55, 1.5  # an emoji's height in line heights
WIDE = 1.45  # widths over heights: two that touch are wider
LEFT_OVER = 0.6  # line heights of an OCR line beside its emoji: less is no letter
NARROW = 0.55  # widths of a Latin letter, in those of a Chinese character


@dataclass(frozen=True)
class Emoji:
    """One emoji: its character, "" where it is not sure which, and how sure, [0, 1]."""

    box: Box
    character: str
    confidence: float


def find_emoji(
    pixels: NDArray[np.uint8],
    box: Box,
    ground: NDArray[np.int16],
    ink: NDArray[np.float64],
    line_height: float,
) -> list[Emoji]:
    """The emoji in a bubble of (h, w, 3) RGB pixels, from left to right.

    `ground` (2, 3) are the ends of the bubble's gradient, twice its colour where it has none; `ink`
    (3,) is its letters' colour.
    """
    x0, y0, x1, y1 = box
    inside = pixels[y0:y1, x0:x1]
    found = []
    for left, top, right, bottom in blobs(inside, ground, ink, line_height):
        crop = inside[top:bottom, left:right]
        character, confidence = names().name(describe(crop, ground.mean(0)))
        at = (x0 + left, y0 + top, x0 + right, y0 + bottom)
        found.append(Emoji(at, character, confidence))
    return sorted(found, key=lambda emoji: emoji.box[0])


def blobs(
    inside: NDArray[np.uint8],
    ground: NDArray[np.int16],
    ink: NDArray[np.float64],
    line_height: float,
) -> list[Box]:
    """Boxes in (h, w, 3) RGB pixels of what has an emoji's size and solid colour."""
    coloured = (_beyond_mixes(inside, ground, ink) > COLOURED).astype(np.uint8)
    core = cv2.erode(coloured, _kernel(SOLID * line_height), borderValue=0)
    if not core.any():
        return []
    joined = cv2.morphologyEx(coloured, cv2.MORPH_CLOSE, _kernel(JOINED * line_height))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    solid = np.bincount(labels[core > 0], minlength=count) > 0
    full = np.bincount(labels[coloured > 0], minlength=count)
    made: list[Box] = []
    for label in range(1, count):
        x, y, width, height = stats[label, :4].tolist()
        if not solid[label] or not LOW * line_height <= height <= HIGH * line_height:
            continue
        if width < LOW * line_height / 1.5 or full[label] < FULL * width * height:
            continue
        parts = max(1, round(width / height)) if width > WIDE * height else 1
        edges = np.linspace(x, x + width, parts + 1).round().astype(int).tolist()
        made += [(a, y, b, y + height) for a, b in pairwise(edges)]
    return made


def with_emoji(lines: Sequence[OcrLine], emoji: Sequence[Emoji]) -> list[OcrLine]:
    """Lines cut where emoji stand in them, and a line for each that has a name.

    What the OCR read over nothing but emoji is left out, as are the few emoji that it does read,
    not always right.
    """
    made = [OcrLine(one.character, one.box, one.confidence) for one in emoji if one.character]
    for line in lines:
        height = line.box[3] - line.box[1]
        on = [
            one
            for one in emoji
            if overlap(line.box, one.box, axis=1) > 0.5 * min(height, one.box[3] - one.box[1])
            and overlap(line.box, one.box, axis=0) > 0
        ]
        made += _cut(line, on) if on else [line]
    return made


def _cut(line: OcrLine, emoji: Sequence[Emoji]) -> list[OcrLine]:
    """The pieces of a line beside its emoji, its characters shared out by the pieces' widths."""
    x0, y0, x1, y1 = line.box
    edges = [x0]
    for one in emoji:
        edges += [max(x0, one.box[0]), min(x1, one.box[2])]
    edges.append(x1)
    pieces = [
        (left, right)
        for left, right in zip(edges[::2], edges[1::2], strict=True)
        if right - left > LEFT_OVER * (y1 - y0)
    ]
    if not pieces:
        return []
    letters = [one for one in line.text if unicodedata.category(one) != "So"]
    widths = np.array([1.0 if ord(one) > 0x2E7F else NARROW for one in letters])
    middles = (np.cumsum(widths) - widths / 2) / widths.sum() if widths.size else widths
    ends = np.cumsum([right - left for left, right in pieces])
    owner = np.searchsorted(ends / ends[-1], middles)  # (characters,)
    made = []
    for index, (left, right) in enumerate(pieces):
        text = "".join(c for c, at in zip(letters, owner, strict=True) if at == index)
        made.append(OcrLine(text.strip(), (left, y0, right, y1), line.confidence))
    return made


def _beyond_mixes(
    inside: NDArray[np.uint8], ground: NDArray[np.int16], ink: NDArray[np.float64]
) -> NDArray[np.float32]:
    """How far (h, w) each pixel's colour is from the nearest mix of ground and ink, levels."""
    start = ground.mean(0).astype(np.float32)
    way = ink.astype(np.float32) - start
    offset = inside.astype(np.float32) - start  # (h, w, 3)
    share = np.clip(offset @ way / max(float(way @ way), 1.0), 0.0, 1.0)
    beyond: NDArray[np.float32] = largest(np.abs(offset - share[..., None] * way))
    # What a gradient's ends differ by is no colour of its own.
    return beyond - float(np.abs(ground[1] - ground[0]).max()) / 2


def _kernel(side: float) -> NDArray[np.uint8]:
    size = max(2, round(side))
    return np.ones((size, size), np.uint8)
