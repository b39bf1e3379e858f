"""What telephone lines carry besides speech, made here.

All are (n,) float32 at 16 kHz with a peak of 1.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from modalities.reading import Array
from modalities.voice.stream import SAMPLE_RATE_HZ

RING_HZ, RING_ON_S, RING_OFF_S = 425.0, 1.0, 4.0  # most of Europe, and China's cadence (1 s, 4 s)
# ITU-T Q.23: a key's pair of tones.
_LOW, _HIGH, _KEYS = (697, 770, 852, 941), (1209, 1336, 1477), ("123", "456", "789", "*0#")
KEY_HZ = {
    key: (float(low), float(high))
    for low, row in zip(_LOW, _KEYS, strict=True)
    for high, key in zip(_HIGH, row, strict=True)
}
CHORDS = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))  # I vi IV V, semitones
BEAT_S = 0.4


def ring_back(n_rings: int) -> Array:
    ring = np.pad(tone([RING_HZ], RING_ON_S), (0, round(RING_OFF_S * SAMPLE_RATE_HZ)))
    return np.tile(ring, n_rings)[: -round(RING_OFF_S * SAMPLE_RATE_HZ)]


def keys(pressed: str) -> Array:
    """DTMF of ``0-9*#``, 0.1 s a key, 0.1 s between them."""
    gap = np.zeros(SAMPLE_RATE_HZ // 10, np.float32)
    parts = [part for key in pressed for part in (tone(KEY_HZ[key], 0.1), gap)]
    return np.concatenate(parts[:-1])


def hold_music(seconds: float, draw: random.Random) -> Array:
    """A bass and broken chords of plucked strings in a key drawn anew."""
    music = np.zeros(round((seconds + 1) * SAMPLE_RATE_HZ), np.float32)
    root = draw.randint(45, 57)  # MIDI
    for beat in range(int(seconds / BEAT_S)):
        chord = CHORDS[beat // 8 % len(CHORDS)]
        _pluck(music, beat * BEAT_S, root + draw.choice(chord) + 12, 0.5)
        if beat % 4 == 0:
            _pluck(music, beat * BEAT_S, root + chord[0] - 12, 1.0)
    music = music[: round(seconds * SAMPLE_RATE_HZ)]
    return music / np.abs(music).max()


def tone(frequencies_hz: Sequence[float], seconds: float) -> Array:
    time_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    waves = [np.sin(2 * np.pi * hz * time_s) for hz in frequencies_hz]
    return (np.sum(waves, axis=0) / len(waves)).astype(np.float32)


def _pluck(music: Array, start_s: float, note: int, level: float) -> None:
    time_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    hz = 440 * 2 ** ((note - 69) / 12)
    waves = [np.sin(2 * np.pi * hz * k * time_s) * np.exp(-3 * k * time_s) / k for k in range(1, 7)]
    first = round(start_s * SAMPLE_RATE_HZ)
    room = music[first : first + SAMPLE_RATE_HZ]
    room += (level * np.sum(waves, axis=0))[: len(room)].astype(np.float32)
