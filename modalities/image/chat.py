"""Lines of text → the messages of a chat, with their sides, kinds and times."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from modalities.image.boxes import bounds, overlap
from modalities.image.bubbles import Areas
from modalities.image.emoji import Emoji, with_emoji
from modalities.image.emoji_bubbles import Typeset, emoji_in, without_words
from modalities.image.find import Bubble, find_bubbles
from modalities.image.ocr import Box, OcrLine
from modalities.image.page import Page
from modalities.image.parts import (
    Parts,
    holds_picture,
    is_card,
    is_voice,
    join_quotes,
    take_apart,
)
from modalities.image.sides import Side
from modalities.image.times import is_time, without_clock


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
    quoted      the message that it answers, as its bubble quotes it; "" for none
    sender      the name in the bubble or just above it; "" for none
    emoji       how many were found; those whose character is sure stand in `text`
    unread      its letters are of a script that the OCR does not know: `text` is ""
    """

    text: str
    kind: Kind
    side: Side
    page: int
    box: Box
    confidence: float
    time_text: str = ""
    quoted: str = ""
    sender: str = ""
    emoji: int = 0
    unread: bool = False


# The OCR reads patterns, too, as letters; it is then less sure of them.
_LEAST_CONFIDENCE = 0.5  # outside of bubbles
_LEAST_ELSEWHERE = 0.7  # in a picture that is no chat


def is_chat(messages: Sequence[ReadMessage]) -> bool:
    """A picture is a chat when bubbles were found in it."""
    return any(message.kind is Kind.MESSAGE for message in messages)


def read_messages(
    pixels: NDArray[np.uint8], lines: Sequence[OcrLine], page: int = 0
) -> list[ReadMessage]:
    """Everything read in (h, w, 3) RGB pixels, from top to bottom, messages of a chat with sides.

    Where no bubble is found the picture is no chat: its words are then one TEXT, times apart.
    """
    areas = Areas(pixels)
    texts = areas.of_lines(lines)
    bubbles, columns = find_bubbles(areas, texts, pixels)
    bubbles = join_quotes(bubbles, pixels, columns)
    bubbles = [bubble for bubble in bubbles if not holds_picture(bubble, pixels)]
    if not bubbles:
        return plain_text(lines, page)
    parts = [take_apart(bubble, pixels) for bubble in bubbles]
    clocks = any(part.clock for part in parts)
    typeset = Typeset.of(bubbles, pixels)
    said = [
        _message(bubble, part, emoji_in(bubble, part, typeset, pixels), clocks, page)
        for bubble, part in zip(bubbles, parts, strict=True)
    ]
    wordless = without_words(bubbles, lines, columns, typeset, pixels)
    said += [_of_emoji(bubble, emoji, page) for bubble, emoji in wordless]
    bubbles += [bubble for bubble, _ in wordless]
    inside = {line for bubble in bubbles for line in (*bubble.area.lines, *bubble.quoted)}
    rest = [
        _outside(row, columns, said, page)
        for area in texts
        for row in rows([line for line in area.lines if line not in inside])
        if row.text and row.confidence >= _LEAST_CONFIDENCE
    ]
    found = sorted(said + rest, key=lambda message: (message.box[1], message.box[0]))
    return _with_senders(_with_times(found))


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


def mostly_unread(lines: Sequence[OcrLine]) -> bool:
    """Whether more than half of what is written, by its width, was not read."""
    widths = [line.box[2] - line.box[0] for line in lines]
    unread = [line.box[2] - line.box[0] for line in lines if line.is_unread]
    return 2 * sum(unread) > sum(widths)


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
    weights = [max(len(line.text), 1) for line in lines]
    confidence = float(np.average([line.confidence for line in lines], weights=weights))
    return OcrLine(
        join_text([line.text for line in lines]), bounds([line.box for line in lines]), confidence
    )


def _message(
    bubble: Bubble, parts: Parts, emoji: Sequence[Emoji], clocks: bool, page: int
) -> ReadMessage:
    """`clocks` says whether the chat's bubbles hold their times."""
    if emoji and is_time(_join(rows(parts.body)).text):
        parts = replace(parts, body=[], clock=parts.body)
    if not emoji and mostly_unread(parts.body):
        return ReadMessage("", Kind.MESSAGE, bubble.side, page, bubble.box, 0.0, unread=True)
    lines = with_emoji(parts.body, emoji)
    body = _join(rows(lines)) if lines else OcrLine("", bubble.box, 0.0)
    time_text = parts.clock[-1].text if parts.clock else ""
    kind, text = Kind.MESSAGE, body.text
    if clocks and not time_text:
        if is_time(text):
            kind = Kind.TIMESTAMP  # of a picture's bubble, or of one that is cut
        else:  # An OCR line may hold text and time at once.
            text, time_text = without_clock(text)
    if is_voice(text) or is_card(parts.body):
        kind = Kind.SYSTEM
    return ReadMessage(
        text,
        kind,
        bubble.side,
        page,
        bubble.box,
        body.confidence,
        time_text=time_text,
        quoted=join_text([row.text for row in rows(parts.quoted)]),
        sender=join_text([row.text for row in rows(parts.name)]),
        emoji=len(emoji),
    )


def _of_emoji(bubble: Bubble, emoji: Sequence[Emoji], page: int) -> ReadMessage:
    """A message without a word; its text is "" where none of its emoji is known."""
    lines = with_emoji([], emoji)
    said = _join(rows(lines)) if lines else OcrLine("", bubble.box, 0.0)
    return ReadMessage(
        said.text,
        Kind.MESSAGE,
        bubble.side,
        page,
        bubble.box,
        said.confidence,
        emoji=len(emoji),
    )


def _outside(row: OcrLine, columns: Page, said: Sequence[ReadMessage], page: int) -> ReadMessage:
    """A row outside of every bubble: a timestamp, a sender's name, or part of the app."""
    x0, y0, x1, y1 = row.box
    height = y1 - y0
    centred = abs(x0 + x1 - columns.left - columns.right) < 2 * 0.08 * columns.width
    kind = Kind.SYSTEM
    if is_time(row.text):
        beside = any(overlap(row.box, message.box, axis=1) > 0.5 * height for message in said)
        kind = Kind.TIMESTAMP if centred or beside else Kind.SYSTEM
    elif any(_is_above(row.box, message, columns.width) for message in said):
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


def _with_senders(found: Sequence[ReadMessage]) -> list[ReadMessage]:
    """Give messages the name that stands just above them."""
    made: list[ReadMessage] = []
    for message in found:
        above = made[-1] if made else None
        if (
            message.kind is Kind.MESSAGE
            and not message.sender
            and above is not None
            and above.kind is Kind.NAME
        ):
            message = replace(message, sender=above.text)
        made.append(message)
    return made


def plain_text(lines: Sequence[OcrLine], page: int = 0) -> list[ReadMessage]:
    """What is written in a picture that is no chat: its times, and its words as one TEXT; nothing
    where most of it is in a script that the OCR does not know."""
    if mostly_unread(lines):
        return []
    ordered = rows([line for line in lines if line.text and line.confidence >= _LEAST_ELSEWHERE])
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
