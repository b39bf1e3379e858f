"""What stands in one bubble beside its message: a time, the sender's name, a quoted message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.image.boxes import overlap
from modalities.image.bubbles import TOLERANCE, Ink, contrast, ink
from modalities.image.colours import largest
from modalities.image.find import Bubble
from modalities.image.ocr import OcrLine
from modalities.image.page import Page
from modalities.image.sides import ALIGNED, Side
from modalities.image.times import is_time

INK = 40  # levels that one ink differs from another, or from what it stands on
SATURATED = 60  # levels between the strongest and the weakest channel of a coloured ink
SMALLER, FAINTER = 0.9, 0.75  # a quote's letters and ink, as shares of the message's
SURE, UNSURE = 0.8, 0.5  # OCR confidence: an emoji, or a line cut in half, is read as another
SMALL_TIME = 0.85  # of a line's height: a bubble's own time
SMALL_LABEL = 0.85  # of a line's height: what names a card
PICTURE = 1.6  # line heights that a picture in a bubble is wide and high, at least
_LINK = re.compile(r"https?:|www\.|[a-z0-9-]+\.(?:com|cn|net|org)\b|^[@#]", re.IGNORECASE)
# The drawn wave beside it comes out of the OCR as upright strokes, if at all.
_VOICE = re.compile(r"[\W_ılIi1|丨山川叫皿]{0,8}?\d{1,3}\s?(?:[\"“”″'’′°º]{1,2}|秒|s)\W*")
# What an app calls a card of money, below it: small, or with the app's own name.
_MONEY = re.compile(
    r"(微信|支付宝|QQ|wechat|alipay)?\s*(?:红包|转账|收款|red ?packet|transfer)", re.IGNORECASE
)


@dataclass(frozen=True)
class Parts:
    """Lines of one bubble, by what they are."""

    body: list[OcrLine]
    clock: list[OcrLine]
    name: list[OcrLine]
    quoted: list[OcrLine]


def take_apart(bubble: Bubble, pixels: NDArray[np.uint8]) -> Parts:
    """The lines of a bubble on (h, w, 3) RGB pixels; a body is left whatever happens."""
    lines = sorted(bubble.area.lines, key=lambda line: line.box[1])
    clock = _clock(lines)
    rest = [line for line in lines if line not in clock]
    if max(line.confidence for line in rest) >= SURE:
        rest = [line for line in rest if line.confidence >= UNSURE]
    inks = {line: ink(pixels, line) for line in rest}
    name = _name(rest, bubble, inks)
    rest = [line for line in rest if line not in name]
    quoted = [line for line in rest if _has_bar(line, bubble, pixels)]
    if not quoted or len(quoted) == len(rest):
        quoted = _faint_rows(rest, inks)
    body = [line for line in rest if line not in quoted]
    return Parts(body, clock, name, [*bubble.quoted, *quoted])


def is_voice(text: str) -> bool:
    """Whether a bubble's text is the length of a voice message, such as 17"."""
    return len(text) <= 12 and _VOICE.fullmatch(text) is not None


def is_card(body: Sequence[OcrLine]) -> bool:
    """Whether a bubble is a card of a red packet or of a transfer, by the label under it."""
    ordered = sorted(body, key=lambda line: line.box[1] + line.box[3])
    label = _MONEY.fullmatch(ordered[-1].text.strip()) if len(ordered) > 1 else None
    if label is None:
        return False
    heights = [line.box[3] - line.box[1] for line in ordered]
    return label[1] is not None or heights[-1] < SMALL_LABEL * max(heights[:-1])


