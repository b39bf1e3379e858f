"""`emotion data`: splits, manifests of the data sets, their checks, model cards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

data_app = typer.Typer(no_args_is_help=True, help="Data sets, manifests, splits, model cards.")


@data_app.command()
def splits() -> None:
    """Write the split files that are missing; those that exist are never changed."""
    from training.data import write_splits

    for path in write_splits():
        typer.echo(f"wrote {path.name}")


@data_app.command()
def card(
    part: Annotated[Literal["text", "voice", "image", "fusion", "satisfaction"], typer.Argument()],
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
) -> None:
    """Evaluate the embedded weights on every test split and write their model card."""
    import torch

    from training.cards import write

    torch.set_num_threads(threads)
    typer.echo(f"wrote {write(part)}")


@data_app.command("manifest")
def write_manifest(
    name: Annotated[str, typer.Argument(help="A set's name, such as ewect, ravdess or fer.")],
    out: Annotated[Path | None, typer.Option(help="The CSV file; NAME.csv if not given.")] = None,
) -> None:
    """Write a manifest of a data set, to see how one looks or to train on a part of it."""
    from modalities.errors import InputError
    from training import manifest
    from training.rows import SETS, load

    part = next((part for part, sets in SETS.items() if name in sets), None)
    if part is None:
        known = ", ".join(name for sets in SETS.values() for name in sets)
        raise InputError(f"the sets are {known}", "name")
    out = out or Path(f"{name}.csv")
    rows = load(part, name)
    manifest.write(rows, out)
    typer.echo(f"wrote {out}: {len(rows):,} rows")


@data_app.command()
def check(
    part: Annotated[Literal["text", "voice", "image"], typer.Argument()],
    manifest: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    allow_shared: Annotated[
        list[str] | None,
        typer.Option(help="speaker or dialogue may be in two splits; repeat for both."),
    ] = None,
) -> None:
    """Print what training would refuse in a manifest, line by line; exit status 1 if anything."""
    from training.checks import examine, without_duplicates
    from training.manifest import ManifestError

    try:
        found = examine(manifest, part, allow_shared=allow_shared or ())
    except ManifestError as error:
        typer.echo(error)
        raise typer.Exit(1) from None
    for problem in found.problems:
        typer.echo(problem)
    rows, duplicates = without_duplicates(found.rows)
    typer.echo(
        f"{len(rows):,} rows to train on, {found.left_out:,} bad, {duplicates:,} copies of rows in "
        "a later split"
    )
    if found.problems:
        raise typer.Exit(1)
