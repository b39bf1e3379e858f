"""Screenshots of one chat, each scrolled on from the one before → one chat, nothing double.

Two pages overlap where the last messages read so far are the first of the next page: same sides,
same order, texts alike. A message that is repeated within one page stays.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from modalities.image.chat import Kind, ReadMessage

ALIKE = 0.8  # share of the characters that two readings of one text have in common, at least
MATCHING = 0.75  # share of the overlapping messages that must be alike
MIN_CHARACTERS = 4  # "好的" twice is more likely said twice than a page's overlap


def merge_pages(pages: Sequence[Sequence[ReadMessage]]) -> list[ReadMessage]:
    """All that was read in the pages, in order, what a page repeats of those before it left out.

    Of a message that two pages show, the longer reading is kept: one may be cut at an edge.
    """
    merged: list[ReadMessage] = []
    for page in pages:
        said = [message for message in merged if message.kind is Kind.MESSAGE]
        new = [message for message in page if message.kind is Kind.MESSAGE]
        count = overlapping(said, new)
        if count:
            earlier = {(line.kind, line.text) for line in merged}
            pairs = list(zip(said[-count:], new[:count], strict=True))
            for old, again in pairs:
                if len(again.text) > len(old.text):
                    time_text = old.time_text or again.time_text
                    merged[merged.index(old)] = replace(again, time_text=time_text)
            seen = new[:count]
            bottom = seen[-1].box[3]
            page = [
                line
                for line in page
                if line not in seen
                and not (line.box[1] < bottom and (line.kind, line.text) in earlier)
            ]
        last = next((m.time_text for m in reversed(merged) if m.time_text), "")
        merged += _timed(page, last)
    return merged


def overlapping(said: Sequence[ReadMessage], new: Sequence[ReadMessage]) -> int:
    """How many of the last messages of `said` are the first of `new`: the most that fit."""
    for count in range(min(len(said), len(new)), 0, -1):
        pairs = list(zip(said[-count:], new[:count], strict=True))
        if any(old.side is not again.side for old, again in pairs):
            continue
        if sum(len(_letters(again.text)) for _, again in pairs) < MIN_CHARACTERS:
            continue
        alike = sum(_alike(old.text, again.text) for old, again in pairs)
        if alike >= MATCHING * count:
            return count
    return 0


def _alike(a: str, b: str) -> bool:
    """Whether two readings are of one text, of which one may lack its first or last lines."""
    a, b = _letters(a), _letters(b)
    if not a or not b:
        return a == b
    shared = sum(block.size for block in SequenceMatcher(None, a, b, False).get_matching_blocks())
    whole = 2 * shared / (len(a) + len(b)) >= ALIKE
    short, long = sorted((a, b), key=len)
    cut = len(short) >= MIN_CHARACTERS and (
        _matches(short, long[: len(short)]) or _matches(short, long[-len(short) :])
    )
    return whole or cut


def _matches(a: str, b: str) -> bool:
    return SequenceMatcher(None, a, b, False).ratio() >= ALIKE


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)) or text.strip()


def _timed(page: Sequence[ReadMessage], last: str) -> list[ReadMessage]:
    """A page's lines, those of its messages without a time given the last one before it."""
    return [
        replace(line, time_text=last)
        if line.kind is Kind.MESSAGE and not line.time_text and last
        else line
        for line in page
    ]
