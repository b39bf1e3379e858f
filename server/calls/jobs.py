"""Many recordings → one table: found, scored a few at a time, and safe to kill."""

from __future__ import annotations

import asyncio
import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path
from typing import Any

from modalities.errors import EmotionError, InputError
from server.analysis import Call
from server.calls import table
from server.calls.journal import Journal
from server.calls.recorded import CallOptions, Recording, score
from server.calls.scoring import AT_ONCE
from server.errors import StateError
from server.logs import LOG
from server.models import Models
from server.pipeline import Pipeline
from server.runner import Generation, together
from server.settings import Settings

# Of what is taken from a folder; a file that is named, or matched by a glob, is always opened.
SUFFIXES = (
    *(".wav", ".w64", ".au", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".spx", ".m4a", ".mp4"),
    *(".3gp", ".mka", ".mkv", ".webm", ".amr", ".aac"),
)


@dataclass
class Progress:
    """Where a run stands; `done` counts failed recordings and those of an earlier run, too."""

    total: int
    total_bytes: int
    done: int = 0
    done_bytes: int = 0
    earlier: int = 0  # scored by a run that was stopped
    channel_s: float = 0.0  # audio scored by this run, the channels' lengths added up
    failures: dict[str, str] = field(default_factory=dict)  # path → reason

    def add(self, recording: Recording) -> None:
        self.done += 1
        self.done_bytes += recording.size_bytes

    def heard(self, channel_s: float) -> None:
        self.channel_s += channel_s


def find(patterns: Sequence[str]) -> list[Recording]:
    """Recordings in files, folders (with theirs) and globs (``**`` for any depth), in the order of
    their paths, each file once. Raises InputError where one of them finds nothing."""
    return _find(patterns, [Path()])


def find_under(roots: Sequence[Path], patterns: Sequence[str]) -> list[Recording]:
    """As `find`, each relative to the first of `roots` where it finds something. What lies outside
    that root is not found, whatever links lead there."""
    for index, pattern in enumerate(patterns):
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts or "\0" in pattern:
            raise InputError("a path under a root is needed, without ..", f"paths[{index}]")
    return _find(patterns, roots, confined=True)


def _find(
    patterns: Sequence[str], roots: Sequence[Path], confined: bool = False
) -> list[Recording]:
    found: dict[str, Path] = {}
    for index, pattern in enumerate(patterns):
        for root in roots:
            paths = {name: (root / name).resolve() for name in _match(pattern, root)}
            if confined:
                inside = root.resolve()
                paths = {n: path for n, path in paths.items() if path.is_relative_to(inside)}
            if paths:
                break
        else:
            field = f"paths[{index}]" if confined else ""  # of the request; a command has none
            raise InputError(_nothing(pattern, roots), field)
        found |= paths
    by_file = {found[name]: name for name in sorted(found, reverse=True)}
    recordings = []
    for path, name in sorted(by_file.items(), key=itemgetter(1)):
        with suppress(FileNotFoundError):  # taken away while the rest was looked for
            recordings.append(_recording(name, path))
    return recordings


def _match(pattern: str, root: Path) -> Iterator[str]:
    if (root / pattern).exists():  # a file's own name may look like a glob
        names = [pattern]
    else:
        names = glob.glob(pattern, root_dir=root, recursive=True)  # noqa: PTH207 (absolute ones too)
    for path in map(Path, names):
        if (root / path).is_file():
            yield str(path)
        else:
            yield from (str(path / inner) for inner in _walk(root / path))


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        inner = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inner.parts)
        if not hidden and path.suffix.lower() in SUFFIXES and path.is_file():
            yield inner


def _nothing(pattern: str, roots: Sequence[Path]) -> str:
    if any((root / pattern).is_dir() for root in roots):
        return f"there is no recording in {pattern}: no file ending in {' '.join(SUFFIXES)}"
    if glob.has_magic(pattern):
        return f"no recording matches {pattern}"
    return f"there is no file or folder {pattern}"


def _recording(name: str, path: Path) -> Recording:
    stat = path.stat()
    modified = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=stat.st_mtime_ns // 1000)
    shown = os.fsencode(name).decode(errors="backslashreplace")  # a name may be no UTF-8
    return Recording(shown, path, stat.st_size, modified)


