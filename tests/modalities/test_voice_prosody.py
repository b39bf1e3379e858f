"""Pitch, voicing and functionals on sounds whose values are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modalities.voice.prosody import N_FUNCTIONALS, _statistics
from modalities.voice.prosody import prosody as rows_of
from modalities.voice.utterance import tones


def voice(hz: float, n: int = 16_000) -> torch.Tensor:
    """A pulse train with falling harmonics."""
    t = torch.arange(n) / 16_000
    return torch.stack([torch.cos(2 * torch.pi * hz * k * t) / k for k in range(1, 9)]).sum(0) / 10


@pytest.mark.parametrize("hz", [80, 120, 210, 330, 450])
def test_pitch_of_a_voice(hz: float) -> None:
    pitch, periodicity, _ = rows_of(voice(hz), 320)
    inner = slice(3, -3)
    assert (2 ** pitch[inner]).median().item() == pytest.approx(hz, rel=0.02)
    assert (periodicity[inner] > 0.8).all()


def test_noise_has_no_pitch_and_energy_follows_the_gain() -> None:
    torch.manual_seed(0)
    noise = torch.randn(16_000) * 0.1
    _, periodicity, energy = rows_of(noise, 320)
    assert (periodicity < 0.5).float().mean() > 0.9
    louder = rows_of(noise * 10, 320)[2]
    torch.testing.assert_close(louder - energy, torch.full_like(energy, 2.0), atol=1e-3, rtol=0)


@pytest.mark.parametrize("n", [1, 319, 320, 321, 640, 5_000])
def test_a_row_a_frame(n: int) -> None:
    rows = rows_of(torch.ones(n), 320)
    assert rows.shape == (3, -(-n // 320)) and torch.isfinite(rows).all()


def test_tones_of_an_item_do_not_see_its_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    waves = [torch.randn(n, generator=generator) for n in (1, 900, 9_000, 40_000)]
    waves += [voice(150), torch.zeros(7_000)]
    together = tones(waves, 80)
    assert together.shape == (6, N_FUNCTIONALS) and torch.isfinite(together).all()
    for row, wave in enumerate(waves):
        torch.testing.assert_close(tones([wave], 80)[0], together[row], atol=1e-4, rtol=1e-4)


def test_tones_do_not_depend_on_the_gain() -> None:
    wave = voice(150) * torch.linspace(0.2, 1, 16_000)
    torch.testing.assert_close(tones([0.1 * wave], 80), tones([wave], 80), atol=2e-3, rtol=1e-3)


def test_statistics_are_numpys() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 40)
    mask = torch.rand(2, 40) < 0.6
    found = _statistics(x, mask)
    for row in range(2):
        kept = x[row][:, mask[row]].numpy()
        quantiles = np.quantile(kept, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1).ravel()
        expected = np.concatenate([kept.mean(1), kept.std(1), quantiles])
        np.testing.assert_allclose(found[row], expected, atol=1e-5)
