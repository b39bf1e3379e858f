"""What was said before a message: each is read with the turns before it.

Which turns these are follows from the order of the conversation alone, never from when something
came to be known: a message waits until it is known what the two turns before it say, but not
until they are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from modalities.reading import Modality
from modalities.text.prepare import MOST_TURNS, Turn
from server.analysis import Role


class Said(NamedTuple):
    """A text and who says it; None where that is neither side, or is not known: such a text is no
    turn, and is read without those before it."""

    role: Role | None
    text: str

    @property
    def is_turn(self) -> bool:
        return self.role in (Role.CUSTOMER, Role.AGENT)

    def after(self, turns: Sequence[Said]) -> list[Turn]:
        """The last of `turns`, which were said before it, as the text model takes them."""
        return [Turn(turn.role is self.role, turn.text) for turn in turns[-MOST_TURNS:]]


class Place:
    """Of a message or an utterance in its conversation, after `earlier`. To be made in the order
    of the conversation.

    `parts` are what of it may hold words: it is known what it says once each of them was told, or
    after `close`. Without parts nobody waits for it.
    """

    _earlier: Place | None
    _known: asyncio.Event

    def __init__(self, earlier: Place | None = None, parts: Iterable[Modality] = ()) -> None:
        while earlier is not None and earlier._known.is_set() and not earlier.turns:
            earlier = earlier._earlier
        self._earlier = earlier
        self._told: dict[Modality, Sequence[Said] | None] = dict.fromkeys(parts)
        self._known = asyncio.Event()
        self._look()

    def tell(self, part: Modality, said: Sequence[Said] = ()) -> None:
        """What `part` says, as far as it can be read; only the first time counts."""
        if part in self._told and self._told[part] is None:
            self._told[part] = [one for one in said if one.is_turn]
            self._look()

    def close(self) -> None:
        """Nothing more is told."""
        for part in self._told:
            self.tell(part)

    @property
    def turns(self) -> list[Said]:
        """What is said in it, as far as it was told: a text, a recording, then pictures."""
        return [one for part in Modality for one in self._told.get(part) or ()]

    async def before(self) -> list[Said]:
        """The last turns before it, oldest first, once they are known."""
        found: list[Said] = []
        place = self._earlier
        while place is not None and len(found) < MOST_TURNS:
            await place._known.wait()
            found = [*place.turns, *found]
            place = place._earlier
        return found[-MOST_TURNS:]

    def _look(self) -> None:
        if all(said is not None for said in self._told.values()):
            self._known.set()
