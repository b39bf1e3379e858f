"""Content hashes: which items are the same, and which ones a checkpoint was trained on.

A text's hash is that of its normalised form, a recording's that of its decoded samples, a
picture's that of its decoded pixels: another file name, container or letter case does not hide a
copy. Eight bytes an item keep a list of 200,000 at 1.6 MB; two of them collide by chance with a
probability of 1e-9.
"""

from __future__ import annotations

import hashlib
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modalities.errors import InputError, UnavailableError
from modalities.image import decode as picture
from modalities.voice import prepare as sound
from training.rows import Row, read_bytes

MAX_CLIP_S = 600.0

Hashes = NDArray[np.uint64]


def normalised(text: str) -> str:
    """NFKC, case folded, white space collapsed: what counts as the same text."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def content_hash(row: Row) -> int:
    """The first 64 bits of the SHA-256 of a row's content.

    Raises InputError where a file is not there or cannot be decoded.
    """
    if row.part == "text":
        return _hash(normalised(row.content).encode())
    return _media(row.part, row.content)[0]


def damage(row: Row) -> str:
    """What is wrong with a row's recording or picture; empty where it decodes whole."""
    try:
        return _media(row.part, row.content)[1]
    except InputError as error:
        return str(error)


def trained_hashes(rows: Iterable[Row]) -> Hashes:
    """Sorted hashes (n,) of the rows given, each once: the `train` rows of a recipe."""
    return np.unique(np.array([content_hash(row) for row in rows], np.uint64))


def beside(checkpoint: Path) -> Path:
    """Where the list of what a checkpoint was trained on lies: `text.trained.npy`."""
    return checkpoint.with_suffix(".trained.npy")


def save(checkpoint: Path, rows: Iterable[Row]) -> None:
    """Write the list of `rows` beside their checkpoint."""
    np.save(beside(checkpoint), trained_hashes(rows))


def count_trained(rows: Iterable[Row], checkpoint: Path) -> int:
    """How many of `rows` the checkpoint was trained on, by the list beside it.

    Raises UnavailableError where there is no such list.
    """
    path = beside(checkpoint)
    if not path.is_file():
        raise UnavailableError(
            f"no {path.name} beside {checkpoint.name}, so nobody knows what it was trained on",
            "train it by `emotion train`, which writes the list",
        )
    hashes = np.array([content_hash(row) for row in rows], np.uint64)
    return int(np.isin(hashes, np.load(path)).sum())


@cache  # a run asks for damage, then for duplicates, then for the list: decode each file once
def _media(part: str, content: str) -> tuple[int, str]:
    """(hash, damage) of a file."""
    try:
        encoded = read_bytes(content)
    except (OSError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{content} cannot be read ({type(error).__name__})") from error
    if part == "image":
        pixels = picture.decode(encoded, picture.ImageLimits()).pixels
        return _hash(repr(pixels.shape).encode() + pixels.tobytes()), ""
    wave = sound.decode(encoded, max_duration_s=MAX_CLIP_S)
    damage = "the audio is cut short or damaged" if wave.truncated or wave.corrupt_packets else ""
    # 16 bits, the usual precision of a recording: decoders differ in the last bits of a float.
    return _hash(np.round(wave.samples * 32767).astype("<i2").tobytes()), damage


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "little")
