"""The embedded bundle: one safetensors file a modality, with its card; SHA256SUMS is checked by
the server that loads them."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def path_of(name: str) -> Path:
    """Path of the embedded checkpoint `name`: text, voice, image or fusion."""
    return FOLDER / f"{name}.safetensors"
