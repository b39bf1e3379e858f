"""The embedded bundle: one safetensors file a model, with its card and the hashes of what it was
trained on; SHA256SUMS is checked by the server that loads them."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def path_of(name: str) -> Path:
    """Path of the embedded checkpoint `name`: text, voice, image, fusion, satisfaction or emoji."""
    return FOLDER / f"{name}.safetensors"
