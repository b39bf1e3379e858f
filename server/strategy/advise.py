"""What a rule book advises along one conversation, live or from the store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from server.logs import LOG
from server.moments import Advice
from server.strategy.book import MENTIONS, SAYS, STATES, Book
from server.strategy.condition import Condition
from server.strategy.keywords import plain
from server.strategy.negation import Stance
from server.strategy.rule import Rule, Window
from server.strategy.timeline import Timeline

BUDGET_S = 0.25  # of the CPU for one moment; the default book takes about 0.2 ms
UNASKED_S = BUDGET_S / 10


class _Budget:
    """BUDGET_S of the thread's time, not of the clock's: what else the machine does shall change
    no advice. To ask a thread's time can cost more than all rules do, so nobody asks before the
    clock has gone on by UNASKED_S."""

    def __init__(self) -> None:
        self._asked_from = time.monotonic() + UNASKED_S
        self._spent_at: float | None = None

    def is_left(self) -> bool:
        if time.monotonic() < self._asked_from:
            return True
        now = time.thread_time()
        if self._spent_at is None:
            self._spent_at = now + BUDGET_S - UNASKED_S
        return now < self._spent_at


class Advisor:
    """Asks the rules of `book` at each moment of one conversation; see docs/rules.md.

    not_evaluable  how often each rule could not be asked, for what it asks of was not stored, or
                   for the rules before it had used up the moment's BUDGET_S
    """

    def __init__(self, book: Book) -> None:
        self.book = book
        self.not_evaluable: Counter[str] = Counter()
        self._timeline = Timeline()
        self._fired_s: dict[str, float] = {}
        self._was_told = False

    def advise(
        self, number: int, facts: Mapping[str, Any], given: Sequence[Advice] = ()
    ) -> list[Advice]:
        """The advice at the next moment, the most urgent first.

        number  of the moment in its conversation
        facts   of `facts.Tracker`, or what the store kept of them
        given   what was advised at that moment before: it stands where its rule cannot be asked
        """
        self._timeline.add(facts)
        budget = _Budget()
        known, text = dict(facts), plain(facts.get("text") or "")
        windows: dict[Window, dict[str, Any]] = {}
        advice = []
        for rule in self.book.rules:
            if self._is_cooling(rule):
                continue
            condition, values = self.book.conditions[rule.name], known
            if condition.is_refuted(known):
                continue
            holds = self._is_meant(rule, known)
            if holds and budget.is_left():
                self._look_for_keywords(condition, known, text)
                if rule.window is not None:
                    if rule.window not in windows:
                        windows[rule.window] = self._timeline.window(rule.window)
                    values = known | windows[rule.window]
                holds = condition.holds(values)
            elif holds:
                holds = None
                if not self._was_told:
                    self._was_told = True
                    LOG.warning("the rules take too long", extra={"book": self.book.revision})
            if holds is None:
                self.not_evaluable[rule.name] += 1
                kept = [one for one in given if one.rule == rule.name]
            else:
                kept = [self._advice(rule, number, values)] if holds else []
            if kept:
                self._fired_s[rule.name] = self._timeline.position_s
            advice += kept
        return advice

    def _is_cooling(self, rule: Rule) -> bool:
        fired_s = self._fired_s.get(rule.name)
        return fired_s is not None and self._timeline.position_s - fired_s < rule.cool_down_s

    def _is_meant(self, rule: Rule, known: Mapping[str, Any]) -> bool | None:
        """Whether it is for such a moment at all; None where that hangs on what is not there."""
        by_the_clock = rule.time is not None and rule.time.by_the_clock
        if (
            (rule.role != "any" and "role" not in known)
            or (rule.channels and "channel" not in known)
            or (rule.languages and "language" not in known)
            or (by_the_clock and "at" not in known)
        ):
            return None
        if (
            (rule.role != "any" and known["role"] != rule.role.upper())
            or (rule.channels and not _is_one(known["channel"], rule.channels))
            or (rule.languages and not _is_one(known["language"], rule.languages))
        ):
            return False
        at = datetime.fromisoformat(known["at"]) if by_the_clock else None
        return rule.time is None or rule.time.include(at, self._timeline.position_s)

    def _look_for_keywords(self, condition: Condition, known: dict[str, Any], text: str) -> None:
        """Add what it asks of lists of keywords, where the text is known, as `plain` gives it."""
        for name in condition.names:
            asked, _, listed = name.partition(".")
            if asked not in (MENTIONS, SAYS, STATES) or name in known or "text" not in known:
                continue
            keywords = self.book.keywords[listed]
            if known["text"] is None:
                known[name] = None
            elif asked == MENTIONS:
                known[name] = keywords.are_in(text)
            else:
                stance = keywords.stance(text)
                known[f"{SAYS}.{listed}"] = stance is not None and stance > Stance.DENIED
                known[f"{STATES}.{listed}"] = stance is Stance.SAID

    def _advice(self, rule: Rule, number: int, values: Mapping[str, Any]) -> Advice:
        """Its facts are without the text, which is content."""
        names = [name for name in self.book.conditions[rule.name].names if name != "text"]
        return Advice(
            rule=rule.name,
            index=number,
            offset_s=values.get("offset_s"),
            priority=rule.priority,
            tags=rule.tags,
            text={"en": rule.advice.en, "zh": rule.advice.zh},
            facts={name: values[name] for name in names if name in values},
        )


def _is_one(value: str | None, allowed: Sequence[str]) -> bool:
    """Whether it is one of them, or a kind of one, as zh-CN is of zh."""
    value = (value or "").casefold()
    return any(value == one or value.startswith(f"{one}-") for one in map(str.casefold, allowed))
