"""From the bytes of a recording to its speech segments, on the CPU and within stated limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from modalities.errors import InputError, LimitError
from modalities.reading import Array
from modalities.voice.level import WithoutOffset
from modalities.voice.stream import SAMPLE_RATE_HZ, AudioFile
from modalities.voice.vad import FRAME, stretches

MIN_SILENCE_S = 0.7  # between segments
LIMIT_TOLERANCE_S = 0.1  # encoders add some silence at both ends

SNR_RANGE_DB = (-10.0, 60.0)
FLOOR = 1e-10  # power: −100 dB of full scale
CANCELS = 0.1  # of the first channel's power: a mean of channels below it has lost their sound


@dataclass(frozen=True, eq=False)
class Segment:
    """A stretch of speech: `samples` (n,) float32 at 16 kHz, offsets from the recording's start.

    `language` (ISO 639-1) and `words` say how to transcribe it: None lets the model detect the
    language, `words` asks for the offsets of each word. `emotion` false asks for the transcript
    only: nobody may know how this speaker feels.
    """

    samples: Array
    start_s: float
    end_s: float
    snr_db: float
    language: str | None = None
    words: bool = False
    emotion: bool = True

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def loudness_dbfs(self) -> float:
        """Mean power, in dB of full scale, as it was recorded: models hear it at one loudness."""
        return 10 * float(np.log10(max(power(self.samples), FLOOR)))


@dataclass(frozen=True, eq=False)
class Waveform:
    """A decoded recording: `samples` (n,) float32 at 16 kHz in [−1, 1], mixed down to mono.

    `notes` say what a listener should know of it.
    """

    samples: Array
    channels: int  # of the source
    codec: str
    truncated: bool  # the container promises more than could be decoded
    corrupt_packets: int  # packets that could not be decoded and were skipped
    notes: Sequence[str] = ()

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


@dataclass(frozen=True, eq=False)
class PreparedAudio:
    """A recording's speech; no segments where none was found (silence, noise, music)."""

    segments: tuple[Segment, ...]
    duration_s: float
    channels: int
    codec: str
    notes: Sequence[str]


def prepare(
    content: bytes, *, max_duration_s: float, language: str | None = None, words: bool = False
) -> PreparedAudio:
    """Decode a recording and cut it into speech segments of about 0.3 to 15 seconds.

    `language` and `words` are handed on to each segment. Raises InputError where no sound can be
    decoded, LimitError as soon as more than `max_duration_s` seconds have been.
    """
    wave = decode(content, max_duration_s=max_duration_s)
    return prepare_wave(wave, language=language, words=words)


def prepare_wave(
    wave: Waveform, *, language: str | None = None, words: bool = False
) -> PreparedAudio:
    """As `prepare`, of a recording that is decoded."""
    return PreparedAudio(
        segments=tuple(
            replace(found, language=language, words=words) for found in segment(wave.samples)
        ),
        duration_s=wave.duration_s,
        channels=wave.channels,
        codec=wave.codec,
        notes=wave.notes,
    )


def decode(content: bytes, *, max_duration_s: float) -> Waveform:
    """Decode one audio track of a file held in memory; limits and errors as `prepare`.

    Channels are averaged, or the first is taken where they cancel each other out. A corrupt packet
    is skipped and counted. Samples that are not finite become silence, and a float recording
    beyond full scale is scaled down to it.
    """
    if not content:
        raise InputError("the audio is empty")
    parts: list[Array] = []  # of the mean
    first: list[Array] = []  # of the first channel, where there are several
    with AudioFile(content) as file:
        for block in file.blocks():
            if file.duration_s > max_duration_s + LIMIT_TOLERANCE_S:
                raise LimitError(f"the audio is longer than {max_duration_s:g} seconds")
            parts.append(block.mean(0, dtype=np.float32))
            if len(block) > 1:
                first.append(block[0].copy())
        samples, notes = np.concatenate(parts), file.notes
        if first and samples.var() < CANCELS * (left := np.concatenate(first)).var():
            samples = left
            notes.append("its channels cancel each other out (antiphase): the first was read")
        peak = float(np.abs(samples).max())
        return Waveform(
            samples=samples / np.float32(peak) if peak > 1.0 else samples,
            channels=file.channels,
            codec=file.codec,
            truncated=file.truncated,
            corrupt_packets=file.corrupt_packets,
            notes=notes,
        )


def segment(samples: Array) -> tuple[Segment, ...]:
    """Speech segments by silero VAD; (n,) float32 at 16 kHz, whose constant offset is taken off.

    SNR is an estimate: the segment's mean power less the noise's, over the noise's, where noise
    is everything outside the segments, or, where that is less than 0.3 s, the quietest tenth of
    the recording's 32 ms windows. It is bounded to `SNR_RANGE_DB`.
    """
    samples = WithoutOffset()(samples)
    spans = stretches(samples, MIN_SILENCE_S)
    noise = _noise_power(samples, spans)
    return tuple(
        Segment(
            samples=samples[start:end],
            start_s=start / SAMPLE_RATE_HZ,
            end_s=end / SAMPLE_RATE_HZ,
            snr_db=snr_db(power(samples[start:end]), noise),
        )
        for start, end in spans
    )


def snr_db(level: float, noise: float) -> float:
    """Of speech with noise of mean power `level`, bounded to SNR_RANGE_DB."""
    low, high = SNR_RANGE_DB
    return float(np.clip(10 * np.log10(max(level - noise, FLOOR) / max(noise, FLOOR)), low, high))


def noise_floor(samples: Array) -> float:
    """Mean power of the quietest tenth of the 32 ms windows of (n,) samples."""
    whole = len(samples) // FRAME * FRAME
    powers = np.square(samples[:whole].reshape(-1, FRAME), dtype=np.float64).mean(1)
    return float(np.quantile(powers, 0.1)) if len(powers) else 0.0


def power(samples: Array) -> float:
    """Mean square of (n,) samples."""
    return float(np.dot(samples, samples)) / len(samples)


def _noise_power(samples: Array, spans: list[tuple[int, int]]) -> float:
    ends = [0, *(end for span in spans for end in span), len(samples)]
    pauses = [samples[start:end] for start, end in zip(ends[::2], ends[1::2], strict=True)]
    if (n := sum(map(len, pauses))) >= 0.3 * SAMPLE_RATE_HZ:
        return sum(float(np.dot(pause, pause)) for pause in pauses) / n
    return noise_floor(samples)
