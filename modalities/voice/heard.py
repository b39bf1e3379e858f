"""The embedded voice model from waves to calibrated answers, in one call for all its batches."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from whisper.audio import HOP_LENGTH, SAMPLE_RATE

from modalities.traced import Run, traced
from modalities.voice.model import VoiceModel, calibrated, collate, features
from modalities.voice.prosody import SHORTEST

EXAMPLES_S = ((1.0, 0.7), (0.4,), (2.1, 0.3, 1.5))  # waves of each


class Heard(nn.Module):
    """Waves (n,) at 16 kHz → answers (rows, 3 + 7 + e), as `calibrated` has them.

    frames  a wave of `hop` samples or more → its frames (n_inputs, t)
    said    frames (b, n_inputs, t), t ≥ SHORTEST, and true lengths (b,) → answers (b, 3 + 7 + e)
    """

    def __init__(self, hop: int, frames: nn.Module, said: nn.Module) -> None:
        super().__init__()
        self.hop, self.least = hop, SHORTEST
        self.frames, self.said = frames, said

    # TorchScript reads these types.
    def forward(self, waves: list[Tensor], groups: list[list[int]]) -> Tensor:
        """`groups` holds the places in `waves` of each batch; the rows are in their order."""
        found: list[Tensor] = []
        for group in groups:
            heard: list[Tensor] = []
            for place in group:
                short = max(0, self.hop - waves[place].size(0))
                heard.append(self.frames(F.pad(waves[place], [0, short])))
            batch, lengths = collate(heard, self.least)
            found.append(self.said(batch, lengths.to(batch.device)))
        return torch.cat(found)


def heard_by(model: VoiceModel, temperature: dict[str, float]) -> Heard:
    """Answers of a model in eval mode."""
    hop = model.dims.mel_stride * HOP_LENGTH
    return Heard(hop, _Frames(model), _Said(model, temperature))


def traced_on_cpu(heard: Heard) -> Run:
    """The same in one call of C++."""
    noise = torch.Generator().manual_seed(0)
    examples = [
        (
            [torch.randn(int(s * SAMPLE_RATE), generator=noise) / 10 for s in lengths_s],
            [[*range(len(lengths_s))]],
        )
        for lengths_s in EXAMPLES_S
    ]
    wave = examples[0][0][0]
    batch = torch.stack([heard.frames(wave)] * 2)
    lengths = torch.tensor([batch.shape[-1], batch.shape[-1] - 5])  # one of them is padded
    parts = [(heard.frames, (wave,)), (heard.said, (batch, lengths))]
    return traced(partial(Heard, heard.hop), parts, examples)


class _Frames(nn.Module):
    def __init__(self, model: VoiceModel) -> None:
        super().__init__()
        self.dims = model.dims

    def forward(self, wave: Tensor) -> Tensor:
        return features(wave, self.dims)


class _Said(nn.Module):
    def __init__(self, model: VoiceModel, temperature: dict[str, float]) -> None:
        super().__init__()
        self.model, self.temperature = model, temperature

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        return calibrated(self.model(frames, lengths), self.temperature)
