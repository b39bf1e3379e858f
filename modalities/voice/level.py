"""Sound without the constant offset that sound cards and codecs add."""

from __future__ import annotations

import numpy as np

from modalities.reading import Array

POLE = 0.992  # of the filter: −3 dB at 20 Hz, under every voice


class WithoutOffset:
    """A high-pass of one pole over one channel, causal; the first sample is taken for the offset,
    so that a constant changes nothing."""

    def __init__(self) -> None:
        self._state: Array | None = None

    def __call__(self, samples: Array) -> Array:
        """(n,) float32 at 16 kHz, the next ones → (n,) float32; n is free."""
        from scipy.signal import lfilter  # not above: a decoder's process does without

        if not len(samples):
            return samples
        gain = (1 + POLE) / 2
        if self._state is None:
            self._state = -gain * samples[:1]
        filtered, self._state = lfilter([gain, -gain], [1, -POLE], samples, zi=self._state)
        return filtered.astype(np.float32)
