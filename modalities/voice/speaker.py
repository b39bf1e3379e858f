"""What is known of how a person sounds: the running mean of the utterances that were heard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modalities.reading import Array, Quality
from modalities.voice.head import WEIGHT


@dataclass(frozen=True, eq=False)
class Sound:
    """What an utterance comes to, (n,) on the scale of the head that reads it; `voice` (n,) is what
    of it is the speaker's, and `quality` its evidence."""

    utterance: Array
    voice: Array
    quality: Quality


@dataclass(frozen=True, eq=False)
class Speaker:
    """One person so far: the sum of what of their utterances is theirs, whatever the mood."""

    n_heard: int = 0
    total: Array | None = None  # (n,)

    @property
    def known(self) -> float:
        """Say how much of the speaker is known, a share in [0, 1)."""
        return self.n_heard / (self.n_heard + WEIGHT)

    def mean(self, n: int) -> Array:
        """Give the mean (n,) of the voice, drawn to everybody's, which is 0, by WEIGHT
        utterances."""
        if self.total is None:
            return np.zeros(n, np.float32)
        return self.total / np.float32(self.n_heard + WEIGHT)

    def after(self, sound: Sound) -> Speaker:
        """Give what is known once this was heard, too."""
        total = sound.voice if self.total is None else self.total + sound.voice
        return Speaker(self.n_heard + 1, total)
