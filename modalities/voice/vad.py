"""Speech and silence: silero VAD frame by frame, and the stretches of speech that follow from it.

All decisions are a function of the samples alone, however they are cut into blocks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from modalities.reading import Array
from modalities.voice.stream import SAMPLE_RATE_HZ

FRAME = 512  # samples: silero VAD's own frame of 32 ms
CONTEXT = 64  # samples of the frame before, which the model sees too
MAX_FRAMES = 512  # of one call of the model

SPEECH, SILENCE = 0.5, 0.35  # probabilities: hysteresis, as silero's own
# Least mean probability of a stretch's frames of speech: below it are tones and music that come
# over 0.5 for a moment. `server.calls.scoring.SURE_SPEECH` is stricter.
MIN_MEAN = 0.7
MIN_SPEECH = int(0.2 * SAMPLE_RATE_HZ)
PAD = int(0.1 * SAMPLE_RATE_HZ)  # kept before a stretch and, in a recording, after it
MAX_SPEECH_S = 15.0
_MAX_SPEECH = int((MAX_SPEECH_S - 0.5) * SAMPLE_RATE_HZ) - FRAME - 2 * PAD
# silero misses quiet speech: what the loudest frame, forgotten by 1 dB a second, is short of this
# level is made up for, up to 30 dB, so that noise stays noise.
LOUD_DBFS, MAX_GAIN_DB = -20.0, 30.0
_FORGOTTEN_DB = FRAME / SAMPLE_RATE_HZ
_MIN_PAUSE = int(0.098 * SAMPLE_RATE_HZ)  # where a stretch that is too long may be cut


class Gain:
    """Brings quiet frames (n, FRAME), the next ones of a channel, to a level that silero hears."""

    def __init__(self) -> None:
        self._loudest_dbfs = -np.inf

    def __call__(self, frames: Array) -> Array:
        power = np.square(frames, dtype=np.float64).mean(1)
        forgotten = _FORGOTTEN_DB * np.arange(1, len(frames) + 1)
        level_dbfs = 10 * np.log10(np.maximum(power, 1e-10)) + forgotten
        level_dbfs[0] = max(level_dbfs[0], self._loudest_dbfs)
        level_dbfs = np.maximum.accumulate(level_dbfs) - forgotten
        self._loudest_dbfs = level_dbfs[-1]
        gain_db = np.clip(LOUD_DBFS - level_dbfs, 0, MAX_GAIN_DB)
        return frames * (10 ** (gain_db / 20)).astype(np.float32)[:, np.newaxis]


class Vad:
    """Probabilities of speech of one channel's frames, in order."""

    def __init__(self) -> None:
        self._session = _session()
        self._hidden = np.zeros((1, 1, 128), np.float32)
        self._cell = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros(CONTEXT, np.float32)
        self._gain = Gain()

    def __call__(self, samples: Array) -> Array:
        """(n · FRAME,) samples at 16 kHz, the next ones → (n,) probabilities."""
        frames = self._gain(samples.reshape(-1, FRAME))
        before = np.concatenate([self._context[np.newaxis], frames[:-1, -CONTEXT:]])
        self._context = frames[-1, -CONTEXT:].copy()
        probabilities, self._hidden, self._cell = self._session.run(
            ["speech_probs", "hn", "cn"],
            {
                "input": np.concatenate([before, frames], axis=1),  # (n, CONTEXT + FRAME)
                "h": self._hidden,
                "c": self._cell,
            },
        )
        return probabilities.reshape(-1)


@dataclass(frozen=True)
class Started:
    """Speech began at sample `start`; that it is speech was known at sample `known`."""

    start: int
    known: int


@dataclass(frozen=True)
class Stretch:
    """Speech from sample `start` to `end`, padding included. Where it is cut for its length,
    speech goes on (`ended` is false). `probability` is the mean of its frames of speech."""

    start: int
    end: int
    known: int
    ended: bool
    probability: float


@dataclass(frozen=True)
class Ended:
    """Speech ended, but what there is of it since the last cut is no stretch: it is too short, or
    hardly speech."""

    end: int
    known: int


Change = Started | Stretch | Ended


