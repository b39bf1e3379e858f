"""How something is said: pitch and loudness per frame, and functionals of a whole utterance.

What the states of an encoder hold of pitch and loudness is said outright here, in the manner of
openSMILE's feature sets (Eyben et al. 2016), in torch, for a batch of mixed lengths at once; no
item hears its padding.
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
LAGS = (1, 2, 4, 8, 16)  # frames
SHORTEST = max(LAGS) + 1  # frames that functionals take; what is shorter is padded
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
N_EFFORT = 5  # rows of `_vocal_effort`
LEAP = 0.5  # octaves; a larger step of the pitch is taken for an error of its tracker
N_PARTS = 4  # of equal speech, for the shape of pitch and loudness over the utterance
N_FUNCTIONALS = (4 + 2 * N_EFFORT) * (2 + len(QUANTILES)) + 3 + 3 * len(LAGS) + 2 * N_PARTS


def prosody(wave: Tensor, hop: int) -> Tensor:
    """Follow pitch and loudness by autocorrelation (Boersma 1993): (n,) samples at 16 kHz →
    (N_PROSODY, ⌈n / hop⌉).

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


def functionals(rows: Tensor, mel: Tensor, inside: Tensor) -> Tensor:
    """Describe utterances by N_FUNCTIONALS numbers (b, f), which no gain changes.

    rows    `prosody` (b, N_PROSODY, t)
    mel     (b, n_mels, t) log-mel of the same frames
    inside  (b, t) bool, true before each item's end
    """
    short = SHORTEST - rows.shape[-1]
    if short > 0:
        rows, mel, inside = (F.pad(x, (0, short)) for x in (rows, mel, inside))
    pitch, periodicity, energy = rows.unbind(1)  # (b, t)
    ordered = energy.masked_fill(~inside, -math.inf).sort(-1, descending=True).values
    n_inside = inside.sum(-1, keepdim=True)  # (b, 1)
    loud = ordered.gather(1, (n_inside * 0.05).long())
    active = inside & (energy > loud - ACTIVE_RANGE)
    voiced = active & (periodicity > VOICED)
    n_active = active.sum(-1, keepdim=True).clamp(min=1)
    loudness = energy - loud
    parts = [
        _statistics(torch.stack([periodicity, loudness], 1), active),
        _statistics(torch.stack([pitch, periodicity], 1), voiced),
        voiced.sum(-1, keepdim=True) / n_active,
        n_active / n_inside,
        n_active.log(),
    ]
    for lag in LAGS:  # how fast loudness and pitch move
        step = loudness[:, lag:] - loudness[:, :-lag]
        parts.append(_moments(step.unsqueeze(1), active[:, lag:] & active[:, :-lag])[1])
        leap = pitch[:, lag:] - pitch[:, :-lag]
        sure = voiced[:, lag:] & voiced[:, :-lag] & (leap.abs() < LEAP)
        parts += _moments(leap.unsqueeze(1), sure)
    relative = pitch - _mean(pitch, voiced)
    rank = active.cumsum(-1) / n_active  # (b, t) in (0, 1]
    for part in range(N_PARTS):
        here = active & (rank > part / N_PARTS) & (rank <= (part + 1) / N_PARTS)
        parts += [_mean(loudness, here), _mean(relative, here & voiced)]
    effort = _vocal_effort(mel)
    parts += [_statistics(effort, active), _statistics(effort, voiced)]
    return torch.cat(parts, 1)


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


@functools.cache
def _window() -> tuple[Tensor, Tensor]:
    """The analysis window and its own autocorrelation, which a frame's is divided by."""
    window = torch.hann_window(WINDOW)
    r = torch.fft.irfft(torch.fft.rfft(window, 2048).abs().square())[: 16_000 // PITCH_HZ[0] + 2]
    return window, r / r[0]
