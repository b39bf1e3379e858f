"""What people in the screenshots say: held-out dialogues of one split, never of `train`.

Conversations with two roles come from the helpdesk set; shop reviews (Chinese) and complaints to
airlines (English) stand in for a customer's first message, answered by helpdesk turns of the same
split; talk in groups comes from CPED. No text is kept in this repository.
"""

from __future__ import annotations

import html
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from training.data import helpdesk, text_rows

Split = Literal["dev", "test"]
LONGEST = {"zh": 110, "en": 220}  # characters of one message
SETS = {"zh": "shopping", "en": "airline"}
_LINK = re.compile(r"(?:https?://|www\.)\S*|[\u200b-\u200f\u2028-\u202e\ufe0e]")

_MOJIBAKE = re.compile("[\u0080-\u00ff\ufffd]")  # of emoji, in the airline set


@dataclass(frozen=True)
class Turn:
    """`who` is 0 for the customer, 1 for the agent; in a group any number of people."""

    who: int
    text: str


class Texts:
    """Dialogues of a split, drawn with the caller's random numbers."""

    def __init__(self, split: Split) -> None:
        """Raises UnavailableError where the data is absent."""
        self._support = {language: _support(language, split) for language in SETS}
        self._answers = {
            language: [turn.text for turns in dialogues for turn in turns if turn.who == 1]
            for language, dialogues in self._support.items()
        }
        self._singles = {language: _singles(language, split) for language in SETS}
        self._groups = _groups(split)

    def support(self, rng: random.Random, language: str) -> list[Turn]:
        """One dialogue of a customer and an agent in "zh", "en" or "mixed", both at will."""
        if language == "mixed":
            first, second = rng.sample(["zh", "en"], 2)
            turns = [(turn, first) for turn in self.support(rng, first)]
            turns += [(turn, second) for turn in self.support(rng, second)]
            rng.shuffle(turns)
            return [turn for turn, _ in turns]
        if rng.random() < 0.5:
            return list(rng.choice(self._support[language]))
        answers = self._answers[language]
        return [
            Turn(0, rng.choice(self._singles[language])),
            Turn(1, rng.choice(answers)),
            Turn(0, rng.choice(self._singles[language])),
            Turn(1, rng.choice(answers)),
        ]

    def group(self, rng: random.Random) -> list[Turn]:
        """A Chinese dialogue of three to five people; the screenshot's owner is 0."""
        people = rng.randint(3, 5)
        return [
            Turn(who, text) for text in rng.choice(self._groups) for who in [rng.randrange(people)]
        ]


def _clean(text: str, language: str) -> str | None:
    """One line without links; None where nothing, too much for a bubble, or mojibake is left."""
    text = " ".join(_LINK.sub(" ", html.unescape(text)).split())
    said = any(map(str.isalnum, text)) and len(text) <= LONGEST[language]
    return text if said and (language != "en" or not _MOJIBAKE.search(text)) else None


def _kept(texts: Sequence[str], language: str) -> list[str]:
    return [text for raw in texts if (text := _clean(raw, language)) is not None]


def _support(language: str, split: Split) -> list[list[Turn]]:
    dialogues = []
    for dialogue in helpdesk(language):
        if dialogue["split"] != split:
            continue
        turns = [
            Turn(int(role != "customer"), text)
            for role, parts in dialogue["turns"]
            for text in _kept(parts, language)
        ]
        if len({turn.who for turn in turns}) == 2:
            dialogues.append(turns)
    return dialogues


def _singles(language: str, split: Split) -> list[str]:
    rows = [row["text"] for row in text_rows(SETS[language]) if row["split"] == split]
    return _kept(rows, language)


def _groups(split: Split) -> list[list[str]]:
    dialogues: dict[str, list[str]] = defaultdict(list)
    for row in text_rows("cped"):
        if row["split"] == split:
            dialogues[row["dialogue"]] += _kept([row["text"]], "zh")
    return [texts for texts in dialogues.values() if len(texts) >= 3]
