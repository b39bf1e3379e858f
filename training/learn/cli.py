"""`emotion learn`, and the registry's commands among `emotion models`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from training.cli import Device, resolved, set_threads

if TYPE_CHECKING:
    from training.learn.registry import Registry

learn_app = typer.Typer(
    no_args_is_help=True, help="Learn from new labels, on top of the model that is served."
)
PARTS = {
    "text": "Words: LoRA on the encoder, and both heads.",
    "voice": "Sound: the head goes on, the encoder stays.",
    "image": "Pictures: LoRA on the encoder, where it is a transformer.",
}
Part = Annotated[Literal["text", "voice", "image"], typer.Argument(help="The model.")]


def _command(part: str) -> Callable[..., None]:
    def command(
        data: Annotated[
            Path,
            typer.Option(
                metavar="MANIFEST", exists=True, dir_okay=False, help="New labels, with splits."
            ),
        ],
        out: Annotated[
            Path,
            typer.Option(
                file_okay=False,
                help="Folder of the run; of the registry, too, where EMOTION_REGISTRY is not set.",
            ),
        ],
        replay: Annotated[
            int | None,
            typer.Option(min=0, help="Rows of the shipped sets. (default: the recipe's)"),
        ] = None,
        pseudo: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="Unlabelled rows, taken where the model is sure."),
        ] = None,
        precision: Annotated[
            float, typer.Option(min=0.5, max=1.0, help="Asked of pseudo-labels, on dev.")
        ] = 0.95,
        epochs: Annotated[int | None, typer.Option(min=1, help="(default: the recipe's)")] = None,
        learning_rate: Annotated[
            float | None, typer.Option(min=0.0, help="Its peak. (default: the recipe's)")
        ] = None,
        device: Device = Device.AUTO,
        threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
    ) -> None:
        from training.learn.registry import Registry
        from training.learn.run import N_REPLAY, Wanted, learn
        from training.options import Options

        set_threads(threads)
        n_replay = N_REPLAY[part] if replay is None else replay
        registry = Registry.of_environment() or Registry(out / "registry")
        options = Options(
            peft="lora",
            epochs=epochs,
            learning_rate=learning_rate,
            device=resolved(device.value),
        )
        version = learn(part, Wanted(data, n_replay, pseudo, precision), out, registry, options)
        typer.echo(f"the gate passes {part} {version.name}; {version.folder}/card.json says more")
        typer.echo(f"serve it: emotion models promote {part} {version.name}")

    command.__doc__ = PARTS[part]
    return command


for _part in PARTS:
    learn_app.command(_part)(_command(_part))


def versions(part: Part) -> None:
    """The registry's versions of a model, and which one is served."""
    registry = _registry()
    served = registry.history(part)[-1]
    typer.echo(f"{'*' if served == 'embedded' else ' '} embedded")
    for version in registry.versions(part):
        pooled = version.card["gate"]["pooled"]
        digest = version.card["sha256"][f"{part}.safetensors"]
        typer.echo(
            f"{'*' if version.name == served else ' '} {version.name}  {digest[:12]}  "
            f"{version.card['made_at']}  parent {version.card['parent']['version']}  "
            f"gate {pooled['change']:+.2f} points"
        )


def promote(part: Part, version: Annotated[str, typer.Argument(help="Or embedded.")]) -> None:
    """Serve a version; running servers take it within seconds."""
    _registry().promote(part, version)
    typer.echo(f"{part} {version} is served from now on")


def rollback(
    part: Part, version: Annotated[str | None, typer.Argument(help="(default: the last)")] = None
) -> None:
    """Serve again what was served before."""
    typer.echo(f"{part} {_registry().rollback(part, version)} is served again")


def _registry() -> Registry:
    from modalities.errors import UnavailableError
    from training.learn.registry import Registry

    registry = Registry.of_environment()
    if registry is None:
        raise UnavailableError("there is no registry", "set EMOTION_REGISTRY to its folder")
    return registry
