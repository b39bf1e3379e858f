"""`python -m bench.calls compose --out DIR --calls N --seed S`, and `turns` on what it wrote;
`recorded`: speed, memory and kills of `emotion score-calls`; `live`: latency by streams at once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bench.calls import compose as composer
from bench.calls import live as live_calls
from bench.calls import recorded as recordings
from bench.calls import score_turns

app = typer.Typer(help=__doc__, no_args_is_help=True)


@app.command()
def compose(
    out: Annotated[Path, typer.Option(help="A folder, made where it is missing.")],
    calls: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 0,
    split: Annotated[str, typer.Option(help="dev to tune on, test to publish.")] = "test",
) -> None:
    """Compose stereo calls of held-out clips: WAV of 8 kHz μ-law, and the truth as JSON."""
    for path in composer.compose(out, calls, seed, split):
        print(path)


@app.command()
def turns(
    folder: Annotated[Path, typer.Argument(help="What `compose` wrote.")],
) -> None:
    """Score the calls and hold what is found against the truth."""
    truths = sorted(folder.glob("*.json"))
    if not truths:
        raise typer.BadParameter(f"no composed call in {folder}")
    figures = asyncio.run(score_turns.score(truths))
    print(json.dumps(asdict(figures), indent=2))


@app.command()
def recorded(
    only: Annotated[str | None, typer.Option(help="speed, memory or killed.")] = None,
) -> None:
    """Measure `emotion score-calls`: channel-hours an hour, memory by length, rows after kills."""
    print(json.dumps(recordings.run(only), indent=2))


@app.command()
def live(
    streams: Annotated[str, typer.Option(help="How many at once, by commas.")] = "10,20,30,40,50",
    seconds: Annotated[float, typer.Option(min=15, help="Of each call.")] = 60.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same calls.")] = 0,
) -> None:
    """Measure live calls in real time: latency by how many there are, and where it breaks."""
    counts = [int(count) for count in streams.split(",")]
    print(json.dumps(live_calls.run(counts, seconds, seed), indent=2))


if __name__ == "__main__":
    app()
