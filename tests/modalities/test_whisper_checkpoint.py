"""Which checkpoint is meant, and that it is the one it says it is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import whisper
from whisper.model import AudioEncoder, ModelDimensions, TextDecoder
from whisper_files import SMALL, state_of

from modalities.errors import UnavailableError
from modalities.voice import whisper_checkpoint
from modalities.voice.whisper_checkpoint import AUTO, NONE, PUBLISHED, chosen


def test_base_is_chosen_else_the_smallest_that_was_pulled(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as raised:
        chosen(AUTO, tmp_path)
    assert raised.value.remedy == "run: emotion models pull"
    for pulled, expected in (("tiny.en", "tiny.en"), ("medium", "medium"), ("small", "small"),
                             ("tiny", "tiny"), ("base", "base")):  # fmt: skip
        (tmp_path / f"whisper-{pulled}.pt").touch()
        assert chosen(AUTO, tmp_path) == expected
    assert chosen("large", tmp_path) == "large"
    with pytest.raises(UnavailableError, match="turned off"):
        chosen(NONE, tmp_path)


def test_the_table_is_openai_whispers() -> None:
    names = {whisper_checkpoint.ALIASES.get(name, name) for name in whisper._MODELS}
    assert names == set(PUBLISHED)
    assert len(PUBLISHED["base"].sha256) == 64
    assert PUBLISHED["base"].languages == "99"
    assert PUBLISHED["large-v3"].languages == "100"
    assert PUBLISHED["tiny.en"].languages == "English"
    for one in PUBLISHED.values():  # fp16: two bytes a weight, and a little about each
        assert one.n_bytes == pytest.approx(2 * _n_weights(one.dims), rel=0.002)


def _n_weights(dims: ModelDimensions) -> int:
    with torch.device("meta"):
        encoder = AudioEncoder(
            dims.n_mels, dims.n_audio_ctx, dims.n_audio_state, dims.n_audio_head,
            dims.n_audio_layer,
        )  # fmt: skip
        decoder = TextDecoder(
            dims.n_vocab, dims.n_text_ctx, dims.n_text_state, dims.n_text_head, dims.n_text_layer
        )
    return sum(one.numel() for part in (encoder, decoder) for one in part.state_dict().values())


def test_an_altered_checkpoint_of_ours_is_refused(tmp_path: Path) -> None:
    path, state = tmp_path / "own.pt", state_of()
    whisper_checkpoint.save(path, asdict(SMALL.dims), state)
    assert whisper_checkpoint.read(path)[2] == whisper_checkpoint.digest_of(state)
    saved = torch.load(path, weights_only=True)
    saved["model_state_dict"]["decoder.ln.bias"] += 1
    torch.save(saved, path)
    with pytest.raises(UnavailableError, match="was altered"):
        whisper_checkpoint.read(path)


def test_the_published_base_transcribes(whisper_base: Path) -> None:
    model, _ = whisper_checkpoint.load("base", whisper_base, "cpu")
    assert model.dims == PUBLISHED["base"].dims
    assert model.is_multilingual
