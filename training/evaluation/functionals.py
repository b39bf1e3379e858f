"""Acoustic functionals of a clip, for the voice baseline.

Frame features (20 MFCCs, log energy, zero-crossing rate, spectral centroid) and their deltas, each
summarised over the clip, as in the openSMILE sets (Schuller et al., Interspeech 2009 challenge).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from modalities.voice.prepare import decode
from modalities.voice.stream import SAMPLE_RATE_HZ
from training.rows import Row, read_bytes

N_FFT, HOP, N_MELS, N_MFCC = 512, 160, 40, 20  # 32 ms windows every 10 ms
CACHE = Path("build/baselines/functionals")


def functionals(rows: Sequence[Row]) -> NDArray[np.float32]:
    """(n, 322) features of the rows' clips; kept in `CACHE` by the clips' own bytes."""
    return np.stack([_kept(row) for row in tqdm(rows, "functionals", mininterval=10, disable=None)])


def _kept(row: Row) -> NDArray[np.float32]:
    content = read_bytes(row.content)
    path = CACHE / f"{hashlib.sha256(content).hexdigest()[:32]}.npy"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        np.save(path, of_clip(decode(content, max_duration_s=600).samples))
    features: NDArray[np.float32] = np.load(path)
    return features


def of_clip(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples (n,) at 16 kHz → (322,): 23 frame features and their deltas, 7 statistics each."""
    # torchaudio only imports once modalities is there (see modalities/torchaudio_cpu.py).
    from torchaudio.functional import compute_deltas

    frames = _frame_features(torch.from_numpy(samples))  # (23, t)
    both = torch.cat([frames, compute_deltas(frames)])  # (46, t)
    quartiles = torch.quantile(both, torch.tensor([0.25, 0.5, 0.75]), dim=-1)  # (3, 46)
    moments = [both.mean(-1), both.std(-1, correction=0), both.amin(-1), both.amax(-1)]
    return torch.cat([*moments, *quartiles]).numpy()


def _frame_features(wave: Tensor) -> Tensor:
    if len(wave) < N_FFT:
        wave = torch.nn.functional.pad(wave, (0, N_FFT - len(wave)))
    windows = wave.unfold(0, N_FFT, HOP)  # (t, N_FFT)
    power = torch.fft.rfft(windows * torch.hann_window(N_FFT)).abs().square()  # (t, f)
    mel_filters, dct, frequencies = _tables()
    mfcc = (power @ mel_filters + 1e-8).log() @ dct  # (t, N_MFCC)
    energy = (windows.square().mean(-1) + 1e-8).log()
    crossings = (windows[:, 1:].sign() != windows[:, :-1].sign()).float().mean(-1)
    centroid = (power @ frequencies) / (power.sum(-1) + 1e-8)  # share of the Nyquist frequency
    return torch.cat([mfcc, torch.stack([energy, crossings, centroid], -1)], -1).T


@cache
def _tables() -> tuple[Tensor, Tensor, Tensor]:
    """Mel filters (f, N_MELS), DCT (N_MELS, N_MFCC), bin frequencies (f,) in [0, 1]."""
    from torchaudio.functional import create_dct, melscale_fbanks

    n_bins = N_FFT // 2 + 1
    filters = melscale_fbanks(n_bins, 0.0, SAMPLE_RATE_HZ / 2, N_MELS, SAMPLE_RATE_HZ)
    return filters, create_dct(N_MFCC, N_MELS, "ortho"), torch.linspace(0, 1, n_bins)