def holds_picture(bubble: Bubble, pixels: NDArray[np.uint8]) -> bool:
    """Whether something large that is no text lies in a bubble: a card of goods, a link."""
    x0, y0, x1, y1 = bubble.box
    inside = pixels[y0:y1, x0:x1].astype(np.int16)
    ends = np.stack([bubble.area.colour, bubble.area.last_colour])  # of a gradient
    beyond = largest(np.maximum(ends.min(0) - inside, inside - ends.max(0)))
    differs = beyond > 2 * TOLERANCE
    lines = [line.box for line in bubble.area.lines]
    for left, top, right, bottom in lines + bubble.inner:
        margin = (bottom - top) // 4
        differs[
            max(top - margin - y0, 0) : bottom + margin - y0, max(left - x0, 0) : right - x0
        ] = 0
    size = round(PICTURE * bubble.line_height)
    kernel = np.ones((size, size), np.uint8)
    return bool(cv2.erode(differs.astype(np.uint8), kernel, borderValue=0).any())


def _clock(lines: Sequence[OcrLine]) -> list[OcrLine]:
    """The small time at the lower right."""
    tallest = max(line.box[3] - line.box[1] for line in lines)
    bottom = max(line.box[3] for line in lines)
    found = [
        line
        for line in lines
        if is_time(line.text)
        and line.box[3] - line.box[1] < SMALL_TIME * tallest
        and line.box[3] > bottom - 0.5 * tallest
    ]
    return found if len(found) < len(lines) else []


def _has_bar(line: OcrLine, bubble: Bubble, pixels: NDArray[np.uint8]) -> bool:
    """Whether an upright stroke stands left of a line, over its whole height."""
    x0, y0, _, y1 = line.box
    height = y1 - y0
    left = max(bubble.box[0] + 2, x0 - round(1.2 * height))
    strip = pixels[y0 + height // 8 : y1 - height // 8, left : x0 - 1]
    if not strip.size:
        return False
    differs = largest(np.abs(strip.astype(np.int16) - bubble.area.colour)) > INK / 2
    columns = differs.mean(0) > 0.95  # (w,)
    # With the bubble on both sides of it: neither the bubble's edge nor a letter.
    return bool(columns.any() and not columns[0] and columns.sum() < 0.35 * height)


def _faint_rows(lines: Sequence[OcrLine], inks: dict[OcrLine, Ink]) -> list[OcrLine]:
    """The first rows, where they are fainter than the rest."""
    strength = [inks[line].contrast for line in lines]
    for count in range(len(lines) - 1, 0, -1):
        if max(strength[:count]) < FAINTER * min(strength[count:]):
            return list(lines[:count])
    return []


def _name(lines: Sequence[OcrLine], bubble: Bubble, inks: dict[OcrLine, Ink]) -> list[OcrLine]:
    """A first row in a colour of its own, over a message of another's."""
    if bubble.side is not Side.LEFT or len(lines) < 2 or _LINK.search(lines[0].text):
        return []
    first = inks[lines[0]].colour
    if np.ptp(first) < SATURATED or lines[1].box[1] < (lines[0].box[1] + lines[0].box[3]) / 2:
        return []
    others = [np.abs(first - inks[line].colour).max() for line in lines[1:]]
    return [lines[0]] if min(others) > INK else []


def join_quotes(bubbles: list[Bubble], pixels: NDArray[np.uint8], page: Page) -> list[Bubble]:
    """Give a bubble the box just below or above it that quotes what it answers.

    Such a box is of another colour than its side's bubbles, its letters smaller or fainter.
    """
    kept = []
    for bubble in bubbles:
        owner = next((b for b in bubbles if _may_be_quote_of(bubble, b, page)), None)
        if owner is not None and _is_quote_of(bubble, owner, pixels):
            owner.quoted += bubble.area.lines
        elif not _is_orphan(bubble, bubbles):
            kept.append(bubble)
    return kept


def _is_orphan(quote: Bubble, bubbles: Sequence[Bubble]) -> bool:
    """Whether a box looks like a quote, the message that it belongs to being out of sight."""
    mates = [bubble for bubble in bubbles if bubble.side is quote.side and bubble is not quote]
    return (
        len(mates) > 1
        and all(np.abs(quote.area.colour - b.area.colour).max() > TOLERANCE for b in mates)
        and quote.line_height < SMALLER * min(mate.line_height for mate in mates)
    )


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
