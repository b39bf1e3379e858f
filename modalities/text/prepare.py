"""Text → token windows. CPU only; a text longer than the model's context becomes several.

A window frames the message by the tokenizer's own special tokens. Where turns went before, they
stand in front of it, each behind a marker that says whether the message's writer said it or the
other side:

    <s> <other> Has it arrived? <same> Not yet. </s> No, it has not. </s>
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tokenizers import Encoding, Tokenizer

from modalities.errors import InputError, LanguageError
from modalities.text.clean import clean
from modalities.text.language import LANGUAGES, other_language
from modalities.text.model import TextDimensions

MOST_TURNS = 2  # read before a message
TURN_TOKENS = 24  # of each of them: its end, which is nearest to the message
TURN_SHARE = 5  # and at most a fifth of a small model's window
MOST_UNKNOWN = 0.5  # of the characters
SENTENCE_ENDS = frozenset(".!?…。！？؟।")
MARKS = ("Zs", "Cc", "Cf", "Mn", "Me", "Sk")  # Unicode's categories of what is no sign of its own

Span = tuple[int, int]


class Turn(NamedTuple):
    """What was said before a message, and whether by the message's own writer."""

    same_writer: bool
    text: str


class Window(NamedTuple):
    """Token ids, at most the model's `n_ctx`, and where in them the message itself begins: 0 where
    no turn went before."""

    ids: tuple[int, ...]
    start: int = 0


@dataclass(frozen=True)
class PreparedText:
    """At least one window; `unknown_share` is that of the characters, [0, 1]."""

    windows: tuple[Window, ...]
    characters: int
    unknown_share: float


def prepare(
    text: str, tokenizer: Tokenizer, dims: TextDimensions, before: Sequence[Turn] = ()
) -> PreparedText:
    """Clean and tokenize `text`, which was said after the turns `before`, oldest first.

    Raises InputError where it is empty or only white space, LanguageError where it is in a
    language or script that is not read.
    """
    if not text.strip():
        raise InputError("the text is empty or only white space")
    cleaned = clean(text, tokenizer).text
    encoding = tokenizer.encode(cleaned)
    cls, *inside, sep = encoding.ids
    if not inside:  # only control characters
        raise InputError("the text has no readable character")
    characters = sum(not character.isspace() for character in cleaned)
    unknown_share = _unknown_share(cleaned, encoding, dims, characters)
    if unknown_share > MOST_UNKNOWN:
        raise _unread(f"{unknown_share:.0%} of it is in a script or of signs that are not read")
    if language := other_language(cleaned):
        raise _unread(f'its language ("{language}") is not read', language)
    context = _context(before, tokenizer, dims)
    frame = (cls, *context, sep) if context else (cls,)
    start = len(frame) if context else 0
    own = own_tokens(encoding, dims)
    ids = [i for i, _ in own]
    ends = [at for at, (_, (_, end)) in enumerate(own) if cleaned[end - 1 : end] in SENTENCE_ENDS]
    windows = tuple(
        Window((*frame, *ids[first:last], sep), start)
        for first, last in _cut(len(ids), dims.n_ctx - len(frame) - 1, ends)
    )
    return PreparedText(windows, characters, unknown_share)


def own_tokens(encoding: Encoding, dims: TextDimensions) -> list[tuple[int, Span]]:
    """Ids of the text's tokens and where in it they stand. Those of the frame are none, nor what a
    text spells like one ("&lt;/s&gt;"), which would end the message where it stands."""
    special = _special(encoding, dims)
    tokens = zip(encoding.ids, encoding.offsets, strict=True)
    return [(i, span) for i, span in tokens if i not in special]


def _special(encoding: Encoding, dims: TextDimensions) -> set[int]:
    cls, *_, sep = encoding.ids
    return {cls, sep, dims.pad_id}


def _unknown_share(text: str, encoding: Encoding, dims: TextDimensions, characters: int) -> float:
    """Of so many characters; all of them where nothing but marks stands beside what is unknown."""
    unread = {dims.unk_id} | _special(encoding, dims)
    tokens = zip(encoding.ids[1:-1], encoding.offsets[1:-1], strict=True)
    found = [(i, span) for i, span in tokens if i in unread]
    if not found:
        return 0.0
    known = list(text)
    for _, (start, end) in found:
        known[start:end] = " " * (end - start)
    if not any(map(_is_sign, known)):
        return 1.0
    unknown = sum(end - start for i, (start, end) in found if i == dims.unk_id)
    return min(1.0, unknown / max(1, characters))


def _is_sign(character: str) -> bool:
    return character not in SENTENCE_ENDS and unicodedata.category(character) not in MARKS


def _unread(reason: str, language: str | None = None) -> LanguageError:
    return LanguageError(reason, f"languages that are read: {', '.join(LANGUAGES)}", language)


def _context(before: Sequence[Turn], tokenizer: Tokenizer, dims: TextDimensions) -> list[int]:
    ids: list[int] = []
    most = min(TURN_TOKENS, dims.n_ctx // TURN_SHARE)
    for turn in before[-MOST_TURNS:] if dims.same_id >= 0 else ():
        encoding = tokenizer.encode(clean(turn.text, tokenizer).text)
        said = [i for i, _ in own_tokens(encoding, dims)]
        if said:
            ids += [dims.same_id if turn.same_writer else dims.other_id, *said[-most:]]
    return ids


def _cut(n_tokens: int, size: int, ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Stretches (first, last) of at most `size` tokens, none of them a stub; they end with a
    sentence where one ends in their second half."""
    first = 0
    while first < n_tokens:
        left = n_tokens - first
        most = min(size, -(-left // -(-left // size)) + size // 4) if left > size else left
        last = first + most
        if last < n_tokens:
            last = next((e + 1 for e in reversed(ends) if first + most // 2 <= e < last), last)
        yield first, last
        first = last
