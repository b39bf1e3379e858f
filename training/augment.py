"""Waveform augmentation: what a caller's room, microphone and telephone line do to a voice."""

from __future__ import annotations

import torch
from torch import Tensor

from modalities import torchaudio_cpu
from modalities.voice.prepare import SAMPLE_RATE_HZ

torchaudio_cpu.install()

import torchaudio.functional as AF  # noqa: E402
import torchaudio.transforms as T  # noqa: E402

TELEPHONE_RATE_HZ = 8_000


class Augment:
    """(n,) samples at 16 kHz → (m,) samples; each change is drawn anew from torch's generator."""

    def __init__(self) -> None:
        self._speed = T.SpeedPerturbation(SAMPLE_RATE_HZ, [0.9, 1.0, 1.1])
        self._to_line = T.Resample(SAMPLE_RATE_HZ, TELEPHONE_RATE_HZ)
        self._from_line = T.Resample(TELEPHONE_RATE_HZ, SAMPLE_RATE_HZ)
        self._encode, self._decode = T.MuLawEncoding(256), T.MuLawDecoding(256)

    def __call__(self, wave: Tensor) -> Tensor:
        wave, _ = self._speed(wave)
        wave = wave / wave.abs().max().clamp(min=1e-4)
        if torch.rand(()) < 0.5:
            wave = self._noise(wave)
        # Up to 6 dB over full scale: some microphones clip.
        wave = (wave * 10 ** torch.empty(()).uniform_(-1.5, 0.3)).clamp(-1, 1)
        if torch.rand(()) < 0.3:  # G.711 over 8 kHz
            wave = self._from_line(self._decode(self._encode(self._to_line(wave).clamp(-1, 1))))
        return wave

    @staticmethod
    def _noise(wave: Tensor) -> Tensor:
        """Noise of a random colour, from white to brown (power ~ 1/f^0…2), at 5 to 35 dB."""
        n = 1 << (len(wave) - 1).bit_length()  # other lengths are many times slower
        spectrum = torch.fft.rfft(torch.randn(n))
        tilt = torch.arange(1, len(spectrum) + 1) ** -torch.rand(())
        noise = torch.fft.irfft(spectrum * tilt)[: len(wave)]
        return AF.add_noise(wave, noise, torch.empty(()).uniform_(5, 35))


def spec_augment() -> T.SpecAugment:
    """Masks on a mel batch of one (1, n_mels, t) (Park et al. 2019), to the mean (zero)."""
    return T.SpecAugment(2, 20, 2, 12, iid_masks=False, p=0.2, zero_masking=True)
