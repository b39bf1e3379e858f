"""The registry: versions of each part in a folder, and a pointer to those that are served.

    REGISTRY/current.json         part → history of promoted versions, the last one being served
    REGISTRY/text/0001/           text.safetensors, satisfaction.safetensors, SHA256SUMS, card.json
    REGISTRY/text/learning.lock   held while somebody learns the part, and says who

A version is written beside and renamed, and so is the pointer: a full disk or a kill leaves what
there was. "embedded" names the bundle's own weights, which need no registry.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modalities.checkpoint import sha256
from modalities.errors import InputError, UnavailableError

EMBEDDED = "embedded"
PARTS = ("text", "voice", "image")
CARD, SUMS, POINTER, LOCK = "card.json", "SHA256SUMS", "current.json", "learning.lock"


@dataclass(frozen=True)
class Version:
    """A version of a part; `card` tells its parent, data, gate report and date."""

    part: str
    name: str
    folder: Path
    card: Mapping[str, Any]

    @property
    def checkpoint(self) -> Path:
        return self.folder / f"{self.part}.safetensors"


class Registry:
    """A folder of versions; it need not exist before the first one is added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of_environment(cls) -> Registry | None:
        """That of EMOTION_REGISTRY; None where it is not set."""
        folder = os.environ.get("EMOTION_REGISTRY")
        return cls(Path(folder)) if folder else None

    def versions(self, part: str) -> list[Version]:
        """In the order in which they were added."""
        folders = sorted((self.folder / part).glob("[0-9]*"))
        return [
            Version(part, folder.name, folder, json.loads((folder / CARD).read_text()))
            for folder in folders
        ]

    def version(self, part: str, name: str) -> Version:
        """Raises InputError where there is none of that name."""
        found = {version.name: version for version in self.versions(part)}
        if name not in found:
            known = ", ".join([EMBEDDED, *found])
            raise InputError(f"{part} has no version {name}, only {known}", "version")
        return found[name]

    def current(self, part: str) -> Version | None:
        """What is to be served; None for the embedded weights."""
        name = self.history(part)[-1]
        return None if name == EMBEDDED else self.version(part, name)

    def history(self, part: str) -> list[str]:
        """Names of what was served, the embedded weights first, the current version last."""
        return [EMBEDDED, *self._pointer().get(part, [])]

    def add(self, part: str, made: Path, card: Mapping[str, Any]) -> Version:
        """Take the checkpoints and lists in the folder `made` in as a new version, not yet served.

        Raises UnavailableError where they cannot be written; the registry is then as it was.
        """
        parent = self.folder / part
        with self._written():
            parent.mkdir(parents=True, exist_ok=True)
            taken = [int(folder.name) for folder in parent.glob("[0-9]*")]
            name = f"{max(taken, default=0) + 1:04d}"
            partial = parent / f".{name}.partial"
            try:
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                for path in sorted(made.glob("*.safetensors")) + sorted(made.glob("*.trained.npy")):
                    shutil.copyfile(path, partial / path.name)
                sums = {path.name: sha256(path) for path in sorted(partial.glob("*.safetensors"))}
                lines = [f"{digest}  {file}\n" for file, digest in sums.items()]
                (partial / SUMS).write_text("".join(lines))
                told = {"part": part, "version": name, "made_at": _now(), "sha256": sums, **card}
                (partial / CARD).write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
                for path in partial.iterdir():
                    _synced(path)
                partial.rename(parent / name)
            except OSError:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        return self.version(part, name)

    def promote(self, part: str, name: str) -> None:
        """Serve this version from now on; raises InputError where there is none."""
        if name != EMBEDDED:
            self.version(part, name)
        history = [*self.history(part), name] if name != EMBEDDED else [EMBEDDED]
        self._point(part, history[1:])

    def rollback(self, part: str, name: str | None = None) -> str:
        """Serve `name`, which was served before, or what was served last before this; its name.

        Raises InputError where nothing was.
        """
        history = self.history(part)
        if len(history) == 1:
            raise InputError(f"no version of {part} was promoted: it is the embedded one", "name")
        target = history[-2] if name is None else name
        if target not in history[:-1]:
            raise InputError(
                f"{target} was not served before; that were {', '.join(history[:-1])}", "version"
            )
        last = len(history) - 2 - history[-2::-1].index(target)
        self._point(part, history[1 : last + 1])
        return target

    @contextmanager
    def learning(self, part: str) -> Iterator[None]:
        """Nobody else learns this part meanwhile; raises UnavailableError, naming who does.

        The lock is the process's: it goes with it, however it ends.
        """
        with self._written():
            (self.folder / part).mkdir(parents=True, exist_ok=True)
            file = (self.folder / part / LOCK).open("a+")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise UnavailableError(
                    f"{file.read().strip() or 'another process'} is learning {part}",
                    "wait until that has ended",
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}, since {_now()},")
            file.flush()
            yield

    def _pointer(self) -> dict[str, list[str]]:
        try:
            pointer: dict[str, list[str]] = json.loads((self.folder / POINTER).read_text())
        except FileNotFoundError:
            return {}
        return pointer

    def _point(self, part: str, history: list[str]) -> None:
        pointer = self._pointer() | {part: history}
        partial = self.folder / f".{POINTER}.partial"
        with self._written():
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                partial.write_text(json.dumps(pointer) + "\n")
                _synced(partial)
                partial.replace(self.folder / POINTER)
            except OSError:
                partial.unlink(missing_ok=True)
                raise

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnavailableError(
                f"the registry {self.folder} cannot be written: {error.strerror}",
                "free some space there, or choose another folder by EMOTION_REGISTRY",
            ) from error


def _synced(path: Path) -> None:
    """On the disk: a power cut must not find the new name before the new content."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
