"""What an utterance comes to before a mood is read from it: statistics of states and prosody."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from whisper.audio import N_SAMPLES_PER_TOKEN, SAMPLE_RATE

from modalities.voice.prosody import functionals, prosody
from modalities.voice.states import at_reference, collate, log_mels, within

HIGHS_HZ = 4_000  # what lies above is cut off by a telephone line


def statistics(states: Sequence[Tensor], positions: Tensor) -> Tensor:
    """Take mean and deviation of each layer's states (b, t, d) over the positions (b,) that hold
    sound: (b, layers, 2, d)."""
    inside = within(positions, states[0].shape[1]).unsqueeze(-1)  # (b, t, 1)
    n = positions[:, None]
    found = []
    for state in states:
        mean = (state * inside).sum(1) / n  # (b, d)
        variance = ((state - mean.unsqueeze(1)) * inside).square().sum(1) / n
        found.append(torch.stack([mean, (variance + 1e-6).sqrt()], 1))
    return torch.stack(found, 1)


def tones(waves: Sequence[Tensor], n_mels: int) -> Tensor:
    """Take the functionals (b, f) of pitch, loudness and vocal effort of waves (n,) at 16 kHz."""
    levelled = [at_reference(wave) for wave in waves]
    rows, lengths = collate([prosody(wave, N_SAMPLES_PER_TOKEN) for wave in levelled])
    mel, _ = log_mels(waves, n_mels, rows.shape[-1] + 1, 0.0)
    mel = F.avg_pool1d(mel, 2)[..., : rows.shape[-1]]
    mel = F.pad(mel, (0, rows.shape[-1] - mel.shape[-1]))
    return functionals(rows, mel, within(lengths.to(rows.device), rows.shape[-1]))


def highs_db(wave: Tensor) -> float:
    """Say by how many dB what lies above HIGHS_HZ is weaker than what lies below, at most 90."""
    power = torch.fft.rfft(F.pad(wave, (0, max(0, 1024 - len(wave))))).abs().square()
    cut = len(power) * 2 * HIGHS_HZ // SAMPLE_RATE
    ratio = power[cut:].sum() / power[1:cut].sum().clamp(min=1e-12)
    return float(10 * ratio.clamp(min=1e-9).log10())
