"""Lines of text → the messages of a chat, with their sides, kinds and times."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from modalities.image.bubbles import Region, find_regions
from modalities.image.ocr import Box, OcrLine
from modalities.image.sides import Side, bounds, find_bubbles, overlap


class Kind(StrEnum):
    MESSAGE = "message"  # a bubble of a chat
    TIMESTAMP = "timestamp"
    SYSTEM = "system"  # notices, title and status bars, input field, captions in pictures
    NAME = "name"  # the sender's, above a bubble
    TEXT = "text"  # the words in a picture that is no chat


@dataclass(frozen=True)
class ReadMessage:
    """What was read in one place of a picture.

    page        index of the picture in the request
    box         x0, y0, x1, y1 in its pixels: of the bubble, else of the text
    confidence  the OCR's, mean over characters, [0, 1]
    time_text   the time in or beside the bubble, else the last timestamp above; "" for none
    """

    text: str
    kind: Kind
    side: Side
    page: int
    box: Box
    confidence: float
    time_text: str = ""


_CLOCK = (
    r"(?:[上下]午|凌晨|清晨|早上|中午|傍晚|晚上|[AaPp][Mm])?\s*"
    r"\d{1,2}[:：]\d{2}(?:[:：]\d{2})?\s*(?:[AaPp]\.?[Mm]\.?)?"
)
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DAY = (
    r"今天|昨天|前天|刚刚|(?:星期|周|礼拜)[一二三四五六日天]"
    r"|(?:(?:19|20)\d{2}年)?\d{1,2}月\d{1,2}[日号]|(?:19|20)\d{2}[-/.]\d{1,2}[-/.]\d{1,2}"
    r"|\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)?\d{2}|\d{1,2}/\d{1,2}"
    rf"|{_MONTH}\s*\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s*(?:19|20)\d{{2}})?"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?\s*{_MONTH}(?:,?\s*(?:19|20)\d{{2}})?"
    r"|(?i:today|yesterday|(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?)"
)
# Read marks beside a time come out of the OCR as ticks, slashes or letters like v.
_TICKS = r"[\s✓✔√/\\|vVwWyY]{0,4}"
_TIME = re.compile(rf"(?:(?:{_CLOCK}|{_DAY})(?:[\s,，.·•|—–-]|at)*){{1,5}}{_TICKS}")
_CLOCK_AT_END = re.compile(rf"\s*({_CLOCK}){_TICKS}$")


# Outside of bubbles the OCR reads patterns, too, as letters; it is then less sure of them.
_LEAST_CONFIDENCE = 0.7


def is_time(text: str) -> bool:
    """Whether a line says a date, a time, or both, and nothing else (Chinese and English)."""
    short = len(text) <= 40  # and so is the search, whatever the text
    return short and any(map(str.isalnum, text)) and _TIME.fullmatch(text.strip()) is not None


def is_chat(messages: Sequence[ReadMessage]) -> bool:
    """A picture is a chat when bubbles were found in it."""
    return any(message.kind is Kind.MESSAGE for message in messages)


def read_messages(
    pixels: NDArray[np.uint8], lines: Sequence[OcrLine], page: int = 0
) -> list[ReadMessage]:
    """Everything read in (h, w, 3) RGB pixels, from top to bottom, messages of a chat with sides.

    Where no bubble is found the picture is no chat: its words are then one TEXT, times apart.
    """
    regions = find_regions(pixels, lines)
    bubbles = find_bubbles(regions, pixels)
    if not bubbles:
        return _plain_text(lines, page)
    said = [_message(bubble, side, page) for bubble, side in bubbles.items()]
    if any(message.time_text for message in said):
        # Where one bubble holds its time, an OCR line may hold text and time at once.
        said = [_split_clock(message) for message in said]
    rest = [
        _outside(row, pixels.shape[1], said, page)
        for region in regions
        if region not in bubbles
        for row in rows(region.lines)
    ]
    found = sorted(said + rest, key=lambda message: (message.box[1], message.box[0]))
    return _with_times(found)


def rows(lines: Sequence[OcrLine]) -> list[OcrLine]:
    """Lines in reading order, those that stand on one row joined into one."""
    ordered = sorted(lines, key=lambda line: line.box[1] + line.box[3])
    grouped: list[list[OcrLine]] = []
    for line in ordered:
        last = grouped[-1][-1] if grouped else None
        if last is not None and overlap(last.box, line.box, axis=1) > 0.5 * min(
            last.box[3] - last.box[1], line.box[3] - line.box[1]
        ):
            grouped[-1].append(line)
        else:
            grouped.append([line])
    return [_join(sorted(row, key=lambda line: line.box[0])) for row in grouped]


def join_text(parts: Sequence[str]) -> str:
    """Wrapped lines as one text: no space at a Chinese character, one between Latin words."""
    text = ""
    for part in filter(None, parts):
        space = text and not _is_wide(text[-1]) and not _is_wide(part[0])
        text += (" " if space else "") + part
    return text


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _join(lines: Sequence[OcrLine]) -> OcrLine:
    """Lines in their order as one, confidence weighted by characters."""
    weights = [len(line.text) for line in lines]
    confidence = float(np.average([line.confidence for line in lines], weights=weights))
    return OcrLine(
        join_text([line.text for line in lines]), bounds([line.box for line in lines]), confidence
    )


def _message(bubble: Region, side: Side, page: int) -> ReadMessage:
    body, clock = _apart(bubble.lines)
    joined = _join(body)
    time_text = clock[-1].text if clock else ""
    return ReadMessage(
        joined.text, Kind.MESSAGE, side, page, bubble.box, joined.confidence, time_text
    )


def _apart(lines: Sequence[OcrLine]) -> tuple[list[OcrLine], list[OcrLine]]:
    """A bubble's rows of text, and its small time at the lower right, if it has one."""
    tallest = max(line.box[3] - line.box[1] for line in lines)
    bottom = max(line.box[3] for line in lines)
    clock = [
        line
        for line in lines
        if is_time(line.text)
        and line.box[3] - line.box[1] < 0.85 * tallest
        and line.box[3] > bottom - 0.5 * tallest
    ]
    return rows([line for line in lines if line not in clock]), clock


