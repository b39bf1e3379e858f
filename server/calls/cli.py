"""`emotion score-calls`: an archive of recordings as two tables."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.options import Device, Set, Whisper, WhisperDir, settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.analysis import Role
    from server.calls.jobs import Progress
    from server.calls.recorded import CallOptions, Recording
    from server.settings import Settings

SOME_FAILED, INTERRUPTED = 3, 130  # exit statuses, beside those of every command
SHOWN_FAILURES = 20
REDRAW_S = 0.5


def score_calls(
    paths: Annotated[
        list[str],
        typer.Argument(help="Recordings, folders of them, and globs (** for any depth)."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="CALLS.parquet",
            help="One row a call; CALLS.utterances.parquet beside it has one an utterance. "
            "What is there already is kept and added to.",
        ),
    ],
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write HTML pages to look at.")
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE,ROLE",
            help="Who speaks on each channel: customer, agent or unknown. Without it nobody knows.",
        ),
    ] = None,
    single_speaker: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE", help="Who speaks in recordings of one channel, if one person does."
        ),
    ] = None,
    score_unknown_roles: Annotated[
        bool, typer.Option(help="Score the emotion of channels of unknown role, too.")
    ] = False,
    engine: Annotated[
        str | None, typer.Option(help="local, or ray: on all machines of a Ray cluster.")
    ] = None,
    device: Device = None,
    whisper: Whisper = None,
    whisper_dir: WhisperDir = None,
    other: Set = None,
) -> None:
    """Score recorded calls: who spoke when, and how the customer felt.

    Run the same command again after a kill or a change: it goes on where it stopped, scores what
    is new or was changed, and tries again what failed. Exit status: 0 all is scored, 3 some
    recordings are not (each with its reason in the column `error`), 2 nothing to do.
    """
    settings = settings_of(
        other, engine=engine, device=device, whisper=whisper, whisper_dir=whisper_dir
    )
    from modalities.errors import InputError
    from server.analysis import Role
    from server.calls.jobs import find
    from server.calls.recorded import CallOptions

    if out.suffix != ".parquet":
        raise InputError("a name that ends in .parquet is needed", "--out")
    single = _roles(single_speaker, "--single-speaker")
    if len(single) > 1:
        raise InputError("one role is needed", "--single-speaker")
    options = CallOptions(
        _roles(channels, "--channels"), single[0] if single else None, score_unknown_roles
    )
    recordings = find(paths)
    if not (score_unknown_roles or Role.CUSTOMER in (*options.channel_roles, *single)):
        print(
            "emotion: who is the customer? Without --channels or --single-speaker saying so, no "
            "customer's emotion is scored",
            file=sys.stderr,
        )
    try:
        progress = asyncio.run(_run(recordings, out, options, settings))
    except KeyboardInterrupt:
        print("emotion: stopped; the same command goes on from here", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    _tell(progress, out)
    if report is not None:
        from server.calls import report as pages
        from server.calls.journal import utterances_path

        pages.write(out, utterances_path(out), report)
    if progress.failures:
        raise typer.Exit(SOME_FAILED)


async def _run(
    recordings: Sequence[Recording], out: Path, options: CallOptions, settings: Settings
) -> Progress:
    from server import logs, models
    from server.calls.jobs import Job
    from server.pipeline import Pipeline
    from server.runner import naming

    logs.configure()
    here = settings.model_copy(update={"engine": "local"})  # what reads no recording with ray
    async with Pipeline(models.load(settings, pictures=False), here) as pipeline:
        with naming("--out"):
            job = Job(recordings, out, options, pipeline)
        drawing = asyncio.create_task(_draw(job.progress))
        try:
            if settings.engine == "ray":
                from server.ray_engine import calls

                await calls.run(job, settings)
            else:
                await job.run(settings.calls_at_once)
        finally:
            drawing.cancel()
            await asyncio.wait([drawing])
        return job.progress


async def _draw(progress: Progress) -> None:
    """A bar on stderr that follows `progress` until it is cancelled."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.fields[counts]}"),
        BarColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    started = time.monotonic()
    with Bar(*columns, console=Console(stderr=True)) as bar:
        # By size: a long call takes as much longer as its file is larger.
        task = bar.add_task("", total=max(1, progress.total_bytes), counts="", speed="")

        def update() -> None:
            speed = progress.channel_s / max(1e-3, time.monotonic() - started)
            failed = f", {len(progress.failures)} failed" if progress.failures else ""
            bar.update(
                task,
                completed=progress.done_bytes,
                counts=f"{progress.done} of {progress.total} recordings{failed}",
                speed=f"{speed:.0f} channel-hours an hour",
            )

        try:
            while True:
                update()
                await asyncio.sleep(REDRAW_S)
        finally:
            update()


def _roles(names: str | None, option: str) -> tuple[Role | None, ...]:
    """Raises InputError."""
    from modalities.errors import InputError
    from server.analysis import Role

    known: dict[str, Role | None] = {"customer": Role.CUSTOMER, "agent": Role.AGENT}
    known["unknown"] = None
    roles = [name.strip().lower() for name in names.split(",")] if names else []
    if unknown := [name for name in roles if name not in known]:
        raise InputError(f"{unknown[0]!r} is none of {', '.join(known)}", option)
    return tuple(known[name] for name in roles)


def _tell(progress: Progress, out: Path) -> None:
    from server.calls.journal import utterances_path

    earlier = f", {progress.earlier} of them by an earlier run" if progress.earlier else ""
    print(f"{progress.done - len(progress.failures)} recordings are scored{earlier}")
    print(f"calls: {out}\nutterances: {utterances_path(out)}")
    if progress.failures:
        print(f"{len(progress.failures)} recordings are not scored:", file=sys.stderr)
    for path, reason in sorted(progress.failures.items())[:SHOWN_FAILURES]:
        print(f"  {path}: {reason}", file=sys.stderr)
    if len(progress.failures) > SHOWN_FAILURES:
        print("  ... and more; the column `error` has them all", file=sys.stderr)
