"""CTranslate2's Whisper is read as the same tensors, or refused."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from whisper_files import SMALL, ct2_of, state_of

from modalities.errors import UnavailableError
from modalities.voice import whisper_checkpoint, whisper_ct2


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_the_tensors_are_openai_whispers(tmp_path: Path, kind: type) -> None:
    state, path = state_of(), tmp_path / "model.bin"
    path.write_bytes(ct2_of(state, kind))
    dims, found = whisper_ct2.read(path)
    assert dims == asdict(SMALL.dims)
    assert set(found) == set(state)
    for name, tensor in found.items():
        torch.testing.assert_close(tensor.half(), state[name], atol=0, rtol=0)
    halves = {name: tensor.half() for name, tensor in found.items()}
    assert whisper_checkpoint.digest_of(halves) == whisper_checkpoint.digest_of(state)


@pytest.mark.parametrize("damage", ["cut", "other", "empty", "quantized"])
def test_what_is_no_whisper_is_refused(tmp_path: Path, damage: str) -> None:
    content = ct2_of(state_of(), np.int8 if damage == "quantized" else np.float16)
    damaged = {
        "cut": content[: len(content) // 2],
        "other": content.replace(b"WhisperSpec", b"OtherOneSpc"),
        "empty": b"",
        "quantized": content,
    }
    path = tmp_path / "model.bin"
    path.write_bytes(damaged[damage])
    with pytest.raises(UnavailableError, match="no Whisper model of CTranslate2"):
        whisper_ct2.read(path)
