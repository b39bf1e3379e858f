"""Words that a text may mention, and how it means them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from server.strategy.han import SIMPLIFIED
from server.strategy.negation import Stance, stance

MOST_JUDGED = 25  # places in one text; one that denies as many is taken to say the word

_LATIN = r"[0-9a-z\u00df-\u024f]"
_PLAIN = str.maketrans("‘’ʼ", "'''") | SIMPLIFIED


class Keywords:
    """Words that a text may mention: in any case and width, and whole where letters make words.
    Texts are as `plain` gives them."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = {word: _standing(word) for word in map(plain, words)}

    def are_in(self, text: str) -> bool:
        return next(self._places(text), None) is not None

    def stance(self, text: str) -> Stance | None:
        """The strongest that `text` takes to one of them; None where it mentions none."""
        strongest: Stance | None = None
        for n, place in enumerate(self._places(text)):
            found = stance(text, *place) if n < MOST_JUDGED else Stance.SAID
            strongest = found if strongest is None else max(strongest, found)
            if strongest is Stance.SAID:
                break
        return strongest

    def _places(self, text: str) -> Iterator[tuple[int, int]]:
        for word, pattern in self._words.items():
            if word in text:
                for found in pattern.finditer(text):
                    yield found.span()


def plain(text: str) -> str:
    """Without differences of case, width, apostrophes and of Chinese scripts."""
    return unicodedata.normalize("NFKC", text).casefold().translate(_PLAIN)


def _standing(word: str) -> re.Pattern[str]:
    """Finds it where it is no part of a longer word of letters."""
    before = f"(?<!{_LATIN})" if re.match(_LATIN, word) else ""
    after = f"(?!{_LATIN})" if re.match(_LATIN, word[-1]) else ""
    return re.compile(before + re.escape(word) + after)
