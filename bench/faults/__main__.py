"""`python -m bench.faults NAME [OPTIONS]`: run one and print its figures as JSON."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bench.faults import kills, malformed, overload, soak

app = typer.Typer(help="Faults on purpose, against real server processes.", add_completion=False)


def _tell(found: dict[str, object]) -> None:
    print(json.dumps(found, indent=2, ensure_ascii=False))
    raise typer.Exit(0 if found["passed"] else 1)


@app.command("malformed")
def malformed_(n: int = malformed.N, seed: int = malformed.SEED) -> None:
    """Broken requests to all methods."""
    _tell(malformed.run(n, seed))


@app.command("overload")
def overload_(
    load: Annotated[list[str] | None, typer.Option(help="text or mixed; by default both")] = None,
    seconds: float = overload.SECONDS,
) -> None:
    """Three times the load that saturates the server."""
    _tell(overload.run(load or tuple(overload.LOADS), seconds))


@app.command("kills")
def kills_() -> None:
    """Processes killed under load."""
    _tell(kills.run())


@app.command("soak")
def soak_(minutes: float = soak.MINUTES, seed: int = soak.SEED) -> None:
    """Good, bad, cancelled and slow clients for a long time."""
    _tell(soak.run(minutes, seed))


if __name__ == "__main__":
    app()
