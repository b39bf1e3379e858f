"""The sentence around a word, as what judges a negation looks at it."""

from __future__ import annotations

import re
from dataclasses import dataclass

BEFORE, AFTER = 120, 80  # characters that are looked at

# A dot within a word or a number ends no sentence.
_STOP = re.compile(r"[!?;\n。…]|\.(?!\w)")
# What a customer waits for: "no refund" says that it did not come, "no complaints" that there
# are none.
_OWED = re.compile(
    r"refund|money back|reimburse|compensat|invoice|reply|answer|call back"
    r"|退款|退钱|退货|退费|退一赔|把钱退|退我|赔|补偿|发票|回复|答复|回电"
)


@dataclass(frozen=True)
class Passage:
    """A word in its sentence.

    before, after  the sentence on both sides of it
    rest           from the sign that ends the sentence on; empty where nothing follows
    """

    before: str
    word: str
    after: str
    rest: str

    @property
    def is_question(self) -> bool:
        """As its sign says."""
        return self.rest.startswith("?")

    @property
    def is_owed(self) -> bool:
        """Whether the word is something that a customer waits for, such as a refund."""
        return _OWED.search(self.word) is not None


def passage(text: str, start: int, end: int) -> Passage:
    """Of text[start:end], where `text` is as `keywords.plain` gives it."""
    before, after = text[max(0, start - BEFORE) : start], text[end : end + AFTER]
    first = max((stop.end() for stop in _STOP.finditer(before)), default=0)
    stop = _STOP.search(after)
    last = stop.start() if stop else len(after)
    return Passage(before[first:], text[start:end], after[:last], after[last:])
