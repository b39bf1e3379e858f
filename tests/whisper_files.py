"""Whisper checkpoints of a size that tests can afford, in each format, and a web that has them."""

from __future__ import annotations

import base64
import gzip
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
import whisper
from torch import Tensor
from whisper.model import Whisper

from modalities.checkpoint import sha256
from modalities.voice.whisper_checkpoint import PUBLISHED, Published
from modalities.voice.whisper_ct2 import OF_LAYER, OF_MODEL

SMALL = Published("base", 0, 64, 1, 1)  # as base, but this narrow and shallow


def state_of() -> dict[str, Tensor]:
    """Random weights of SMALL in fp16, as published ones are."""
    torch.manual_seed(0)
    model = Whisper(SMALL.dims)
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.01)  # which has no values yet
    return {name: tensor.half() for name, tensor in model.state_dict().items()}


def make_base_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on `base` is SMALL, with its one head aligned."""
    heads = base64.b85encode(gzip.compress(np.ones(1, bool).tobytes()))
    monkeypatch.setitem(PUBLISHED, "base", SMALL)
    monkeypatch.setitem(whisper._ALIGNMENT_HEADS, "base", heads)


def publish(
    folder: Path, monkeypatch: pytest.MonkeyPatch, host: str = "http://127.0.0.1:9"
) -> Path:
    """Make the small checkpoint the published `base`; its file, which `host` serves."""
    path = folder / "base.pt"
    torch.save({"dims": asdict(SMALL.dims), "model_state_dict": state_of()}, path)
    digest = sha256(path)
    (folder / digest).mkdir()
    path = path.replace(folder / digest / "base.pt")
    make_base_small(monkeypatch)
    monkeypatch.setitem(whisper._MODELS, "base", f"{host}/{digest}/base.pt")
    return path


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def web(folder: Path) -> Iterator[str]:
    """A web server of a folder; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def ct2_of(state: dict[str, Tensor], kind: np.dtype | type = np.float16) -> bytes:
    """The same weights as CTranslate2 writes them."""
    variables: dict[str, np.ndarray] = {}
    for side in ("encoder", "decoder"):
        variables[f"{side}/num_heads"] = np.int16(1)
    for theirs, ours in OF_MODEL.items():
        for name, other in (("weight", "weight"), ("bias", "bias")):
            if f"{ours}.{name}" in state:
                other = {"weight": "gamma", "bias": "beta"}[name] if "norm" in theirs else other
                variables[f"{theirs}/{other}"] = state[f"{ours}.{name}"].numpy().astype(kind)
        if theirs.endswith("encodings"):
            values = state[f"{ours}.positional_embedding"].numpy()
            variables[f"{theirs}/encodings"] = values.astype(kind)
    for side in ("encoder", "decoder"):
        for theirs, ours in OF_LAYER.items():
            if side == "encoder" and theirs.startswith("attention"):
                continue
            for name in ("weight", "bias"):
                parts = [f"{side}.blocks.0.{module}.{name}" for module in ours]
                found = [state.get(part, torch.zeros(SMALL.n_state).half()) for part in parts]
                other = {"weight": "gamma", "bias": "beta"}[name] if "norm" in theirs else name
                values = torch.cat(found).numpy().astype(kind)
                variables[f"{side}/layer_0/{theirs}/{other}"] = values
    types = {np.dtype(k): n for n, k in enumerate(("f4", "i1", "i2", "i4", "f2"))}
    out = struct.pack("<I", 6) + _text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, values in sorted(variables.items()):
        array = np.asarray(values)
        out += _text(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        out += struct.pack("<BI", types[array.dtype], array.nbytes) + array.tobytes()
    return out + struct.pack("<I", 0)


def _text(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"
