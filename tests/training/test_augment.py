"""Copies of a recording stay recordings of the same length, and are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from training import augment

RATE_HZ = 16_000


@pytest.fixture
def wave() -> np.ndarray:
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    pitch = 110 * t + 25 * t**2  # rising: no period is like another
    tones = sum(np.sin(2 * np.pi * k * pitch) / k for k in range(1, 40))
    return (0.1 * tones * np.abs(np.sin(3 * t))).astype(np.float32)


def test_copies_stay_waves_and_repeat(wave: np.ndarray) -> None:
    for seed in range(12):
        one, other = (augment.drawn(wave, np.random.default_rng(seed)) for _ in range(2))
        assert one.shape == wave.shape and one.dtype == np.float32
        assert np.isfinite(one).all() and np.abs(one).max() < 1.6  # a filter rings
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("line", augment.LINES, ids=lambda line: line[1])
def test_a_line_keeps_the_voice_in_its_place(
    wave: np.ndarray, line: tuple[float, str, int, int | None]
) -> None:
    _, codec, rate_hz, bit_rate = line
    heard = augment.sent(wave, codec, rate_hz, bit_rate)
    assert heard.shape == wave.shape
    shifts = range(-160, 161)
    inner = slice(4_000, -4_000)
    alike = [float(np.dot(np.roll(heard, -shift)[inner], wave[inner])) for shift in shifts]
    assert abs(shifts[int(np.argmax(alike))]) <= 96  # 6 ms
    power = np.abs(np.fft.rfft(heard)) ** 2
    above = power[len(power) * 9 // 16 :].sum() / power.sum()
    assert (above < 1e-3) == (rate_hz == 8_000)


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_noise_has_its_level(wave: np.ndarray, snr_db: float) -> None:
    heard = augment.noise(wave, np.random.default_rng(0), snr_db)
    ratio = np.square(wave).mean() / np.square(heard - wave).mean()
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=0.1)


def test_a_room_comes_after_the_direct_sound() -> None:
    click = np.zeros(RATE_HZ, np.float32)
    click[1_000] = 1
    heard = augment.room(click, np.random.default_rng(0))
    assert not np.abs(heard[:1_000]).max() > 1e-4 and heard[1_000] == pytest.approx(1, abs=1e-3)
    assert np.square(heard[1_001:]).sum() == pytest.approx(0.5, abs=0.5)
