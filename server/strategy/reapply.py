"""A rule book applied to what is stored: the advice changes, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from server.moments import Advice
from server.store.records import StoredConversation
from server.strategy.advise import Advisor
from server.strategy.book import Book


class Conversations(Protocol):
    """What is needed of server.store.archive.Archive."""

    def conversations(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> Iterable[StoredConversation]: ...

    def replace_advice(
        self,
        key: int,
        advice: Mapping[int, Sequence[Advice]],
        book_revision: str,
        not_evaluable: Mapping[str, int],
    ) -> None: ...


@dataclass
class Changes:
    """What became of the advice.

    ongoing        conversations that were left alone, since more of them is being written
    changed        given as before by the same rule, but otherwise
    not_evaluable  moments at which a rule could not be asked, for what it asks of was not stored
    """

    conversations: int = 0
    ongoing: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    unchanged: int = 0
    not_evaluable: Counter[str] = field(default_factory=Counter)

    def count(self, before: Sequence[Advice], after: Sequence[Advice]) -> None:
        """Of one moment."""
        old, new = {one.rule: one for one in before}, {one.rule: one for one in after}
        self.added += len(new.keys() - old.keys())
        self.removed += len(old.keys() - new.keys())
        for rule in old.keys() & new.keys():
            if old[rule] == new[rule]:
                self.unchanged += 1
            else:
                self.changed += 1


def reapply(archive: Conversations, book: Book) -> Changes:
    """Replace the advice of all conversations that have ended by what `book` would have given.

    Where a rule cannot be asked at a moment, what it advised there stands.
    """
    changes = Changes()
    for conversation in archive.conversations():
        if conversation.ended_at is None:
            changes.ongoing += 1
            continue
        advisor = Advisor(book)
        advice: dict[int, list[Advice]] = {}
        for moment in conversation.moments:
            given = advisor.advise(moment.number, moment.facts, moment.advice)
            changes.count(moment.advice, given)
            if given:
                advice[moment.number] = given
        archive.replace_advice(conversation.key, advice, book.revision, advisor.not_evaluable)
        changes.conversations += 1
        changes.not_evaluable += advisor.not_evaluable
    return changes
