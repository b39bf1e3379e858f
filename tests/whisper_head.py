"""An untaught emotion head on the states of a Whisper checkpoint, as `emotion train voice` writes
one."""

from __future__ import annotations

from pathlib import Path

import torch
from whisper.model import Whisper

from modalities.voice import model as voice_model
from modalities.voice.head import EmotionHead
from modalities.voice.infer import head_path_of
from modalities.voice.states import first_blocks


def write_head(whisper: Whisper, path: Path) -> Path:
    """Write it beside the checkpoint at `path`."""
    dims = voice_model.dimensions(whisper.dims, n_hidden=16)
    torch.manual_seed(0)
    blocks = first_blocks(whisper.encoder.state_dict(), dims.n_layer)
    temperature = {"sentiment": 1.0, "emotion": 1.0, "doubt": 0.5}
    voice_model.save(head_path_of(path), dims, blocks, EmotionHead(dims), temperature)
    return head_path_of(path)
