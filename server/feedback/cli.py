"""`emotion feedback`: what people said, and a manifest of it to learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

feedback_app = typer.Typer(no_args_is_help=True, help="Labels that people gave.")

Url = Annotated[str, typer.Option("--store", metavar="URL", help="The store: a file or a URL.")]


@feedback_app.command("list")
def list_feedback(
    store: Url, limit: Annotated[int, typer.Option(min=1, help="The newest ones.")] = 20
) -> None:
    """Print labels, the newest first."""
    from server.feedback.labels import Labels
    from server.store.archive import Archive

    for label in Labels(Archive(store).engine).page(None, limit):
        typer.echo(
            f"{label.created_at:%Y-%m-%d %H:%M}  {label.analysis}#{label.number}  "
            f"{label.kind} {label.value}"
        )


@feedback_app.command()
def export(
    store: Url,
    out: Annotated[Path, typer.Option(dir_okay=False, help="The CSV manifest to write.")],
    part: Annotated[
        Literal["text", "voice", "image"], typer.Option(help="Which model is to learn from it.")
    ] = "text",
) -> None:
    """Write the labels whose content is known as a manifest for `emotion learn`."""
    from server.feedback.export import write_manifest
    from server.store.archive import Archive

    n_written, n_without = write_manifest(Archive(store), part, out)
    typer.echo(f"wrote {out}: {n_written:,} rows; {n_without:,} labels without stored content")
