"""Digits however they are written or spoken, as ASCII digits, and where each of them stood."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_CHINESE = {
    character: str(digit)
    for digit, characters in enumerate(
        ("零〇洞", "一幺壹", "二贰", "三叁", "四肆", "五伍", "六陆", "七柒拐", "八捌", "九玖勾")
    )
    for character in characters
}
_ENGLISH = {
    word: str(digit)
    for digit, words in enumerate(
        ("zero oh o nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    )
    for word in words.split()
}
_TIMES = {"double": 2, "triple": 3}
_DASHES = dict.fromkeys("‐‑‒–—―−－", "-")
_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad")

# At least this many digits in a row are a number that is spelt out, and no 一个 or "one of two".
LEAST_SPELT = 7

_Character = tuple[str, int, int]  # and its start and end in the original

_CHINESE_RUN = re.compile(rf"[{''.join(_CHINESE)}\d](?:[ ,，、\-]{{0,2}}[{''.join(_CHINESE)}\d])+")
_DIGIT_WORD = "|".join(sorted(_ENGLISH, key=len, reverse=True))  # "one" before "o"
_WORD = rf"(?:(?:{'|'.join(_TIMES)})[ -])?(?:{_DIGIT_WORD}|\d+)"
_ENGLISH_RUN = re.compile(rf"(?<![A-Za-z0-9]){_WORD}(?:[ ,\-]{{1,2}}{_WORD})+(?![A-Za-z0-9])", re.I)
_ENGLISH_WORD = re.compile(
    rf"(?:(?P<times>{'|'.join(_TIMES)})[ -])?(?:(?P<word>{_DIGIT_WORD})|(?P<digits>\d+))", re.I
)


@dataclass(frozen=True)
class Normalised:
    """Character i of `text` stood at [starts[i], ends[i]) of the original."""

    text: str
    starts: list[int]
    ends: list[int]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where [start, end) of `text`, which is not empty, stood."""
        return self.starts[start], self.ends[end - 1]


def normalise(text: str) -> Normalised:
    """Half-width, plain dashes, nothing invisible; numbers spelt out in Chinese or English in
    digits. All else is as it was."""
    characters: list[_Character] = []
    for at, original in enumerate(text):
        if original in _INVISIBLE:
            continue
        plain = _DASHES.get(original) or unicodedata.normalize("NFKC", original)
        if len(plain) != 1 or unicodedata.category(plain) == "Cc":
            plain = " " if original.isspace() or len(plain) != 1 else original
        if plain.isdecimal():
            plain = str(unicodedata.decimal(plain))
        characters.append((plain, at, at + 1))
    characters = _spelt(characters, _CHINESE_RUN, _chinese_digits)
    characters = _spelt(characters, _ENGLISH_RUN, _english_digits)
    return Normalised(
        "".join(character for character, _, _ in characters),
        [start for _, start, _ in characters],
        [end for _, _, end in characters],
    )


def _spelt(
    characters: list[_Character],
    runs: re.Pattern[str],
    digits_of: Callable[[str], Iterator[tuple[str, int, int]]],
) -> list[_Character]:
    """With the runs that `digits_of` turns into digits replaced by them."""
    text = "".join(character for character, _, _ in characters)
    replaced, done = [], 0
    for run in runs.finditer(text):
        digits = list(digits_of(run.group()))
        if run.group().isascii() and not re.search("[A-Za-z]", run.group()):
            continue  # nothing is spelt
        if sum(digit.isdigit() for digit, _, _ in digits) < LEAST_SPELT:
            continue
        replaced += characters[done : run.start()]
        for digit, start, end in digits:
            first, last = characters[run.start() + start], characters[run.start() + end - 1]
            replaced.append((digit, first[1], last[2]))
        done = run.end()
    return replaced + characters[done:]


def _chinese_digits(run: str) -> Iterator[tuple[str, int, int]]:
    for at, character in enumerate(run):
        yield _CHINESE.get(character, character), at, at + 1


def _english_digits(run: str) -> Iterator[tuple[str, int, int]]:
    for word in _ENGLISH_WORD.finditer(run):
        digits = word["digits"] or _ENGLISH[word["word"].lower()]
        for digit in digits * _TIMES.get((word["times"] or "").lower(), 1):
            yield digit, *word.span()
