"""Checkpoints: one safetensors file that holds the weights and, as JSON beside them, all else.

The header's metadata carries the model's dimensions (the dataclass of its `model.py`), its
calibration, and for text its tokenizer, so that a checkpoint is one file and loading it can
run no code. Tensors are stored as fp16, large matrices mostly in eight bits with a scale a row,
and computed in fp32.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from modalities.eight_bits import LARGE, in_rows
from modalities.errors import UnavailableError

METADATA = "emotion"  # the header's one key of ours
SCALE = ".scale"  # behind the name of a matrix in eight bits: what its rows are multiplied by


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: `dims` builds the model, `state` fills it, `extra` is the rest."""

    dims: dict[str, Any]
    state: dict[str, torch.Tensor]
    extra: dict[str, Any]
    revision: str  # first 12 hex digits of the file's SHA-256
    in_eight_bits: bool  # its large matrices


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save(
    path: Path,
    dims: Any,
    state: dict[str, torch.Tensor],
    *,
    eight_bits: bool = True,
    **extra: Any,
) -> None:
    """Write atomically: a kill leaves the old file or the new one, never half of one.

    Without `eight_bits` large matrices are fp16, too: what adapters add to a matrix that was
    stored in eight bits is mostly less than half a step, and would be rounded away.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        tensor = tensor.detach().cpu()
        is_large = tensor.ndim == 2 and tensor.numel() >= LARGE
        if tensor.is_floating_point() and is_large and eight_bits:
            tensor, tensors[name + SCALE] = in_rows(tensor)
        elif tensor.is_floating_point():
            tensor = tensor.half()
        tensors[name] = tensor.contiguous()
    # One key: safetensors writes several in random order, and equal weights would differ in digest.
    metadata = {METADATA: json.dumps({"dims": asdict(dims), "extra": extra}, ensure_ascii=False)}
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata)
    partial.chmod(0o644)  # safetensors makes it readable by its owner alone
    partial.replace(path)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; raises UnavailableError where there is none or it is not one of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if METADATA in metadata:
            rest = json.loads(metadata[METADATA])
        else:  # an older file, a key for each part
            rest = {name: json.loads(metadata[name]) for name in ("dims", "extra")}
        dims, extra = rest["dims"], rest["extra"]
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UnavailableError(
            f"no readable checkpoint at {path}: {type(error).__name__}",
            "reinstall the package, or make the weights anew with 'emotion train'",
        ) from error
    scales = {
        name: state.pop(name + SCALE).float() for name in tuple(state) if name + SCALE in state
    }
    state = {
        name: tensor.float() * scales.get(name, 1.0)
        if tensor.is_floating_point() or name in scales
        else tensor
        for name, tensor in state.items()
    }
    return Checkpoint(dims, state, extra, sha256(path)[:12], bool(scales))
