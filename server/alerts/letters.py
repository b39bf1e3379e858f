"""Alerts on their way to a receiver, on disk: those that are pending, and those given up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from server.files import write_whole
from server.logs import LOG


@dataclass(frozen=True)
class Letter:
    """One alert to one receiver; `id` is the alert's, `body` its JSON, `raised_s` a UNIX time."""

    id: str
    url: str
    body: str
    raised_s: float


@dataclass(frozen=True)
class DeadLetter:
    """A letter that was given up, and why."""

    letter: Letter
    reason: str


class Pending:
    """One file a letter, so that each can go by itself; what is there survives a kill."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def add(self, letter: Letter) -> None:
        """Raises OSError."""
        write_whole(self._path(letter), json.dumps(asdict(letter), ensure_ascii=False).encode())

    def remove(self, letter: Letter) -> None:
        self._path(letter).unlink(missing_ok=True)

    def read(self) -> list[Letter]:
        """The oldest first."""
        letters = []
        for path in self._folder.glob("*.json"):
            try:
                letters.append(Letter(**json.loads(path.read_bytes())))
            except (ValueError, TypeError):  # a power cut may leave an empty file
                LOG.error("a pending alert cannot be read", extra={"file": path.name})
        return sorted(letters, key=lambda letter: letter.raised_s)

    def _path(self, letter: Letter) -> Path:
        receiver = hashlib.sha256(letter.url.encode()).hexdigest()[:12]
        return self._folder / f"{letter.id}-{receiver}.json"


class DeadLetters:
    """dead-letters.jsonl, the oldest first. The server adds to it, the command line takes from
    it, perhaps at once: hence the lock."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "dead-letters.jsonl"
        self._lock = FileLock(folder / "dead-letters.lock")

    def add(self, letter: Letter, reason: str) -> None:
        """Raises OSError."""
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(_line(DeadLetter(letter, reason)))

    def read(self) -> list[DeadLetter]:
        with self._lock:
            return self._read()

    def update(self, change: Callable[[DeadLetter], DeadLetter | None]) -> None:
        """Replace each by what `change` makes of it; None takes it out."""
        with self._lock:
            left = [new for one in self._read() if (new := change(one)) is not None]
            write_whole(self._path, "".join(map(_line, left)).encode())

    def _read(self) -> list[DeadLetter]:
        if not self._path.exists():
            return []
        letters = []
        for line in self._path.read_text("utf-8", "replace").splitlines():
            try:
                value = json.loads(line)
                letters.append(DeadLetter(Letter(**value.pop("letter")), **value))
            except (ValueError, LookupError, TypeError):
                LOG.error("a dead letter cannot be read")
        return letters


def _line(dead: DeadLetter) -> str:
    return json.dumps(asdict(dead), ensure_ascii=False) + "\n"