def _split_clock(message: ReadMessage) -> ReadMessage:
    match = _CLOCK_AT_END.search(message.text)
    if message.time_text or match is None or match.start() == 0:
        return message
    return replace(message, text=message.text[: match.start()], time_text=match[1].strip())


def _outside(row: OcrLine, width: int, said: Sequence[ReadMessage], page: int) -> ReadMessage:
    """A row outside of every bubble: a timestamp, a sender's name, or part of the app."""
    x0, y0, x1, y1 = row.box
    height = y1 - y0
    centred = abs(x0 + x1 - width) < 2 * 0.08 * width
    kind = Kind.SYSTEM
    if is_time(row.text):
        beside = any(overlap(row.box, message.box, axis=1) > 0.5 * height for message in said)
        kind = Kind.TIMESTAMP if centred or beside else Kind.SYSTEM
    elif any(_is_above(row.box, message, width) for message in said):
        kind = Kind.NAME
    return ReadMessage(row.text, kind, Side.NONE, page, row.box, row.confidence)


def _is_above(box: Box, message: ReadMessage, width: int) -> bool:
    """Whether a row stands just above a bubble, at the edge that its side's bubbles share."""
    gap = message.box[1] - box[3]
    height = box[3] - box[1]
    axis = 0 if message.side is Side.LEFT else 2
    return -height / 4 <= gap < 0.75 * height and abs(box[axis] - message.box[axis]) < 0.06 * width


def _with_times(found: Sequence[ReadMessage]) -> list[ReadMessage]:
    """Give messages without a time of their own the one beside them, else the last above."""
    stamps = [m for m in found if m.kind is Kind.TIMESTAMP]
    made = []
    for message in found:
        beside = [s for s in stamps if overlap(s.box, message.box, axis=1) > 0]
        above = [s for s in stamps if s.box[3] <= message.box[1]]
        nearest = beside[:1] or above[-1:]
        if message.kind is Kind.MESSAGE and not message.time_text and nearest:
            message = replace(message, time_text=nearest[0].text)
        made.append(message)
    return made


def _plain_text(lines: Sequence[OcrLine], page: int) -> list[ReadMessage]:
    ordered = rows([line for line in lines if line.confidence >= _LEAST_CONFIDENCE])
    words = [row for row in ordered if not is_time(row.text)]
    times = [row for row in ordered if is_time(row.text)]
    made = [
        ReadMessage(row.text, Kind.TIMESTAMP, Side.NONE, page, row.box, row.confidence)
        for row in times
    ]
    if words:
        joined = _join(words)
        made.append(
            ReadMessage(joined.text, Kind.TEXT, Side.NONE, page, joined.box, joined.confidence)
        )
    return made
