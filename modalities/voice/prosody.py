"""How something is said: pitch and loudness per frame, and functionals of a whole utterance.

With few speakers at hand, what openSMILE's feature sets (Eyben et al. 2016) hold, statistics of
the spectrum, pitch and loudness over an utterance, tell more than a network's states do. Here
they are computed in torch, for a batch of mixed lengths at once, and no item hears its padding.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

N_PROSODY = 3  # log2 of the pitch in Hz, periodicity in [0, 1], log10 of the frame's energy
PITCH_HZ = 60, 500
WINDOW = 640  # samples of 16 kHz: two periods of the lowest pitch and more
OCTAVE_COST = 0.03  # per octave, against taking a multiple of the period for it
VOICED = 0.5  # periodicity from which a frame has a pitch
ACTIVE_RANGE = 3.5  # log10 energy under the loud frames' within which a frame counts as speech
N_BANDS, N_CEPSTRA, N_CORRELATED = 40, 20, 10
LAGS = (1, 2, 4, 8, 16)  # frames
SHORTEST = max(LAGS) + 1  # frames that functionals take; what is shorter is padded
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
N_EFFORT = 5  # rows of `_vocal_effort`
LEAP = 0.5  # octaves; a larger step of the pitch is taken for an error of its tracker
N_ROBUST = 2 * N_EFFORT * (2 + len(QUANTILES))  # functionals of vocal effort, the last ones
N_PARTS = 4  # of equal speech, for the shape of pitch and loudness over the utterance


def prosody(wave: Tensor, hop: int) -> Tensor:
    """(n,) samples at 16 kHz → (N_PROSODY, ⌈n / hop⌉), by autocorrelation (Boersma 1993).

    A frame's energy and pitch are those of 40 ms around its start.
    """
    low, high = (16_000 // hz for hz in reversed(PITCH_HZ))  # lags in samples
    window, correction = _window()
    frames = F.pad(wave, (WINDOW // 2, WINDOW // 2 + hop)).unfold(0, WINDOW, hop)
    frames = frames[: -(-wave.shape[0] // hop)]
    frames = (frames - frames.mean(-1, keepdim=True)) * window.to(wave.device)  # (t, WINDOW)
    power = torch.fft.rfft(frames, 1024).abs().square()
    r = torch.fft.irfft(power)[:, : high + 2]  # (t, lags)
    energy = r[:, 0]
    r = r / (energy.unsqueeze(1) + 1e-9) / correction.to(wave.device)
    lags = torch.arange(low, high + 1, device=wave.device)
    here = r[:, low : high + 1]
    is_peak = (here >= r[:, low - 1 : high]) & (here >= r[:, low + 1 : high + 2])
    score = torch.where(is_peak, here - OCTAVE_COST * torch.log2(lags / low), -1.0)
    best = score.argmax(-1)
    strength = here.gather(1, best.unsqueeze(1)).squeeze(1).clamp(0, 1)
    return torch.stack([torch.log2(16_000 / lags[best]), strength, energy.clamp(min=1e-9).log10()])


def functionals(frames: Tensor, inside: Tensor) -> Tensor:
    """Frames (b, n_mels + N_PROSODY, t) → functionals (b, f), which no gain changes.

    inside  (b, t) bool, true before each item's end
    The last N_ROBUST are of the vocal effort alone.
    """
    short = SHORTEST - frames.shape[-1]
    if short > 0:
        frames, inside = F.pad(frames, (0, short)), F.pad(inside, (0, short))
    mel = frames[:, :-N_PROSODY]
    pitch, periodicity, energy = frames[:, -N_PROSODY:].unbind(1)  # (b, t)
    ordered = energy.masked_fill(~inside, -math.inf).sort(-1, descending=True).values
    n_inside = inside.sum(-1, keepdim=True)  # (b, 1)
    loud = ordered.gather(1, (n_inside * 0.05).long())
    active = inside & (energy > loud - ACTIVE_RANGE)
    voiced = active & (periodicity > VOICED)
    n_active = active.sum(-1, keepdim=True).clamp(min=1)

    level = _mean(mel.mean(1), active)
    mel = mel - level.unsqueeze(1)
    bands = F.adaptive_avg_pool1d(mel.transpose(1, 2), N_BANDS).transpose(1, 2)
    cepstra = _dct(mel.shape[1]).to(mel.device) @ mel  # (b, N_CEPSTRA, t)
    loudness = (energy - loud).unsqueeze(1)  # (b, 1, t)
    periodicity, pitch_row = periodicity.unsqueeze(1), pitch.unsqueeze(1)

    parts = [
        _statistics(torch.cat([bands, cepstra, periodicity, loudness], 1), active),
        _statistics(torch.cat([pitch_row, periodicity], 1), voiced),
        voiced.sum(-1, keepdim=True) / n_active,
        n_active / n_inside,
        n_active.log(),
    ]
    moving = torch.cat([bands, cepstra, loudness], 1)
    for lag in LAGS:  # how fast the spectrum and the pitch move
        step = moving[..., lag:] - moving[..., :-lag]
        parts.append(_moments(step, active[:, lag:] & active[:, :-lag])[1])
        leap = pitch[:, lag:] - pitch[:, :-lag]
        sure = voiced[:, lag:] & voiced[:, :-lag] & (leap.abs() < LEAP)
        parts += _moments(leap.unsqueeze(1), sure)
    relative = pitch - _mean(pitch, voiced)
    rank = active.cumsum(-1) / n_active  # (b, t) in (0, 1]
    for part in range(N_PARTS):
        within = active & (rank > part / N_PARTS) & (rank <= (part + 1) / N_PARTS)
        parts += [_mean(loudness.squeeze(1), within), _mean(relative, within & voiced)]
    correlated = torch.cat([cepstra[:, 1 : N_CORRELATED + 1], loudness, pitch_row, periodicity], 1)
    parts.append(_correlations(correlated, voiced))
    effort = _vocal_effort(mel)
    parts += [_statistics(effort, active), _statistics(effort, voiced)]
    return torch.cat(parts, 1)


def n_functionals(n_inputs: int) -> int:
    """How many `functionals` makes of frames with `n_inputs` rows."""
    return functionals(torch.zeros(1, n_inputs, 1), torch.ones(1, 1, dtype=torch.bool)).shape[1]


def _vocal_effort(mel: Tensor) -> Tensor:
    """Rows (b, N_EFFORT, t) of a mel (b, n_mels, t) that hold across recordings and languages.

    The slope of the spectrum, its half above about 1.6 kHz against that under 0.7 kHz in level
    and in peak (the alpha ratio and Hammarberg's index of GeMAPS, Eyben et al. 2016), flux, and
    contrast.
    """
    n = int(mel.shape[1])  # no part of a trace
    low, half = mel[:, : round(0.31 * n)], mel[:, n // 2 :]
    rows = [
        (mel * torch.linspace(-1, 1, n, device=mel.device).unsqueeze(1)).mean(1),
        half.mean(1) - low.mean(1),
        mel[:, : n // 2].amax(1) - half.amax(1),
        F.pad((mel[..., 1:] - mel[..., :-1]).abs().mean(1), (1, 0)),
        mel.std(1),
    ]
    return torch.stack(rows, 1)


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    """(b, t) → (b, 1)."""
    return (x * mask).sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)


def _moments(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (b, c) of x (b, c, t) where mask (b, t) is true."""
    kept = mask.unsqueeze(1)
    n = kept.sum(-1).clamp(min=1)  # (b, 1)
    mean = (x * kept).sum(-1) / n
    variance = ((x - mean.unsqueeze(-1)) * kept).square().sum(-1) / n
    return mean, (variance + 1e-6).sqrt()


def _statistics(x: Tensor, mask: Tensor) -> Tensor:
    """Mean, deviation and QUANTILES of x (b, c, t) where mask (b, t) is true: (b, 7c)."""
    ordered = x.masked_fill(~mask.unsqueeze(1), math.inf).sort(-1).values
    last = mask.sum(-1, keepdim=True).clamp(min=1) - 1  # (b, 1)
    found = list(_moments(x, mask))
    for quantile in QUANTILES:
        place = last * quantile
        below, above = (
            ordered.gather(-1, index.long().unsqueeze(-1).expand(-1, x.shape[1], -1)).squeeze(-1)
            for index in (place.floor(), place.ceil())
        )  # (b, c)
        value = torch.lerp(below, above, (place - place.floor()).expand_as(below))
        found.append(torch.where(mask.any(-1, keepdim=True), value, 0.0))
    return torch.cat(found, 1)


def _correlations(x: Tensor, mask: Tensor) -> Tensor:
    """Pearson's of each pair of the rows of x (b, c, t) where mask (b, t) is true."""
    mean, _ = _moments(x, mask)
    n = mask.sum(-1).clamp(min=1)[:, None, None]
    centred = (x - mean.unsqueeze(-1)) * mask.unsqueeze(1)
    scaled = centred / (centred.square().sum(-1, keepdim=True) / n + 1e-4).sqrt()
    pairs = scaled @ scaled.transpose(1, 2) / n  # (b, c, c)
    row, column = torch.triu_indices(x.shape[1], x.shape[1], 1)
    return pairs[:, row, column]


@functools.cache
def _window() -> tuple[Tensor, Tensor]:
    """The analysis window and its own autocorrelation, which a frame's is divided by."""
    window = torch.hann_window(WINDOW)
    r = torch.fft.irfft(torch.fft.rfft(window, 2048).abs().square())[: 16_000 // PITCH_HZ[0] + 2]
    return window, r / r[0]


@functools.cache
def _dct(n: int) -> Tensor:
    """(N_CEPSTRA, n) orthonormal DCT-II."""
    angle = torch.pi / n * (torch.arange(n) + 0.5) * torch.arange(N_CEPSTRA).unsqueeze(1)
    return torch.cos(angle) * math.sqrt(2 / n)
