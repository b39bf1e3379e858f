"""What sort of picture one is: a few measures, rules over them, and the rule's words as reason.

No labelled photographs are at hand to learn from, so the rules are ours. Their thresholds were set
on stickers of the `dev` split, screenshots and documents that we draw, and some thirty photographs
that come with Python and desktop packages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.image.chat import Kind, ReadMessage
from modalities.image.colours import commonest, largest
from modalities.image.ocr import Box, OcrLine
from modalities.image.times import is_time

MEASURED_SIDE = 640  # pixels; larger pictures are shrunk to it before they are measured
STICKER_SIDE = 420  # pixels; chats keep stickers this small
FEW_COLOURS = 40  # of a drawing; photographs in colour have twice as many
SURE_LINE = 0.7  # OCR confidence of a line that is counted
FLAT_LEVELS = 12  # that a block of 8 × 8 pixels without a pattern spans, JPEG's noise included
LEAST_SENTENCE = 8  # characters of a line that is no title
ALL_EMPTY = 0.998  # of a plain page's pixels beside its lines
MIN_SHARE = 0.001  # of the pixels, for a colour to be counted


class ImageKind(StrEnum):
    SCREENSHOT = "screenshot"  # of a chat
    FACE = "face"
    STICKER = "sticker"  # or a meme
    PHOTO = "photo"  # of a product, or of anything
    DOCUMENT = "document"  # a page of text: an order, a letter


@dataclass(frozen=True)
class Measures:
    """What the rules go by.

    messages, other  bubbles of a chat; times, names and notices beside them
    surest           OCR confidence of the surest bubble
    lines, text      lines of text, and the share of the picture that they cover
    flat, colours    share of the blocks without a pattern; how many colours are common
    top              share of the three commonest colours
    face             share of the picture that its largest face covers, 0 without one
    side, aspect     long side in pixels; height over width
    plain            whether there is nothing but sentences on one colour
    """

    messages: int
    surest: float
    other: int
    lines: int
    text: float
    flat: float
    colours: int
    top: float
    face: float
    side: int
    aspect: float
    plain: bool = False


@dataclass(frozen=True)
class Classified:
    """kind, how sure that is in [0, 1], and why, in words."""

    kind: ImageKind
    confidence: float
    reason: str


def measure(
    pixels: NDArray[np.uint8],
    lines: Sequence[OcrLine],
    messages: Sequence[ReadMessage],
    faces: Sequence[Box],
) -> Measures:
    """Of (h, w, 3) RGB pixels and what was found in them."""
    height, width = pixels.shape[:2]
    small = shrunk(pixels)
    cells = (small >> 4).reshape(-1, 3).astype(np.int64) @ np.array([256, 16, 1])
    shares = np.sort(np.bincount(cells, minlength=4096) / cells.size)[::-1]  # (4096,)
    sure = [line for line in lines if line.text and line.confidence >= SURE_LINE]
    said = [message for message in messages if message.kind is Kind.MESSAGE]
    return Measures(
        messages=len(said),
        surest=max((message.confidence for message in said), default=0.0),
        other=sum(m.kind in (Kind.TIMESTAMP, Kind.NAME, Kind.SYSTEM) for m in messages),
        lines=len(sure),
        text=min(1.0, sum(_size(line.box) for line in sure) / (height * width)),
        flat=_flat(small),
        colours=int((shares >= MIN_SHARE).sum()),
        top=float(shares[:3].sum()),
        face=_size(faces[0]) / (height * width) if faces else 0.0,
        side=max(height, width),
        aspect=height / width,
        plain=_plain(small, sure, small.shape[0] / height),
    )


def _plain(small: NDArray[np.uint8], sure: Sequence[OcrLine], scale: float) -> bool:
    """Whether a picture, shrunk by `scale`, shows nothing but its lines on one colour, one of them
    as long as a sentence and none a time, as an app's screen has it."""
    longest = max((len(line.text) for line in sure), default=0)
    if longest < LEAST_SENTENCE or any(is_time(line.text) for line in sure):
        return False
    ground = commonest(small[::2, ::2].reshape(-1, 3).astype(np.int16))
    empty = largest(np.abs(small.astype(np.int16) - ground)) <= FLAT_LEVELS  # (h, w)
    for line in sure:
        x0, y0, x1, y1 = (round(value * scale) for value in line.box)
        empty[max(y0 - 1, 0) : y1 + 1, max(x0 - 1, 0) : x1 + 1] = True
    return float(empty.mean()) > ALL_EMPTY


def shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(h, w, 3) with a long side of at most MEASURED_SIDE."""
    scale = MEASURED_SIDE / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def classify(m: Measures) -> Classified:
    """The first rule that fits decides; how far its measure is beyond the threshold, how surely."""
    small = m.side <= STICKER_SIDE
    # One bubble alone may be a box in a picture; several are a chat.
    several = m.messages > (2 if small else 1)
    if several or (m.messages and not small and m.surest >= SURE_LINE and m.other):
        return Classified(
            ImageKind.SCREENSHOT,
            1 - 0.4 / (m.messages + 0.5 * m.other),
            f"{m.messages} chat bubbles, {m.other} lines beside them",
        )
    if not m.lines and m.flat > 0.98:
        return Classified(ImageKind.PHOTO, 0.5, "blank: no text, no face and hardly any detail")
    if m.face and not (small and m.lines):
        return Classified(
            ImageKind.FACE,
            _sure(m.face, 0.0, 0.1),
            f"a face over {100 * m.face:.0f} % of the picture",
        )
    if m.plain and not small:
        return Classified(
            ImageKind.DOCUMENT, 0.8, f"nothing but {m.lines} lines of text on one colour"
        )
    if not small and m.flat > 0.75 and 0 < m.lines <= 6 and m.text < 0.05:
        return Classified(
            ImageKind.SCREENSHOT,
            _sure(m.flat, 0.75, 1.0),
            f"an app's screen without messages: {100 * m.flat:.0f} % of it flat, {m.lines} lines",
        )
    if not small and (m.lines >= 8 or (m.lines >= 4 and m.text > 0.12 and m.flat > 0.3)):
        return Classified(
            ImageKind.DOCUMENT,
            _sure(m.lines, 3, 16),
            f"{m.lines} lines of text over {100 * m.text:.0f} % of the picture",
        )
    if small and m.lines:
        return Classified(
            ImageKind.STICKER, _sure(m.text, 0.0, 0.1), f"a small picture with {m.lines} lines"
        )
    if small and m.colours < FEW_COLOURS:
        return Classified(
            ImageKind.STICKER,
            _sure(-m.colours, -FEW_COLOURS, 0),
            f"a small drawing of {m.colours} common colours",
        )
    if m.top > 0.6 and m.colours < 60:
        return Classified(
            ImageKind.STICKER,
            _sure(m.top, 0.6, 0.9),
            f"drawn: three colours cover {100 * m.top:.0f} % of it",
        )
    if m.lines and m.text > 0.03:
        return Classified(
            ImageKind.STICKER, _sure(m.text, 0.03, 0.2), f"a picture with {m.lines} lines set large"
        )
    return Classified(
        ImageKind.PHOTO,
        _sure(m.colours, 10, 100),
        f"{m.colours} common colours, no face, {m.lines} lines of text",
    )


def _sure(value: float, threshold: float, certain: float) -> float:
    """0.5 at the threshold to 0.95 where the measure is as far beyond it as `certain`."""
    return 0.5 + 0.45 * float(np.clip((value - threshold) / (certain - threshold), 0.0, 1.0))


def _flat(pixels: NDArray[np.uint8]) -> float:
    """Share of the blocks of 8 × 8 pixels that span few levels in every channel."""
    height, width = (side // 8 * 8 for side in pixels.shape[:2])
    if not height or not width:
        return 0.0
    blocks = pixels[:height, :width].reshape(height // 8, 8, width // 8, 8, 3)
    spans = blocks.max((1, 3)).astype(np.int16) - blocks.min((1, 3))  # (rows, columns, 3)
    return float((largest(spans) <= FLAT_LEVELS).mean())


def _size(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
