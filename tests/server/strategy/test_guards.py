"""What guards say of a condition, CEL says too, of all values and where some are not known."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from server.strategy.condition import Compiler, Condition

TYPES = {
    "score": "double",
    "count": "int",
    "abstained": "bool",
    "mentions.legal": "bool",
    "emotion": "string",
    "tags": "list(string)",
}
VALUES: dict[str, tuple[Any, ...]] = {
    "score": (-0.5, 0.2, None),
    "count": (2, None),
    "abstained": (True, False, None),
    "mentions.legal": (True, False),
    "emotion": ("sad", "angry", None),
    "tags": (["vip", "eu"], []),
}
GUARDED = (
    "score < 0.2",
    "!abstained && count >= 2",
    '"vip" in tags && score < 0.0',
    "(mentions.legal || abstained) && score < 0.2",
    "score < 0.0 || count >= 2",
    '(emotion == "sad" || emotion == "angry" || abstained)',
)
OTHERS = (
    "score < 0.0 && (abstained || count > 1 && mentions.legal)",
    "(score < 0.0) || (count > 1)",
    "!(score < 0.0 || abstained)",
    'emotion.startsWith("s") && score < 0.2',
    "score < 0.0 && abstained || mentions.legal",
    "'a\\'b' in tags",
)


@pytest.mark.parametrize("text", [*GUARDED, *OTHERS])
def test_they_agree_with_the_expression(text: str) -> None:
    condition = Compiler(TYPES).compile(text)
    bare = Condition(condition._expression, {name: TYPES[name] for name in condition.names})
    for values in itertools.product(*(VALUES[name] for name in condition.names)):
        known = dict(zip(condition.names, values, strict=True))
        for n in range(len(known) + 1):  # also where some are not there at all
            for there in itertools.combinations(known, n):
                some = {name: known[name] for name in there}
                assert condition.holds(some) == bare.holds(some), some
                assert not (condition.is_refuted(some) and bare.holds(some)), some


@pytest.mark.parametrize("text", GUARDED)
def test_a_simple_condition_needs_no_expression(text: str) -> None:
    assert Compiler(TYPES).compile(text)._only_guards


@pytest.mark.parametrize("text", OTHERS)
def test_what_guards_cannot_say_is_left_to_the_expression(text: str) -> None:
    assert not Compiler(TYPES).compile(text)._only_guards
