"""A rule's condition: CEL, checked against the facts' types and bounded before it ever runs.

The language is the Common Expression Language in its C++ implementation, which bounds the depth
of an expression (32) and what its macros may do, and matches by RE2, in linear time. On top of
that a condition is kept so small at load that it cannot be slow: no loop stands in a loop, none
adds up texts or searches by a pattern. The worst that is allowed, a pattern made for it over the
longest text made for it, takes about a tenth of a second.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from cel_expr_python import cel

MAX_CHARACTERS = 1000  # of a condition
MAX_PATTERNS = 50  # of a book
MAX_PATTERN_CHARACTERS = 300
MAX_REPEATS = 30  # of {n} in a pattern, which may have one
MAX_MACROS = 2
MACROS = ("all", "exists", "exists_one", "filter")
FUNCTIONS = (*MACROS, "contains", "endsWith", "matches", "size", "startsWith", "int", "double")
CEL_TYPES = {
    "bool": cel.Type.BOOL,
    "int": cel.Type.INT,
    "double": cel.Type.DOUBLE,
    "string": cel.Type.STRING,
    "list(string)": cel.Type.List(cel.Type.STRING),
}

_TOKEN = re.compile(
    r"""\s+
    | (?P<refused>// | ` | \"{3} | '{3} | [bB][rR]?["'] | [rR][bB]["'])
    | (?P<string>[rR](?:"[^"\n]*"|'[^'\n]*') | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*')
    | (?P<name>[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)
    | (?P<other>.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_PROBLEM = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_REPEATS = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_PLAIN = re.compile(r"""(["'])([^"'\\]*)\1""")  # without escapes
_COMPARED = re.compile(r"""([<>]=?|[=!]=)(?:(-?\d+(?:\.\d+)?)|"([^"\\]*)"|'([^'\\]*)')""")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


_Token: TypeAlias = tuple[str, str]  # its kind, and the text


class ConditionError(ValueError):
    """What is wrong with a condition, at which of its lines, counted from 1."""

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(reason)
        self.line = line


class _Guard(NamedTuple):
    """Of the terms that a condition joins by `&&`: a name compared with what is written."""

    name: str
    compare: Callable[[Any, Any], bool]
    written: Any

    def is_true(self, values: Mapping[str, Any]) -> bool:
        value = values[self.name]
        return value is not None and self.compare(value, self.written)


# One of them has to be true: `a || b` in brackets; mostly there is but one.
_Either: TypeAlias = Sequence[_Guard]


class Condition:
    """A compiled condition and the `names` that it asks for.

    Most conditions are false at most moments, by a term that says so by itself: `guards` look at
    those first, at a fiftieth of what it costs to evaluate the expression. Where it consists of
    guards only, they are all there is to know.
    """

    def __init__(
        self,
        expression: cel.Expression,
        names: Mapping[str, str],
        guards: Sequence[_Either] = (),
        only_guards: bool = False,
    ) -> None:
        self.names = tuple(names)
        self._expression, self._guards, self._only_guards = expression, guards, only_guards
        self._doubles = frozenset(name for name, type_ in names.items() if type_ == "double")

    def is_refuted(self, values: Mapping[str, Any]) -> bool:
        """Whether a guard says so already, whatever else there is to know."""
        for guards in self._guards:
            for name, compare, written in guards:
                value = values.get(name)
                if value is None or compare(value, written):
                    break
            else:
                return True
        return False

    def holds(self, values: Mapping[str, Any]) -> bool | None:
        """Whether it is true of them; None where that hangs on names that are not there.

        To compare a value that is None gives neither true nor false, as in SQL: the condition
        holds only if what is left of it is enough to say so.
        """
        if self.is_refuted(values):
            return False
        if all(name in values for name in self.names):
            if not all(any(guard.is_true(values) for guard in one) for one in self._guards):
                return False
            if self._only_guards:
                return True
        known = {name: self._value(name, values[name]) for name in self.names if name in values}
        outcome = self._expression.eval(data=known)
        if outcome.type() == cel.Type.BOOL:
            return bool(outcome.value())
        return None if len(known) < len(self.names) else False

    def _value(self, name: str, value: Any) -> Any:
        return float(value) if name in self._doubles and value is not None else value


class Compiler:
    """Compiles conditions over `types`, a CEL type (a key of CEL_TYPES) for each name."""

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = types
        self._n_patterns = 0
        self._env = cel.NewEnv(variables={name: CEL_TYPES[type_] for name, type_ in types.items()})

    def compile(self, text: str) -> Condition:
        """Raises ConditionError."""
        if len(text) > MAX_CHARACTERS:
            raise ConditionError(f"longer than {MAX_CHARACTERS} characters; make two rules of it")
        tokens = list(_tokens(text))
        for pattern in _bounded(tokens):
            self._check_pattern(pattern)
        try:
            expression = self._env.compile(text)
        except (RuntimeError, TypeError) as error:  # TypeError: what UTF-8 cannot hold
            raise self._explained(str(error)) from None
        if expression.return_type() != cel.Type.BOOL:
            kind = expression.return_type().name().lower()
            raise ConditionError(f"it is of type {kind}; a condition is true or false")
        names = (self._known(name) for kind, name in tokens if kind == "name")
        types = {name: self._types[name] for name in names if name}
        terms = [self._either(term) for term in _joined(tokens, "&", "|?") or [tokens]]
        guards = [guards for guards in terms if guards]
        return Condition(expression, types, guards, bool(terms) and len(guards) == len(terms))

    def _either(self, term: Sequence[_Token]) -> list[_Guard]:
        """Of a term that is one guard or some joined by `||`, in brackets or not."""
        in_brackets = term[0] == ("other", "(") and term[-1] == ("other", ")")
        inner = term[1:-1] if in_brackets else term
        guards = [self._guard(one) for one in _joined(inner, "|", "&?")]
        return [guard for guard in guards if guard] if all(guards) else []

    def _guard(self, term: Sequence[_Token]) -> _Guard | None:
        """Of a term such as `score < 0.2`, `emotion == "sad"`, `abstained`, `!abstained` or
        `"vip" in tags`."""
        match term:
            case [("string", text), ("name", "in"), ("name", name)] if name in self._types:
                plain = _PLAIN.fullmatch(text)
                return _Guard(name, operator.contains, plain[2]) if plain else None
        negated = term[:1] == [("other", "!")]
        (kind, name), *rest = term[1:] if negated else term
        if kind != "name" or name not in self._types:
            return None
        if not rest and self._types[name] == "bool":
            return _Guard(name, operator.is_, not negated)
        if negated or any(kind == "name" for kind, _ in rest):
            return None
        if found := _COMPARED.fullmatch("".join(text for _, text in rest)):
            sign, number, *texts = found.groups()
            written = float(number) if number else next(text for text in texts if text is not None)
            return _Guard(name, _COMPARE[sign], written)
        return None

    def _known(self, dotted: str) -> str | None:
        """The declared name that `dotted` begins with, as CEL resolves it: the longest."""
        parts = dotted.split(".")
        prefixes = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
        return next((name for name in prefixes if name in self._types), None)

    def _check_pattern(self, literal: str) -> None:
        counts = _REPEATS.findall(literal)
        self._n_patterns += 1
        if self._n_patterns > MAX_PATTERNS:
            raise ConditionError(
                f"more than {MAX_PATTERNS} patterns in a book; lists of keywords are faster"
            )
        if len(literal) > MAX_PATTERN_CHARACTERS:
            raise ConditionError(
                f"a pattern is longer than {MAX_PATTERN_CHARACTERS} characters; "
                "a list of keywords is faster"
            )
        if len(counts) > 1 or any(int(n or 0) > MAX_REPEATS for pair in counts for n in pair):
            raise ConditionError(f"a pattern repeats more than once, or over {MAX_REPEATS} times")
        try:
            outcome = self._env.compile(f"''.matches({literal})").eval()
        except RuntimeError as error:
            raise self._explained(str(error)) from None
        if outcome.type() != cel.Type.BOOL:
            raise ConditionError(str(outcome.value()).partition(": ")[2])

    def _explained(self, message: str) -> ConditionError:
        """The first problem that the compiler names, with a hint where one can be given."""
        found = _PROBLEM.search(message)
        line, column, reason = found.groups() if found else ("1", "", message.split("\n")[0])
        reason = reason.removesuffix(" (in container '')").removesuffix(" [INVALID_ARGUMENT]")
        where = f"column {column}: " if column and int(column) > 0 else ""
        hint = ""
        if undeclared := re.search(r"undeclared reference to '(.+?)'", reason):
            reason = f"unknown name {undeclared[1]!r}"
            hint = nearest(undeclared[1], (*self._types, *FUNCTIONS))
        elif "(double, int)" in reason or "(int, double)" in reason:
            hint = "; compare fractions with fractions (0.0) and counts with whole numbers (2)"
        elif "string" in reason and "_==_" in reason:
            hint = '; texts stand in quotes, as "angry"'
        return ConditionError(f"{where}{reason}{hint}", max(1, int(line)))


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint at the name that was meant, if there is one."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "refused":
            raise ConditionError(f"{match[0]} is not allowed in a condition")
        if match.lastgroup:
            yield match.lastgroup, re.sub(r"\s", "", match[0]) if match["name"] else match[0]


def _joined(tokens: Sequence[_Token], sign: str, others: str) -> list[list[_Token]]:
    """What `sign`, twice, joins to the whole; nothing where one of `others` joins it, too."""
    terms, depth = list[list[_Token]]([[]]), 0
    for before, token in zip([("", ""), *tokens], tokens, strict=False):
        if token[0] == "other":
            depth += (token[1] in "([{") - (token[1] in ")]}")
            if depth < 0 or (not depth and token[1] in others):
                return []
            if not depth and token[1] == sign:
                if before == token:
                    terms.append([])
                continue
        terms[-1].append(token)
    return [term for term in terms if term]


def _bounded(tokens: list[_Token]) -> list[str]:
    """The patterns, as they are written; raises ConditionError where what is done for each of a
    list could come to much."""
    patterns, n_macros = [], 0
    open_: list[bool] = []  # brackets, and whether each is a macro's
    for i, (kind, text) in enumerate(tokens):
        called = text.rpartition(".")[2] if tokens[i + 1 : i + 2] == [("other", "(")] else ""
        if kind == "other" and text in "([{":
            before = tokens[i - 1] if i else ("", "")
            open_.append(before[0] == "name" and before[1].rpartition(".")[2] in MACROS)
        elif kind == "other" and text in ")]}" and open_:
            open_.pop()
        elif kind == "name" and called == "map":
            raise ConditionError(f"map is not allowed; of macros there are {', '.join(MACROS)}")
        elif kind == "name" and called in MACROS:
            n_macros += 1
            if any(open_) or n_macros > MAX_MACROS:
                raise ConditionError(f"at most {MAX_MACROS} macros, and none within another")
        elif kind == "name" and called == "matches":
            argument = tokens[i + 2 : i + 4]
            if [one[0] for one in argument] != ["string", "other"] or argument[1][1] != ")":
                raise ConditionError(
                    'a pattern stands in quotes, as in text.matches("refund|退款")'
                )
            if any(open_):
                raise ConditionError("no pattern within a macro; a list of keywords can do it")
            patterns.append(argument[0][1])
    if n_macros and ("other", "+") in tokens:
        raise ConditionError("nothing is added up in a condition that has a macro")
    return patterns
