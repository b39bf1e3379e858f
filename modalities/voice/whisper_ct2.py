"""CTranslate2's Whisper (`model.bin`, as faster-whisper keeps it) in openai-whisper's own names.

The file is a header and then its variables: name, shape, type, bytes. Query, key and value are one
matrix there, as are key and value of the cross attention; Whisper's keys have no bias.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalities.errors import UnavailableError

KIND, VERSION = "WhisperSpec", 6
TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}

OF_MODEL = {
    "encoder/conv1": "encoder.conv1", "encoder/conv2": "encoder.conv2",
    "encoder/layer_norm": "encoder.ln_post", "decoder/layer_norm": "decoder.ln",
    "decoder/embeddings": "decoder.token_embedding",
    "encoder/position_encodings": "encoder", "decoder/position_encodings": "decoder",
}  # fmt: skip
OF_LAYER = {
    "self_attention/layer_norm": ["attn_ln"],
    "self_attention/linear_0": ["attn.query", "attn.key", "attn.value"],
    "self_attention/linear_1": ["attn.out"],
    "attention/layer_norm": ["cross_attn_ln"],
    "attention/linear_0": ["cross_attn.query"],
    "attention/linear_1": ["cross_attn.key", "cross_attn.value"],
    "attention/linear_2": ["cross_attn.out"],
    "ffn/layer_norm": ["mlp_ln"], "ffn/linear_0": ["mlp.0"], "ffn/linear_1": ["mlp.2"],
}  # fmt: skip
PARAMETERS = {
    "weight": "weight", "gamma": "weight", "bias": "bias", "beta": "bias",
    "encodings": "positional_embedding",
}  # fmt: skip


def read(path: Path) -> tuple[dict[str, int], dict[str, Tensor]]:
    """Read the dimensions and the weights; raises UnavailableError where they are not Whisper's in
    fp16 or fp32, and OSError."""
    content = path.read_bytes()
    try:
        variables = dict(_variables(content))
        return _dims(variables), dict(_state(variables))
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise UnavailableError(
            f"{path} is no Whisper model of CTranslate2: {type(error).__name__}",
            "give a folder that faster-whisper reads, in fp16 or fp32",
        ) from error


def _variables(content: bytes) -> Iterator[tuple[str, NDArray[Any]]]:
    at = 0

    def take(kind: str) -> Any:
        nonlocal at
        (value,) = struct.unpack_from("<" + kind, content, at)
        at += struct.calcsize("<" + kind)
        return value

    def text() -> str:
        return str(take(f"{take('H')}s").rstrip(b"\0").decode())

    version, kind, _ = take("I"), text(), take("I")
    if (version, kind) != (VERSION, KIND):
        raise ValueError(f"version {version} of {kind}")
    for _ in range(take("I")):
        name, shape = text(), [take("I") for _ in range(take("B"))]
        values, n_bytes = np.dtype(TYPES[take("B")]), take("I")
        array = np.frombuffer(content, values, n_bytes // values.itemsize, at)
        yield name, array.reshape(shape)
        at += n_bytes


def _state(variables: dict[str, NDArray[Any]]) -> Iterator[tuple[str, Tensor]]:
    for name, array in variables.items():
        place, _, parameter = name.rpartition("/")
        parameter = PARAMETERS.get(parameter, "")
        side, _, rest = place.partition("/layer_")
        if place in OF_MODEL:
            modules = [OF_MODEL[place]]
        elif rest and parameter:
            layer, _, part = rest.partition("/")
            modules = [f"{side}.blocks.{layer}.{module}" for module in OF_LAYER[part]]
        else:
            continue  # a setting, not a weight
        if array.dtype.kind != "f":
            raise ValueError(f"{name} is quantized")
        tensor = torch.from_numpy(array.copy())
        for module, own in zip(modules, tensor.chunk(len(modules)), strict=True):
            if (parameter, module[-4:]) != ("bias", ".key"):
                yield f"{module}.{parameter}", own.clone()  # else saved with its neighbours


def _dims(variables: dict[str, NDArray[Any]]) -> dict[str, int]:
    dims: dict[str, int] = {"n_mels": variables["encoder/conv1/weight"].shape[1]}
    for side, ours in (("encoder", "audio"), ("decoder", "text")):
        n_ctx, n_state = variables[f"{side}/position_encodings/encodings"].shape
        layers = {name.split("/")[1] for name in variables if name.startswith(f"{side}/layer_")}
        dims |= {
            f"n_{ours}_ctx": n_ctx,
            f"n_{ours}_state": n_state,
            f"n_{ours}_head": int(variables[f"{side}/num_heads"]),
            f"n_{ours}_layer": len(layers - {"layer_norm"}),
        }
    return dims | {"n_vocab": variables["decoder/embeddings/weight"].shape[0]}
