"""Augmentation: what a caller's room, microphone and telephone line do to a voice, and new voices.

What only a waveform can show (noise, clipping, a codec) is done to it, once a run; what makes
another speaker of it is done to its frames, anew each time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from modalities import torchaudio_cpu
from modalities.voice.prosody import N_PROSODY
from modalities.voice.stream import SAMPLE_RATE_HZ

torchaudio_cpu.install()

import torchaudio.functional as AF  # noqa: E402
import torchaudio.transforms as T  # noqa: E402

TELEPHONE_RATE_HZ = 8_000
OTHER_VOICE = 0.5  # share of what is heard that is shown as `another_speaker`
VOCAL_TRACT, TEMPO, PITCH_OCTAVES = 0.12, 0.12, 0.25  # largest changes either way


class Augment:
    """(n,) samples at 16 kHz → (n,) samples; each change is drawn anew from torch's generator."""

    def __init__(self) -> None:
        self._to_line = T.Resample(SAMPLE_RATE_HZ, TELEPHONE_RATE_HZ)
        self._from_line = T.Resample(TELEPHONE_RATE_HZ, SAMPLE_RATE_HZ)
        self._encode, self._decode = T.MuLawEncoding(256), T.MuLawDecoding(256)

    def __call__(self, wave: Tensor) -> Tensor:
        wave = wave / wave.abs().max().clamp(min=1e-4)
        if torch.rand(()) < 0.5:
            wave = self._noise(wave)
        # Up to 6 dB over full scale: some microphones clip.
        wave = (wave * 10 ** torch.empty(()).uniform_(-1.5, 0.3)).clamp(-1, 1)
        if torch.rand(()) < 0.6:
            wave = self.telephone(wave)
        return wave

    def telephone(self, wave: Tensor) -> Tensor:
        """G.711 μ-law over 8 kHz and back."""
        line = self._decode(self._encode(self._to_line(wave).clamp(-1, 1)))
        return self._from_line(line)[: len(wave)]

    @staticmethod
    def _noise(wave: Tensor) -> Tensor:
        """Noise of a random colour, from white to brown (power ~ 1/f^0…2), at 5 to 35 dB."""
        n = 1 << (len(wave) - 1).bit_length()  # other lengths are many times slower
        spectrum = torch.fft.rfft(torch.randn(n))
        tilt = torch.arange(1, len(spectrum) + 1) ** -torch.rand(())
        noise = torch.fft.irfft(spectrum * tilt)[: len(wave)]
        return AF.add_noise(wave, noise, torch.empty(()).uniform_(5, 35))


def another_speaker(frames: Tensor, n_mels: int) -> Tensor:
    """Frames (n_mels + N_PROSODY, t) → (n_mels + N_PROSODY, t'), drawn from torch's generator.

    Vocal tract length perturbation (Jaitly & Hinton 2013) scales the mel axis and moves the pitch
    with it; pitch and tempo change on their own as well.
    """
    tract, tempo, octaves = (
        float(torch.empty(()).uniform_(-most, most)) for most in (VOCAL_TRACT, TEMPO, PITCH_OCTAVES)
    )
    mel = _interpolated(frames[:n_mels], torch.arange(n_mels) * (1 + tract), 0)
    rows = frames[n_mels:].clone()
    if len(rows) == N_PROSODY:
        rows[0] += octaves - math.log2(1 + tract)
    n = frames.shape[1]
    places = torch.linspace(0, n - 1, max(1, round(n / (1 + tempo))))
    # Pitch and periodicity are taken, not mixed: there is none between a voiced frame and a hiss.
    return torch.cat([_interpolated(mel, places, 1), rows[:, places.round().long()]])


def _interpolated(x: Tensor, places: Tensor, dim: int) -> Tensor:
    """x (n, m) at fractional places along `dim`, its end being held."""
    places = places.clamp(0, x.shape[dim] - 1)
    below = places.floor().long()
    above = (below + 1).clamp(max=x.shape[dim] - 1)
    share = places - below
    share = share.unsqueeze(1) if dim == 0 else share
    return torch.lerp(x.index_select(dim, below), x.index_select(dim, above), share)


def spec_augment() -> T.SpecAugment:
    """Masks on a mel batch of one (1, n_mels, t) (Park et al. 2019), to the mean (zero)."""
    return T.SpecAugment(2, 20, 2, 12, iid_masks=False, p=0.2, zero_masking=True)
