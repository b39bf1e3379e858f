"""The encoder equals openai-whisper's at full length and does not see its batch at true length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from whisper.model import AudioEncoder, sinusoids

from modalities.voice.states import (
    collate,
    digest_of,
    encode,
    encode_waves,
    first_blocks,
    frames_heard,
)


def randomised(encoder: AudioEncoder, seed: int = 0) -> AudioEncoder:
    """Weights far from the initial ones, so that every part of the model matters."""
    torch.manual_seed(seed)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    return encoder.eval()


def small() -> AudioEncoder:
    return randomised(AudioEncoder(80, 200, 48, 4, 3))


@torch.inference_mode()
def test_encoder_equals_the_librarys_at_full_length() -> None:
    encoder = randomised(AudioEncoder(80, 1500, 64, 4, 3))
    mel = torch.randn(1, 80, 3000)
    states, positions = encode(encoder, mel, torch.tensor([3000]))
    torch.testing.assert_close(encoder.ln_post(states[-1]), encoder(mel), atol=1e-5, rtol=1e-5)
    assert positions.tolist() == [1500] and len(states) == 4
    inner: list[torch.Tensor] = []
    for block in encoder.blocks:
        block.register_forward_hook(lambda _module, _inputs, output: inner.append(output))
    encoder(mel)
    for ours, theirs in zip(states[1:], inner, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    some, _ = encode(encoder, mel, torch.tensor([3000]), n_blocks=2)
    assert len(some) == 3 and torch.equal(some[2], states[2])


@torch.inference_mode()
def test_an_item_says_the_same_alone_and_in_any_batch() -> None:
    encoder, generator = small(), np.random.default_rng(0)
    lengths = [1, 200, 400, 1000, 3199, 16_000, 40_000]
    waves = [torch.from_numpy(generator.standard_normal(n).astype(np.float32)) for n in lengths]
    together, positions = encode_waves(encoder, waves)
    assert positions.tolist() == [1, 1, 1, 3, 9, 50, 125]
    for row, wave in enumerate(waves):
        alone, _ = encode_waves(encoder, [wave])
        for one, batched in zip(alone, together, strict=True):
            n = one.shape[1]
            torch.testing.assert_close(one[0], batched[row, :n], atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_padding_content_is_not_heard() -> None:
    encoder = small()
    mel, lengths = torch.randn(2, 80, 120), torch.tensor([77, 120])
    heard = encode(encoder, mel, lengths)[0][-1][0, :39].clone()
    mel[0, :, 77:] = 1e3
    torch.testing.assert_close(encode(encoder, mel, lengths)[0][-1][0, :39], heard)
    mel[0, :, 76] += 1
    assert not torch.allclose(encode(encoder, mel, lengths)[0][-1][0, :39], heard)


@pytest.mark.parametrize(
    ("n", "margin_s", "frames"),
    [(16_000, 1.0, 200), (16_001, 1.0, 202), (0, 0.0, 0), (16_000, None, 3000), (10**6, 1.0, 3000)],
)
def test_the_true_length_and_its_margin(n: int, margin_s: float | None, frames: int) -> None:
    assert frames_heard(n, 1500, margin_s) == frames


@torch.inference_mode()
def test_the_first_blocks_are_named_by_their_tensors() -> None:
    encoder = small()
    state = encoder.state_dict()
    kept = first_blocks(state, 2)
    assert {name.split(".")[1] for name in kept if name.startswith("blocks.")} == {"0", "1"}
    assert "positional_embedding" not in kept and "conv1.weight" in kept
    assert digest_of(kept) == digest_of({n: t.half() for n, t in reversed(kept.items())})
    kept["conv1.weight"] = kept["conv1.weight"] + 0.1
    assert digest_of(kept) != digest_of(first_blocks(state, 2))
    assert torch.equal(state["positional_embedding"], sinusoids(200, 48))


def test_a_batch_is_padded_with_zeros() -> None:
    batch, lengths = collate([torch.ones(2, 3), torch.ones(2, 5)])
    assert batch.shape == (2, 2, 5) and lengths.tolist() == [3, 5]
    assert batch[0, :, 3:].sum() == 0
