"""What the doctor finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from modalities.errors import EmotionError, InputError, UnavailableError

if TYPE_CHECKING:
    from server.settings import Settings


class Level(StrEnum):
    """FAIL: the service does not start, or not as it is set. WARN: it does, with less."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """`remedy` is empty where nothing is to be mended."""

    part: str
    level: Level
    found: str
    remedy: str = ""


Check: TypeAlias = "Callable[[Settings], Iterator[Finding]]"


def ok(part: str, found: str) -> Finding:
    return Finding(part, Level.OK, found)


def warn(part: str, found: str, remedy: str) -> Finding:
    return Finding(part, Level.WARN, found, remedy)


def fail(part: str, found: str, remedy: str) -> Finding:
    return Finding(part, Level.FAIL, found, remedy)


def examined(settings: Settings, checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """What all checks find; one that ends in an error has found that."""
    for part, check in checks:
        try:
            yield from check(settings)
        except Exception as error:
            yield of_error(part, error)


def of_error(part: str, error: Exception) -> Finding:
    """An error that was raised on purpose says what to mend, in its message or beside it."""
    match error:
        case UnavailableError():
            return fail(part, error.reason, error.remedy)
        case InputError():
            where = f" {error.field}" if error.field else ""
            return fail(part, error.reason, f"correct the setting{where or ' that it names'}")
        case EmotionError():
            found, _, remedy = str(error).partition("; ")
            return fail(part, found, remedy or "as it says")
        case OSError():
            return fail(part, f"{error.filename or part}: {error.strerror}", "see to that file")
        case _:
            return fail(
                part, f"the check itself failed ({type(error).__name__})", "report it as a bug"
            )
