"""`emotion train`: the files in weights/, or one's own from one's own data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import weights

if TYPE_CHECKING:
    from training.rows import Row

train_app = typer.Typer(no_args_is_help=True, help="Make weights: the embedded ones, or your own.")

PARTS = {
    "text": "BERT with a sentiment and an emotion head, and its tokenizer.",
    "voice": "An emotion head on the first blocks of a Whisper encoder, which it holds.",
    "image": "A vision encoder for faces and pictures.",
}
Threads = Annotated[int, typer.Option(min=1, help="CPU threads.")]


class Peft(StrEnum):
    LORA = "lora"
    ADALORA = "adalora"


class AllowedBy(StrEnum):
    ANY = "any"
    PERMISSIVE = "permissive"


class Device(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Shared(StrEnum):
    SPEAKER = "speaker"
    DIALOGUE = "dialogue"


def _command(part: str) -> Callable[..., None]:
    def command(
        data: Annotated[
            list[str] | None,
            typer.Option(
                metavar="NAME|MANIFEST",
                help="A set's name or a .csv, .csv.gz or .parquet manifest; repeat for more. "
                "(default: the sets of the embedded weights)",
            ),
        ] = None,
        base: Annotated[
            str | None,
            typer.Option(
                help="What to start from: embedded, a checkpoint's path, or a published name. "
                "(default: what the embedded weights started from)"
            ),
        ] = None,
        out: Annotated[
            Path | None,
            typer.Option(
                help="The file to write. (default: build/PART.safetensors; without --data and "
                "--base the embedded one)"
            ),
        ] = None,
        run: Annotated[
            Path | None,
            typer.Option(help="Checkpoints of the run; it resumes there. (default: build/PART)"),
        ] = None,
        epochs: Annotated[int | None, typer.Option(min=1, help="(default: the recipe's)")] = None,
        learning_rate: Annotated[
            float | None, typer.Option(min=0.0, help="Its peak. (default: the recipe's)")
        ] = None,
        freeze: Annotated[
            int, typer.Option(min=0, help="Lowest layers of the encoder to leave as they are.")
        ] = 0,
        peft: Annotated[
            Peft | None, typer.Option(help="Train adapters only; they are folded in at the end.")
        ] = None,
        terms: Annotated[
            AllowedBy,
            typer.Option(help="permissive: only sets whose terms allow commercial use."),
        ] = AllowedBy.ANY,
        device: Device = Device.AUTO,
        threads: Threads = 2,
        skip_bad: Annotated[
            bool, typer.Option("--skip-bad", help="Leave bad rows of manifests out, counted.")
        ] = False,
        allow_shared: Annotated[
            list[Shared] | None,
            typer.Option(help="Let a speaker or a dialogue be in several splits."),
        ] = None,
    ) -> None:
        from training import checks, hashes
        from training.options import Options
        from training.rows import sets_of

        set_threads(threads)
        embedded = not data and base is None and terms is AllowedBy.ANY
        sources = _allowed(data or sets_of(part), terms)
        out = out or (weights.path_of(part) if embedded else Path(f"build/{part}.safetensors"))
        run = run or (Path("build") / part if embedded else out.with_suffix(".run"))
        # Before the data is read: without the device there is nothing to read it for.
        options = Options(
            base=base,
            freeze=freeze,
            peft=peft.value if peft else None,
            epochs=epochs,
            learning_rate=learning_rate,
            device=resolved(device.value),
        )
        found = checks.prepare(part, sources, skip_bad=skip_bad, allow_shared=allow_shared or ())
        typer.echo(_counts(found.rows))
        typer.echo(f"left out: {found.bad} bad rows, {found.duplicates} copies between splits")
        recipe = import_module(f"training.{part}")
        recipe.train(found.rows, run, out, options)
        hashes.save(out, [row for row in found.rows if row.split == "train"])
        write_sums(out.parent)
        typer.echo(_what_next(part, out, sources))

    command.__doc__ = PARTS[part]
    return command


for _part in PARTS:
    train_app.command(_part)(_command(_part))


@train_app.command()
def fusion(threads: Threads = 2) -> None:
    """The pool, on readings by the other three: train it after them."""
    set_threads(threads)
    from training import fusion as recipe

    recipe.train(weights.FOLDER, weights.path_of("fusion"))
    write_sums()


@train_app.command()
def satisfaction(threads: Threads = 2) -> None:
    """The head that reads whole conversations, on the text model: train it after that."""
    set_threads(threads)
    from training import satisfaction as recipe

    recipe.train(weights.path_of("text"), weights.path_of("satisfaction"))
    write_sums()


def _allowed(sources: Sequence[str], terms: AllowedBy) -> Sequence[str]:
    """The sources that `terms` leave: manifests are their owner's own. Raises InputError where
    that is none."""
    from modalities.errors import InputError
    from training.sets import TERMS

    if terms is AllowedBy.ANY:
        return sources
    left = [name for name in sources if name not in TERMS or TERMS[name].commercial]
    if not left:
        raise InputError("no set is left whose terms allow commercial use", "terms")
    return left


def write_sums(folder: Path = weights.FOLDER) -> None:
    """SHA256SUMS of the checkpoints in `folder`, as sha256sum writes it: a server asks for it."""
    from modalities.checkpoint import sha256

    lines = [f"{sha256(path)}  {path.name}\n" for path in sorted(folder.glob("*.safetensors"))]
    (folder / "SHA256SUMS").write_text("".join(lines))


def set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def resolved(device: str) -> str:
    """``cpu`` or ``cuda``; raises UnavailableError where CUDA is asked for and there is none."""
    import torch

    from modalities.errors import UnavailableError

    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise UnavailableError("torch finds no CUDA device", "use --device cpu or auto")
    return "cuda" if there and device != "cpu" else "cpu"


def _counts(rows: Sequence[Row]) -> str:
    """A line for each split: its rows, and those of each class of both heads."""
    lines = []
    for split in ("train", "dev", "test"):
        kept = [row for row in rows if row.split == split]
        if kept:
            lines.append(f"{split}: {len(kept):,} rows; " + _classes(kept, "emotion"))
            lines.append(f"{' ' * len(split)}  " + _classes(kept, "sentiment"))
    return "\n".join(lines)


def _classes(rows: Sequence[Row], head: Literal["emotion", "sentiment"]) -> str:
    counts = Counter(getattr(row, head) or "none" for row in rows)
    return f"{head} " + ", ".join(f"{name} {n:,}" for name, n in counts.most_common())


def _what_next(part: str, out: Path, sources: Sequence[str]) -> str:
    served = out.name == f"{part}.safetensors"
    lines = [f"wrote {out}", "judge it:"]
    lines += [f"  emotion evaluate {part} --data {source} --weights {out}" for source in sources]
    if out.parent.resolve() == weights.FOLDER:
        lines.append("serve it: emotion serve")
    else:
        name = "" if served else f", the file named {part}.safetensors in it"
        lines.append(
            f"serve it: EMOTION_WEIGHTS={out.parent} emotion serve (the folder needs the other "
            f"parts of weights/ and its SHA256SUMS lines too{name})"
        )
    return "\n".join(lines)
