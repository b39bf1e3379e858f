"""One channel of a call, block by block → its stretches of speech, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from modalities.reading import Array
from modalities.voice.level import WithoutOffset
from modalities.voice.prepare import FLOOR, Segment, noise_floor, power, snr_db
from modalities.voice.stream import SAMPLE_RATE_HZ
from modalities.voice.vad import FRAME, PAD, Ended, Endpointer, Started, Stretch, Vad

MIN_SILENCE_S = 0.4  # ends an utterance: shorter than a recording's, as somebody waits for it
PAD_END = int(0.025 * SAMPLE_RATE_HZ)  # kept after it
# By how much the samples kept reach over the speech on either side, by the truth of composed calls
# (bench/calls, dev): the offsets told lie within them.
EDGE = int(0.05 * SAMPLE_RATE_HZ)
STEP = 3 * FRAME  # samples that are looked at together: 96 ms
NOISE_HALF_LIFE_S = 3.0
# The VAD misses quiet beginnings: a stretch begins where the sound rose over the noise by 9 dB, if
# that is at most 0.64 s before; a gap of up to 4 frames (a stop's closure) does not end it.
ONSET_FRAMES, ONSET_LOG_RATIO, ONSET_GAP = 20, float(np.log(8.0)), 4
_NOISE_DECAY = 0.5 ** (FRAME / SAMPLE_RATE_HZ / NOISE_HALF_LIFE_S)
_MIN_NOISE = 0.3 * SAMPLE_RATE_HZ / FRAME  # frames


@dataclass(frozen=True)
class SpeechStarted:
    """Speech began at `start_s`; `known_s` is how far the channel had been heard by then."""

    start_s: float
    known_s: float


@dataclass(frozen=True)
class SpeechEnded:
    end_s: float
    known_s: float


@dataclass(frozen=True, eq=False)
class Heard:
    """A stretch of speech, and the mean probability of its frames of speech."""

    segment: Segment
    probability: float
    known_s: float


Sound = SpeechStarted | SpeechEnded | Heard


class Listener:
    """Holds the samples of the stretch that goes on (at most 15 s) and a little before it.

    What it says is a function of the samples, not of the blocks. The noise of a stretch is that of
    the silence before it (its geometric mean, which a click or a ring does not move much, halved
    in weight every 3 s), so that it is known when the stretch ends, or its own quietest tenth
    where that is louder: lines are quieter between the turns than in them (discontinuous
    transmission, noise suppression), and fusion weighs a voice by its SNR.
    """

    def __init__(self) -> None:
        self._without_offset = WithoutOffset()
        self._vad, self._endpointer = Vad(), Endpointer(MIN_SILENCE_S, PAD_END)
        self._rest = np.zeros(0, np.float32)  # less than a step
        self._steps: deque[Array] = deque()
        self._first = 0  # sample at which `_steps` begin
        self._heard = 0  # samples looked at
        self._noise, self._n_noise = 0.0, 0.0  # sums of log-powers and of frames, decayed
        self._silent: deque[float] = deque()  # log-powers of the last silent frames

    def feed(self, samples: Array) -> Iterator[Sound]:
        """(n,) float32 at 16 kHz, the next ones; n is free."""
        self._rest = np.concatenate([self._rest, self._without_offset(samples)])
        whole = len(self._rest) // STEP * STEP
        for start in range(0, whole, STEP):
            yield from self._look(self._rest[start : start + STEP].copy())
        self._rest = self._rest[whole:].copy()  # no view that keeps all of it

    def finish(self) -> Iterator[Sound]:
        """What follows from the end of the channel."""
        length = self._heard + len(self._rest)
        if len(self._rest):
            yield from self._look(np.pad(self._rest, (0, STEP - len(self._rest))))
        for change in self._endpointer.finish(length):
            yield from self._sounds(change)

    @property
    def current_start_s(self) -> float | None:
        """Where the stretch that goes on began; None in silence."""
        start = self._endpointer.start
        return None if start is None else start / SAMPLE_RATE_HZ

    def current(self) -> Heard | None:
        """The stretch that goes on, as far as it goes."""
        start = self._endpointer.start
        if start is None:
            return None
        return self._cut(start, self._heard, self._endpointer.probability, self._heard)

    def _look(self, step: Array) -> Iterator[Sound]:
        self._steps.append(step)
        self._heard += STEP
        powers = np.square(step.reshape(-1, FRAME), dtype=np.float64).mean(1)
        for probability, level in zip(self._vad(step), powers, strict=True):
            for change in self._endpointer.push(float(probability)):
                yield from self._sounds(change)
            self._hear_noise(float(np.log(max(level, FLOOR))))
        kept_from = self._endpointer.kept_from
        if self._endpointer.is_silent:
            kept_from -= ONSET_FRAMES * FRAME + PAD
        while self._first + STEP <= kept_from:
            self._steps.popleft()
            self._first += STEP

    def _hear_noise(self, level: float) -> None:
        """Count a frame that is surely no onset of speech; reach back for the onset of one."""
        if self._endpointer.is_silent:
            if len(self._silent) == ONSET_FRAMES:
                self._noise = self._noise * _NOISE_DECAY + self._silent.popleft()
                self._n_noise = self._n_noise * _NOISE_DECAY + 1
            self._silent.append(level)
        elif self._silent:
            if self._n_noise >= _MIN_NOISE:
                least = self._noise / self._n_noise + ONSET_LOG_RATIO
                onset = 0
                for n_back, level in enumerate(reversed(self._silent), 1):
                    if level > least:
                        onset = n_back
                    elif n_back - onset > ONSET_GAP:
                        break
                self._endpointer.reach_back(onset * FRAME)
            self._silent.clear()

    def _sounds(self, change: Started | Stretch | Ended) -> Iterator[Sound]:
        known_s = change.known / SAMPLE_RATE_HZ
        if isinstance(change, Started):
            yield SpeechStarted((change.start + EDGE) / SAMPLE_RATE_HZ, known_s)
            return
        if isinstance(change, Ended) or change.ended:
            yield SpeechEnded((change.end - EDGE) / SAMPLE_RATE_HZ, known_s)
        if isinstance(change, Stretch):
            yield self._cut(change.start, change.end, change.probability, change.known)

    def _cut(self, start: int, end: int, probability: float, known: int) -> Heard:
        samples = np.concatenate(self._steps)[start - self._first : end - self._first]
        noise = noise_floor(samples)
        if self._n_noise >= _MIN_NOISE:
            noise = max(noise, float(np.exp(self._noise / self._n_noise)))
        segment = Segment(
            samples,
            (start + EDGE) / SAMPLE_RATE_HZ,
            (end - EDGE) / SAMPLE_RATE_HZ,
            snr_db(power(samples), noise),
        )
        return Heard(segment, probability, known / SAMPLE_RATE_HZ)
