"""The embedded weights with a text model of another size, for what does not hang on its answers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import weights
from modalities import checkpoint
from modalities.text.model import TextDimensions, TextModel
from training.cli import write_sums

BERT_BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}


@contextmanager
def weights_with_text_of(**size: Any) -> Iterator[Path]:
    """A folder for the setting `weights`: the embedded ones, but a text model whose encoder has
    these fields of transformers' configuration, its weights random, and the same tokenizer."""
    saved = checkpoint.load(weights.path_of("text"))
    dims = TextDimensions(**saved.dims)
    dims = replace(dims, encoder={**dims.encoder, **size})
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for file in weights.FOLDER.glob("*.safetensors"):
            shutil.copy(file, folder)
        path = folder / weights.path_of("text").name
        checkpoint.save(path, dims, TextModel(dims).state_dict(), **saved.extra)
        write_sums(folder)
        yield folder
