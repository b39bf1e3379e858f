"""What a user may choose of a training run; the recipes hold the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Options:
    """`None` leaves a value to the recipe."""

    base: str | None = None  # "embedded", a checkpoint's path, a published name; None: the recipe's
    freeze: int = 0  # lowest layers of the encoder kept as they are, the embeddings with the first
    peft: Literal["lora", "adalora"] | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    device: str = "cpu"


def is_published(base: str) -> bool:
    """Whether `base` is the name or folder of a published model, not a file of ours."""
    return base != "embedded" and not base.endswith(".safetensors")