class Endpointer:
    """Probabilities → stretches of speech, by the rules of silero's own timestamps.

    A stretch begins with a frame of at least SPEECH and ends before `min_silence_s` of frames
    that never come back to it; one that grows too long is cut in its longest pause. One whose
    mean is below MIN_MEAN is none. `pad_end` samples are kept after it, PAD before it.
    """

    def __init__(self, min_silence_s: float, pad_end: int = PAD) -> None:
        self._min_silence, self._pad_end = int(min_silence_s * SAMPLE_RATE_HZ), pad_end
        self._at = 0  # first sample of the next frame
        self._start: int | None = None  # of the speech that goes on
        self._lead = 0  # samples before `_start` that belong to it
        self._pad_from = 0  # no stretch begins before this
        self._silent_from: int | None = None
        self._pauses: list[tuple[int, int]] = []  # length, start
        self._probabilities: list[float] = []  # from `_start` on
        self._announced = False

    @property
    def start(self) -> int | None:
        """Where the stretch that goes on begins, padding included, once it is surely one."""
        return self._padded_start() if self._announced else None

    @property
    def probability(self) -> float:
        """Mean of the frames of speech of the stretch that goes on."""
        return self._mean(self._at)

    @property
    def kept_from(self) -> int:
        """The first sample that a stretch which goes on needs; `at` where there is none."""
        return self._at if self._start is None else self._padded_start()

    @property
    def is_silent(self) -> bool:
        return self._start is None

    def reach_back(self, samples: int) -> None:
        """The stretch that goes on began so much earlier than its first frame of speech."""
        self._lead = samples

    def push(self, probability: float) -> Iterator[Change]:
        """What follows from the next frame."""
        at, self._at = self._at, self._at + FRAME
        is_speech = probability >= SPEECH
        if is_speech and self._silent_from is not None:
            if at - self._silent_from > _MIN_PAUSE:
                self._pauses.append((at - self._silent_from, self._silent_from))
            self._silent_from = None
        if self._start is None:
            if is_speech:
                self._start = at
                self._probabilities = [probability]
            return
        self._probabilities.append(probability)
        if at - self._start > _MAX_SPEECH:
            length, pause = max(self._pauses, default=(0, at))
            if self._mean(pause) >= MIN_MEAN:
                if not self._announced:
                    self._announced = True
                    yield Started(self._padded_start(), self._at)
                padded = pause + min(self._pad_end, length // 2)
                yield self._stretch(pause, padded, at, ended=False)
            self._pad_from, self._lead = pause + length - min(PAD, length // 2), 0
            self._probabilities = self._probabilities[(pause + length - self._start) // FRAME :]
            self._start, self._silent_from, self._pauses = pause + length, None, []
        if probability < SILENCE:
            if self._silent_from is None:
                self._silent_from = at
            if at - self._silent_from >= self._min_silence:
                yield from self._end(self._silent_from)
                return
        # No end can come before the next frame, so that it will surely be long enough.
        if not self._announced and self._silent_from is None and self._is_stretch(self._at):
            self._announced = True
            yield Started(self._padded_start(), self._at)

    def finish(self, length: int) -> Iterator[Change]:
        """What follows from the end, after `length` samples."""
        if self._start is not None:
            end = length if self._silent_from is None else self._silent_from
            yield from self._end(end, length)

    def _end(self, end: int, length: int | None = None) -> Iterator[Change]:
        padded = end + self._pad_end
        if length is not None:
            padded = min(padded, length)
        if self._is_stretch(end):
            if not self._announced:
                yield Started(self._padded_start(), self._at)
            yield self._stretch(end, padded, self._at, ended=True)
        elif self._announced:
            yield Ended(padded, self._at)
        self._pad_from, self._start, self._silent_from = padded, None, None
        self._pauses, self._announced, self._lead = [], False, 0

    def _is_stretch(self, end: int) -> bool:
        assert self._start is not None
        return end - self._start > MIN_SPEECH and self._mean(end) >= MIN_MEAN

    def _mean(self, end: int) -> float:
        """Of the frames of speech before sample `end`."""
        assert self._start is not None
        before = self._probabilities[: -(-(end - self._start) // FRAME)]
        speech = [probability for probability in before if probability >= SPEECH]
        return sum(speech) / len(speech) if speech else 0.0

    def _padded_start(self) -> int:
        assert self._start is not None
        return max(self._pad_from, self._start - self._lead - PAD)

    def _stretch(self, end: int, padded: int, known: int, ended: bool) -> Stretch:
        return Stretch(self._padded_start(), padded, known, ended, self._mean(end))


def stretches(samples: Array, min_silence_s: float) -> list[tuple[int, int]]:
    """Start and end of each stretch of speech in a whole recording (n,) at 16 kHz."""
    vad, endpointer = Vad(), Endpointer(min_silence_s)

    def changes() -> Iterator[Change]:
        for first in range(0, len(samples), MAX_FRAMES * FRAME):
            block = samples[first : first + MAX_FRAMES * FRAME]
            if short := -len(block) % FRAME:  # the last one
                block = np.pad(block, (0, short))
            for probability in vad(block).tolist():
                yield from endpointer.push(probability)
        yield from endpointer.finish(len(samples))

    return [(change.start, change.end) for change in changes() if isinstance(change, Stretch)]


@functools.cache
def _session() -> Any:
    """silero VAD's block-wise ONNX model: it keeps no state, so that threads may share it."""
    import torch  # not above: a decoder's process does without

    n_threads = torch.get_num_threads()
    import silero_vad

    vad = silero_vad.load_silero_vad(sequence=True)
    torch.set_num_threads(n_threads)  # its import sets them to one for the whole process
    return vad.session
