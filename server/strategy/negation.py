"""How a word stands in what is said: said, asked about, or denied.

"I want a refund" says it, "how long does a refund take?" asks about it, and "I don't want a
refund" denies it. English and Chinese are known, and the two mixed; in any other language a word is
said. Irony is not known, nor whose words are told again.
"""

from __future__ import annotations

from enum import IntEnum

from server.strategy import negation_en, negation_zh
from server.strategy.passage import passage


class Stance(IntEnum):
    """Of a text to a word in it; the greater, the more it is meant."""

    DENIED = 0
    ASKED = 1
    SAID = 2


def stance(text: str, start: int, end: int) -> Stance:
    """How text[start:end] stands in `text`, which is as `keywords.plain` gives it."""
    around = passage(text, start, end)
    if negation_en.denies(around) or negation_zh.denies(around):
        return Stance.DENIED
    if negation_en.asks(around) or negation_zh.asks(around):
        return Stance.ASKED
    return Stance.SAID