class Job:
    """A run; `out` is the table of calls, `turn` as for a Scorer. All of it is scored by the models
    that serve when it is made: one table has one set of models, whatever is promoted meanwhile.
    Raises as `Journal`, and UnavailableError where there is no model for voices."""

    def __init__(
        self,
        recordings: Sequence[Recording],
        out: Path,
        options: CallOptions,
        pipeline: Pipeline,
        turn: AbstractAsyncContextManager[Any] = AT_ONCE,
    ) -> None:
        begun = Call("")
        models = pipeline.runner.models_of(begun)
        if models.voice is None:
            raise models.missing["voice"]
        self.recordings, self.options, self.pipeline = recordings, options, pipeline
        self._turn, self._generation = turn, begun.generation
        self.models = revisions(models)
        self.journal = Journal(out, _described(options, pipeline.settings) | self.models)
        self.progress = Progress(len(recordings), sum(one.size_bytes for one in recordings))

    async def run(self, calls_at_once: int) -> None:
        """Score what is not yet scored, and write the table. A recording that cannot be scored
        has its reason in the table and in `progress`. Cancelled, it leaves a journal from which
        another run goes on; so it does where the output cannot be written, which raises
        StateError."""
        try:
            with writing():
                left = iter(self.left())
                await together([self._work(left) for _ in range(calls_at_once)])
                await self.finish()
        finally:
            self.journal.close()

    def left(self) -> list[Recording]:
        """What no earlier run has scored."""
        left = []
        for recording in self.recordings:
            if self.journal.has(recording):
                self.progress.add(recording)
                self.progress.earlier += 1
            else:
                left.append(recording)
        return left

    async def _work(self, left: Iterable[Recording]) -> None:
        for recording in left:
            heard = self.progress.heard
            row = await row_of(
                recording, self.pipeline, self.options, heard, self._turn, self._generation
            )
            await self.keep(recording, row)

    async def keep(self, recording: Recording, row: Mapping[str, Any]) -> None:
        """In the journal, and in `progress`."""
        await asyncio.to_thread(self.journal.add, row)
        if row["error"]:
            self.progress.failures[recording.name] = row["error"]
        self.progress.add(recording)

    async def finish(self) -> None:
        """Write the table."""
        await _to_its_end(self.journal.finish)


async def row_of(
    recording: Recording,
    pipeline: Pipeline,
    options: CallOptions,
    heard: Callable[[float], None],
    turn: AbstractAsyncContextManager[Any] = AT_ONCE,
    generation: Generation | None = None,
) -> dict[str, Any]:
    """Of `table.NESTED`, for a recording that cannot be scored, too; arguments as for `score`."""
    try:
        call = await score(recording.path, pipeline, options, heard, turn, generation)
        return await asyncio.to_thread(table.scored_row, recording, call)
    except InputError as error:
        return table.failed_row(recording, table.UNREADABLE, error.reason)
    except OSError as error:
        return table.failed_row(recording, table.UNREADABLE, error.strerror or "not readable")
    except EmotionError:
        raise  # it would be the same with every other recording
    except Exception:
        LOG.exception("recording failed")
        return table.failed_row(recording, table.FAILED, "the service failed on it")


@contextmanager
def writing() -> Iterator[None]:
    """Of what a job keeps: a full disk, say, becomes a StateError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StateError(
            f"the output cannot be written ({reason})", "mend that; the same job then goes on"
        ) from error


async def _to_its_end(work: Callable[[], None]) -> None:
    """`work` in a thread; a run that is cancelled meanwhile waits for it."""
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _described(options: CallOptions, settings: Settings) -> dict[str, str]:
    """What decides the rows, besides the recordings and the models."""
    roles = [role.lower() if role else "unknown" for role in options.channel_roles]
    single = options.single_speaker
    return {
        "emotion-service": version("emotion-service"),
        "channels": ",".join(roles) or "unset",
        "single-speaker": single.lower() if single else "unset",
        "score-unknown-roles": str(options.score_unknown_roles).lower(),
        "score-agents": str(settings.score_agents).lower(),
    }


def revisions(models: Models) -> dict[str, str]:
    """Of the models that read calls."""
    names = {"fusion", "voice"}
    if models.voice and models.voice.whisper:
        names |= {"whisper", "text", "satisfaction"}
    return {info.name: info.revision for info in models.infos() if info.name in names}
