"""A rule book: a YAML file, read so that whatever is wrong in it is told with its line.

Every scalar is read as it is written (`no` is Norwegian and 22:00 a time of day) and becomes what
its field asks for. Aliases are refused: a few of them can stand for gigabytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from modalities.errors import InputError
from server.strategy import DEFAULT_BOOK
from server.strategy.condition import Compiler, Condition, ConditionError, nearest
from server.strategy.facts import FACTS
from server.strategy.keywords import Keywords
from server.strategy.rule import Part, Rule, Short, Texts, Times, Window
from server.strategy.timeline import WINDOW_FACTS

MAX_BYTES = 256 * 1024
MAX_DEPTH = 12
MAX_TOLD = 20  # problems

# What conditions ask of a list of keywords, as in `says.refund`: whether the text mentions one of
# its words at all, does so without denying it, or neither denies it nor asks about it.
MENTIONS, SAYS, STATES = "mentions", "says", "states"


@dataclass(frozen=True, eq=False)
class Book:
    """Rules, most urgent first, each with its condition; `revision` is the first 12 hex digits of
    the file's SHA-256."""

    revision: str
    rules: tuple[Rule, ...]
    conditions: Mapping[str, Condition]
    keywords: Mapping[str, Keywords]

    @classmethod
    def default(cls) -> Book:
        return cls.load(DEFAULT_BOOK)

    @classmethod
    def load(cls, path: Path) -> Book:
        """Raises InputError, which names file and line of whatever is wrong, and OSError."""
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InputError(f"{path}: larger than {MAX_BYTES // 1024} KiB")
        root = _parsed(path, content)
        try:
            written = _Written.model_validate(yaml.BaseLoader("").construct_document(root))
        except ValidationError as error:
            raise _refused(path, [_problem(root, one) for one in error.errors()]) from None
        conditions = _conditions(path, root, written)
        rules = sorted(written.rules, key=lambda rule: -rule.priority)
        keywords = {name: Keywords(words) for name, words in written.keywords.items()}
        revision = hashlib.sha256(content).hexdigest()[:12]
        return cls(revision, tuple(rules), conditions, keywords)


class _Written(Part):
    rules: Annotated[list[Rule], Field(min_length=1, max_length=500)]
    keywords: Annotated[
        dict[
            Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)],
            Annotated[list[Short], Field(min_length=1, max_length=200)],
        ],
        Field(max_length=100),
    ] = {}  # noqa: RUF012 (pydantic copies it)


_PARTS: Mapping[str, type[Part]] = {"advice": Texts, "time": Times, "window": Window}
_Problem = tuple[int, str]  # a line, counted from 1, and what is wrong there


class _Loader(yaml.BaseLoader):
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        mark = self.peek_event().start_mark
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
        if self.depth >= MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=mark
            )
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _parsed(path: Path, content: bytes) -> yaml.Node:
    try:
        loader = _Loader(content.decode())
        root = loader.get_single_node()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _refused(path, [(line, "not UTF-8")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "it holds characters that YAML does not allow"
        raise _refused(path, [(mark.line + 1 if mark else 1, reason)]) from None
    if root is None:
        raise _refused(path, [(1, "it is empty; a book has rules")])
    if problems := list(_twice(root)):
        raise _refused(path, problems)
    return root


def _twice(node: yaml.Node) -> Iterator[_Problem]:
    """Keys that stand twice in one mapping, of which YAML would take the last."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _twice(item)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                yield line, "a key is a name"
            elif (first := seen.setdefault(key.value, line)) != line:
                yield line, f"{key.value!r} stands twice here, first in line {first}"
            yield from _twice(value)


def _problem(root: yaml.Node, error: ErrorDetails) -> _Problem:
    """Pydantic's error where it is in the file, in words that help."""
    place = [part for part in error["loc"] if part != "[key]"]
    reason = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        part: type[Part] = _Written
        for name in place[:-1]:
            part = Rule if name == "rules" else _PARTS.get(str(name), part)
        reason = "unknown field" + nearest(str(place[-1]), part.model_fields)
    elif error["type"] == "missing":
        reason = "it is missing"
    line, _ = _entry(root, place)
    return line, f"{_path(place)}: {reason}" if place else reason


def _conditions(path: Path, root: yaml.Node, written: _Written) -> dict[str, Condition]:
    compiler = Compiler(
        {fact.name: fact.type for fact in (*FACTS, *WINDOW_FACTS)}
        | {
            f"{asked}.{name}": "bool"
            for name in written.keywords
            for asked in (MENTIONS, SAYS, STATES)
        }
    )
    conditions: dict[str, Condition] = {}
    problems: list[_Problem] = []
    for index, rule in enumerate(written.rules):
        if rule.name in conditions:
            line, _ = _entry(root, ["rules", index, "name"])
            problems.append((line, f"rules[{index}].name: another rule has this name"))
        try:
            condition = compiler.compile(rule.when)
            if rule.window is None and any(one.startswith("window.") for one in condition.names):
                raise ConditionError("facts of a window are asked for; give the rule a window")
            conditions[rule.name] = condition
        except ConditionError as error:
            line, node = _entry(root, ["rules", index, "when"])
            if isinstance(node, yaml.ScalarNode) and node.style == "|":
                line = node.start_mark.line + 1 + error.line  # other styles fold their lines
            problems.append((line, f"rules[{index}].when: {error}"))
    if problems:
        raise _refused(path, problems)
    return conditions


def _entry(root: yaml.Node, place: Sequence[str | int]) -> tuple[int, yaml.Node]:
    """The line of what is at `place`, of its key where it has one, and its node; as far as there
    is one."""
    node, line = root, root.start_mark.line + 1
    for part in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
            if not found:
                break
            key, node = found[0]
            line = key.start_mark.line + 1
    return line, node


def _path(place: Sequence[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)[1:]


def _refused(path: Path, problems: Sequence[_Problem]) -> InputError:
    lines = [f"{path}:{line}: {what}" for line, what in sorted(problems)[:MAX_TOLD]]
    if len(problems) > MAX_TOLD:
        lines.append(f"… and {len(problems) - MAX_TOLD} more")
    return InputError("\n".join(lines))
