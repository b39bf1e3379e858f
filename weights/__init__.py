"""The embedded bundle: one safetensors file a modality, checked against SHA256SUMS."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def path_of(name: str) -> Path:
    """Path of the embedded checkpoint `name`: text, voice, image or fusion."""
    return FOLDER / f"{name}.safetensors"


def expected_sha256(name: str) -> str:
    """The checksum that the bundle states for `name`; KeyError where it states none."""
    lines = (FOLDER / "SHA256SUMS").read_text().splitlines()
    return {file: digest for digest, file in (line.split() for line in lines)}[
        f"{name}.safetensors"
    ]
