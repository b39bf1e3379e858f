"""What of a text its writer says: without markup and quoted mail, stretched words as they are
spelled.

Everything here takes characters away or puts one in another's place, so that each character left
knows where in the caller's text it came from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import unescape
from itertools import product
from math import log
from typing import NamedTuple

from tokenizers import Tokenizer

from modalities.text.mail import not_own

TAG = re.compile(
    r"<(?:/?[a-zA-Z][a-zA-Z0-9]*(?:\s[^<>]*)?/?|!--(?:(?!<!--).)*?--|!doctype[^<>]*)>", re.I | re.S
)
UNSEEN = re.compile(r"<(style|script|head|blockquote)\b[^<>]*>.*?</\1\s*>", re.I | re.S)
BREAKS = re.compile(r"</?(?:p|br|div|li|tr|h\d|blockquote)\b", re.I)
ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.I)
STRETCHED = re.compile(r"(?<![^\W\d_])[^\W\d_]*([^\W\d_])\1{2}[^\W\d_]*")
# Letters that come thrice unstretched: the web's, and Roman numerals.
UNSTRETCHED = re.compile(
    r"[wW]{3}|x{0,2}v?iii|M{0,3}(?:C[MD]|D?C{0,3})(?:X[CL]|L?X{0,3})(?:I[XV]|V?I{0,3})"
)
RUN = re.compile(r"([^\W\d_])\1{2,}")
DOUBLED = re.compile(r"(.)\1")
SPACED = re.compile(r"[A-Za-zÀ-ɏͰ-ӿ]+")  # scripts that stretch words by letters
MOST_RUNS = 3  # of one word


Part = tuple[int, int, str]  # a stretch of a text, and the characters to stand there


class Cleaned(NamedTuple):
    """A text and where each of its characters stood in the one it was made of."""

    text: str
    origins: Sequence[int]


def clean(text: str, tokenizer: Tokenizer) -> Cleaned:
    """`text` as it is to be read; the same where there is nothing to take off."""
    whole = own_words(text)
    words = STRETCHED.finditer(whole.text)
    return _with(whole, [part for word in words for part in _shortened(word, tokenizer)])


def own_words(text: str) -> Cleaned:
    """`text` without markup, quoted mail, signatures and footers; its words as they are written."""
    whole = Cleaned(text, range(len(text)))
    if "<" in text:
        whole = _replaced(whole, UNSEEN, lambda _: "")
        whole = _replaced(whole, TAG, lambda found: "\n" if BREAKS.match(found[0]) else "")
    if "&" in text:
        whole = _replaced(whole, ENTITY, lambda found: _unescaped(found[0]))
    return _with(whole, [(start, end, "") for start, end in not_own(whole.text)])


def _shortened(word: re.Match[str], tokenizer: Tokenizer) -> list[Part]:
    """What is to stand for a word's runs of a letter: it once or twice, as the tokenizer knows the
    word best. "sooo" is "so", "goooood" is "good"."""
    if not SPACED.fullmatch(word[0]) or UNSTRETCHED.fullmatch(word[0]):
        return []
    whole = Cleaned(word[0], range(*word.span()))
    runs = list(RUN.finditer(word[0]))[:MOST_RUNS]

    # The fewest pieces; of as many, the likelier ones of a vocabulary in order of frequency, a
    # doubled letter being as likely as a word four times as frequent: "good", not "god".
    def cost(parts: Sequence[Part]) -> tuple[int, float]:
        spelled = _with(whole, parts).text
        ids = tokenizer.encode(spelled).ids[1:-1]
        return len(ids), sum(log(1 + i) for i in ids) - log(4) * len(DOUBLED.findall(spelled))

    spellings = [
        [(*run.span(), run[1] * n) for run, n in zip(runs, times, strict=True)]
        for times in product((1, 2), repeat=len(runs))
    ]
    best = min(spellings, key=cost)
    return [(word.start() + start, word.start() + end, letters) for start, end, letters in best]


def _unescaped(entity: str) -> str:
    """What an entity stands for; itself where HTML knows it in part ("&notit;") or not at all."""
    made = unescape(entity)
    return entity if ";" in made else made or entity


def _replaced(
    whole: Cleaned, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str]
) -> Cleaned:
    """What `by` makes of each match of `pattern` in its place."""
    return _with(whole, [(*found.span(), by(found)) for found in pattern.finditer(whole.text)])


def _with(whole: Cleaned, parts: Sequence[Part]) -> Cleaned:
    """The text with its parts, which go by place, as they are to be."""
    if not parts:
        return whole
    made: list[str] = []
    origins: list[int] = []
    last = 0
    for start, end, new in parts:
        made += [whole.text[last:start], new]
        origins += whole.origins[last:start]
        origins += [whole.origins[min(start + i, end - 1)] for i in range(len(new))]
        last = end
    return Cleaned("".join([*made, whole.text[last:]]), [*origins, *whole.origins[last:]])
