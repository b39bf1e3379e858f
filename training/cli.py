"""`emotion train`, `emotion evaluate` and `emotion data`."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import weights

train_app = typer.Typer(no_args_is_help=True, help="Make the files in weights/ from the data.")
data_app = typer.Typer(no_args_is_help=True, help="The data and its splits.")

RunDir = Annotated[Path, typer.Option("--run", help="Checkpoints of the run; it resumes there.")]
Threads = Annotated[int, typer.Option(help="CPU threads.")]


class Part(StrEnum):
    TEXT = "text"
    VOICE = "voice"
    IMAGE = "image"
    FUSION = "fusion"


@train_app.command()
def text(run: RunDir = Path("build/text"), epochs: int = 3, threads: Threads = 2) -> None:
    """The tokenizer and BERT."""
    _threads(threads)
    from training import text as recipe

    recipe.train(run, weights.path_of("text"), epochs)
    write_sums()


@train_app.command()
def voice(run: RunDir = Path("build/voice"), epochs: int = 14, threads: Threads = 2) -> None:
    """The embedded Whisper-architecture encoder and its emotion head."""
    _threads(threads)
    from training import voice as recipe

    recipe.train(run, weights.path_of("voice"), epochs)
    write_sums()


@train_app.command()
def image(run: RunDir = Path("build/image"), epochs: int = 14, threads: Threads = 2) -> None:
    """The vision encoder for faces and stickers."""
    _threads(threads)
    from training import image as recipe

    recipe.train(run, weights.path_of("image"), epochs)
    write_sums()


@train_app.command()
def fusion(threads: Threads = 2) -> None:
    """The pool, on readings by the other three: train it after them."""
    _threads(threads)
    from training import fusion as recipe

    recipe.train(weights.FOLDER, weights.path_of("fusion"))
    write_sums()


@train_app.command()
def whisper(
    run: RunDir = Path("build/whisper"),
    out: Path = Path("build/whisper/small.pt"),
    epochs: int = 12,
    threads: Threads = 2,
) -> None:
    """A small real Whisper checkpoint with its emotion head, for tests; never shipped."""
    _threads(threads)
    from training import whisper as recipe

    recipe.train(run, out, epochs=epochs)


def evaluate(
    part: Annotated[Part, typer.Argument()],
    data: Annotated[str, typer.Option(help="A set's name, such as ewect, ravdess or fer.")] = "",
    split: str = "test",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    threads: Threads = 2,
) -> None:
    """Judge the embedded weights on a split of a set."""
    _threads(threads)
    from training import evaluate as judge
    from training import fusion as recipe

    if part is Part.FUSION:
        results = [recipe.evaluate(weights.FOLDER, split)]
    else:
        found = judge.evaluate(part.value, data, split, weights.path_of(part.value))
        results = [asdict(figures) for figures in found]
    for result in results:
        if as_json:
            typer.echo(json.dumps(result, ensure_ascii=False))
        else:
            typer.echo("  ".join(f"{name}={value}" for name, value in result.items()))


@data_app.command()
def splits() -> None:
    """Write the split files that are missing; those that exist are never changed."""
    from training.data import write_splits

    for path in write_splits():
        typer.echo(f"wrote {path.name}")


@data_app.command()
def card(part: Annotated[Part, typer.Argument()], threads: Threads = 2) -> None:
    """Evaluate the embedded weights on every test split and write their model card."""
    _threads(threads)
    from training.cards import write

    typer.echo(f"wrote {write(part.value)}")


def write_sums() -> None:
    """SHA256SUMS of the bundle, as sha256sum writes it."""
    from modalities.checkpoint import sha256

    lines = [
        f"{sha256(path)}  {path.name}\n" for path in sorted(weights.FOLDER.glob("*.safetensors"))
    ]
    (weights.FOLDER / "SHA256SUMS").write_text("".join(lines))


def _threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)
