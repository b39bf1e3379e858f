"""The encoder equals openai-whisper's at full length and does not see its batch at true length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from whisper.model import AudioEncoder

from modalities.voice.model import (
    EmotionHead,
    VoiceDimensions,
    VoiceModel,
    collate,
    encode,
    features,
)

# Whisper tiny, as published; and the embedded kind, which runs on true lengths.
TINY = VoiceDimensions(n_mels=80, n_ctx=1500, n_state=384, n_head=6, n_layer=4)
SMALL = VoiceDimensions(
    n_mels=80, n_ctx=200, n_state=48, n_head=4, n_layer=3, mel_stride=2, normalised=True, n_wide=24
)


def randomised(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Weights far from the initial ones, so that every part of the model matters."""
    torch.manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    return module.eval()


@torch.inference_mode()
def test_encoder_equals_the_librarys_at_full_length() -> None:
    encoder = randomised(AudioEncoder(80, TINY.n_ctx, TINY.n_state, TINY.n_head, TINY.n_layer))
    mel = torch.randn(1, 80, 3000)
    states, positions = encode(encoder, mel, torch.tensor([3000]))
    torch.testing.assert_close(states[-1], encoder(mel), atol=1e-5, rtol=1e-5)
    assert positions.tolist() == [1500]
    assert len(states) == TINY.n_layer + 1

    inner: list[torch.Tensor] = []
    for block in encoder.blocks:
        block.register_forward_hook(lambda _module, _inputs, output: inner.append(output))
    encoder(mel)
    for ours, theirs in zip(states[1:-1], inner[:-1], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_an_item_says_the_same_alone_and_in_any_batch() -> None:
    model = randomised(VoiceModel(SMALL))
    generator = np.random.default_rng(0)
    lengths = [400, 481, 1000, 3199, 8000, 16_000, 32_000, 48_000, 48_160, 63_999, 90_000]
    mels = [features(generator.standard_normal(n).astype(np.float32), SMALL) for n in lengths]
    together = model(*collate(mels))
    for row, mel in enumerate(mels):
        for alone, batched in zip(model(*collate([mel])), together, strict=True):
            torch.testing.assert_close(alone[0], batched[row], atol=1e-4, rtol=1e-5)


@torch.inference_mode()
def test_padding_content_is_not_heard() -> None:
    model = randomised(VoiceModel(SMALL))
    mel, lengths = torch.randn(2, SMALL.n_inputs, 120), torch.tensor([77, 120])
    heard = model(mel, lengths)[0]
    mel[0, :, 77:] = 1e3
    torch.testing.assert_close(model(mel, lengths)[0], heard)
    mel[0, :, 76] += 1
    assert not torch.allclose(model(mel, lengths)[0][0], heard[0])


@torch.inference_mode()
def test_the_head_weighs_every_layer_and_frame() -> None:
    head = randomised(EmotionHead(SMALL))
    states = [torch.randn(2, 10, SMALL.n_state) for _ in range(SMALL.n_layer + 1)]
    lengths = torch.tensor([10, 6])
    logits = head(states, lengths)[1]
    for layer in range(len(states)):
        changed = [s.clone() for s in states]
        changed[layer][0, 3] += torch.randn(SMALL.n_state)
        assert not torch.allclose(head(changed, lengths)[1][0], logits[0])
    beyond = [s.clone() for s in states]
    for state in beyond:
        state[1, 6:] = 99.0
    torch.testing.assert_close(head(beyond, lengths)[1], logits)


@pytest.mark.parametrize("n", [1, 159, 160, 200, 480, 16_000])
def test_features_of_any_length(n: int) -> None:
    mel = features(np.ones(n, np.float32) * 0.1, SMALL)
    assert mel.shape == (SMALL.n_inputs, max(1, n // 320))
    assert torch.isfinite(mel).all()


@torch.inference_mode()
def test_what_is_heard_does_not_depend_on_the_gain() -> None:
    model = randomised(VoiceModel(SMALL))
    wave = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    quiet, loud = (model(*collate([features(gain * wave, SMALL)])) for gain in (0.01, 0.5))
    torch.testing.assert_close(quiet, loud, atol=1e-2, rtol=1e-3)


@torch.inference_mode()
def test_the_model_is_the_sum_of_its_paths() -> None:
    model = randomised(VoiceModel(SMALL))
    wave = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    batch = collate([features(wave, SMALL)])
    paths, _ = model.paths(*batch)
    assert len(paths) == 4 and all(emotions.abs().sum() > 0 for _, emotions in paths)
    torch.testing.assert_close(sum(emotions for _, emotions in paths), model(*batch)[1])
    silent = torch.zeros(1, SMALL.n_mels, batch[0].shape[-1])
    whole, masked = model.listen(*batch), model.listen(*batch, keep=silent)
    assert not torch.allclose(masked[1], whole[1])


def test_features_stop_at_the_context() -> None:
    assert features(np.zeros(200_000, np.float32), SMALL).shape[1] == 2 * SMALL.n_ctx
