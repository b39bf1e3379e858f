"""From the bytes of a recording to its speech segments, on the CPU and within stated limits."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import av
import numpy as np
import torch

from modalities.errors import InputError, LimitError
from modalities.reading import Array

SAMPLE_RATE_HZ = 16_000
MAX_SEGMENT_S = 15.0

# FFmpeg's demuxers of single-file audio containers. Playlists and concatenations are not among
# them, and whatever a container asks to open besides itself is refused (`_refuse`).
FORMATS = "wav,w64,au,flac,mp3,ogg,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,amr,aac"
SOURCE_RATES_HZ = (4_000, 384_000)
MAX_CHANNELS = 8
LIMIT_TOLERANCE_S = 0.1  # encoders add some silence at both ends
# A container's own duration may be rounded, and an encoder's delay is cut off its start.
TRUNCATED_BY_S = 0.5

NOISE_WINDOW = 512  # samples of 16 kHz: the VAD's own frame of 32 ms
SNR_RANGE_DB = (-10.0, 60.0)


@dataclass(frozen=True, eq=False)
class Segment:
    """A stretch of speech: `samples` (n,) float32 at 16 kHz, offsets from the recording's start.

    `language` (ISO 639-1) and `words` say how to transcribe it: None lets the model detect the
    language, `words` asks for the offsets of each word.
    """

    samples: Array
    start_s: float
    end_s: float
    snr_db: float
    language: str | None = None
    words: bool = False

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


@dataclass(frozen=True, eq=False)
class Waveform:
    """A decoded recording: `samples` (n,) float32 at 16 kHz in [−1, 1], mixed down to mono."""

    samples: Array
    channels: int  # of the source
    codec: str
    truncated: bool  # the container promises more than could be decoded
    corrupt_packets: int  # packets that could not be decoded and were skipped

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
    truncated: bool
    corrupt_packets: int


def prepare(
    content: bytes, *, max_duration_s: float, language: str | None = None, words: bool = False
) -> PreparedAudio:
    """Decode a recording and cut it into speech segments of about 0.3 to 15 seconds.

    `language` and `words` are handed on to each segment. Raises InputError where no sound can be
    decoded, LimitError as soon as more than `max_duration_s` seconds have been.
    """
    wave = decode(content, max_duration_s=max_duration_s)
    return PreparedAudio(
        segments=tuple(
            replace(found, language=language, words=words) for found in segment(wave.samples)
        ),
        duration_s=wave.duration_s,
        channels=wave.channels,
        codec=wave.codec,
        truncated=wave.truncated,
        corrupt_packets=wave.corrupt_packets,
    )


def decode(content: bytes, *, max_duration_s: float) -> Waveform:
    """Decode the first audio stream of a file held in memory; limits and errors as `prepare`.

    Channels are averaged. A corrupt packet is skipped and counted. Samples that are not finite
    become silence, and a float recording beyond full scale is scaled down to it.
    """
    if not content:
        raise InputError("the audio is empty")
    try:
        with av.open(
            io.BytesIO(content),
            metadata_errors="ignore",
            container_options={"format_whitelist": FORMATS, "protocol_whitelist": ""},
            io_open=_refuse,
        ) as container:
            if not container.streams.audio:
                raise InputError("the file has no audio stream")
            if container.streams.audio[0].codec_context is None:
                raise InputError("the audio is in a codec that cannot be decoded")
            wave = _decode_stream(container, container.streams.audio[0], max_duration_s)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InputError("the audio is damaged or in no known format") from error
    return replace(wave, truncated=wave.truncated or _riff_is_cut(content))


def segment(samples: Array) -> tuple[Segment, ...]:
    """Speech segments by silero VAD; (n,) float32 at 16 kHz.

    SNR is an estimate: the segment's mean power less the noise's, over the noise's, where noise
    is everything outside the segments, or, where that is less than 0.3 s, the quietest tenth of
    the recording's 32 ms windows. It is bounded to `SNR_RANGE_DB`.
    """
    vad, timestamps = _vad()
    spans = [
        (span["start"], span["end"])
        for span in timestamps(
            vad.audio_forward(samples),
            audio_length_samples=len(samples),
            min_speech_duration_ms=200,
            min_silence_duration_ms=700,
            speech_pad_ms=100,
            max_speech_duration_s=MAX_SEGMENT_S - 0.5,
        )
    ]
    noise = _noise_power(samples, spans)
    return tuple(
        Segment(
            samples=samples[start:end],
            start_s=start / SAMPLE_RATE_HZ,
            end_s=end / SAMPLE_RATE_HZ,
            snr_db=_snr_db(samples[start:end], noise),
        )
        for start, end in spans
    )


def _decode_stream(container: Any, stream: Any, max_duration_s: float) -> Waveform:
    counts = {"corrupt": 0}
    resampler: av.AudioResampler | None = None
    source: tuple[str, str, int] | None = None
    parts: list[Array] = []
    decoded_s, channels = 0.0, stream.codec_context.channels
    for frame in _frames(container, stream, counts):
        low, high = SOURCE_RATES_HZ
        channels = len(frame.layout.channels)
        if not low <= frame.sample_rate <= high or channels > MAX_CHANNELS:
            raise InputError(
                f"{channels} channels at {frame.sample_rate} Hz; "
                f"up to {MAX_CHANNELS} channels at {low} to {high} Hz can be read"
            )
        decoded_s += frame.samples / frame.sample_rate
        if decoded_s > max_duration_s + LIMIT_TOLERANCE_S:
            raise LimitError(f"the audio is longer than {max_duration_s:g} seconds")
        frame.pts = None  # the samples are laid end to end; gaps in the clock are no sound
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or now != source:
            parts += _mono(resampler, None)
            resampler = av.AudioResampler("fltp", frame.layout, SAMPLE_RATE_HZ)
            source = now
        parts += _mono(resampler, frame)
    parts += _mono(resampler, None)
    if not sum(map(len, parts)):
        raise InputError("no sound could be decoded from the audio")
    samples = np.concatenate(parts)
    peak = float(np.abs(samples).max())
    if peak > 1.0:
        samples = samples / np.float32(peak)
    promised_s = container.duration / av.time_base if container.duration else 0.0
    return Waveform(
        samples=samples,
        channels=channels,
        codec=stream.codec_context.name,
        truncated=promised_s - decoded_s > TRUNCATED_BY_S,
        corrupt_packets=counts["corrupt"],
    )


def _riff_is_cut(content: bytes) -> bool:
    """Whether a WAV file is shorter than its header says; FFmpeg takes the file's own length.

    Writers that stream leave a size of 0 or of (nearly) all ones, which says nothing.
    """
    size = int.from_bytes(content[4:8], "little")
    return content[:4] == b"RIFF" and len(content) < size + 8 < 0x7FFF_FFFF


def _frames(container: Any, stream: Any, counts: dict[str, int]) -> Iterator[Any]:
    """Decoded frames; what FFmpeg cannot decode is counted and left out."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, EOFError):
            return
        except av.FFmpegError:  # the container itself ends in the middle
            counts["corrupt"] += 1
            return
        try:
            yield from packet.decode()
        except EOFError:
            return
        except av.FFmpegError:
            counts["corrupt"] += 1


def _mono(resampler: av.AudioResampler | None, frame: Any) -> list[Array]:
    if resampler is None:
        return []
    # The resampler keeps the channels: FFmpeg's own down-mix would clip or favour some of them.
    # Float samples can be NaN or infinite in the file already.
    return [
        np.nan_to_num(out.to_ndarray(), nan=0.0, posinf=0.0, neginf=0.0).mean(0, dtype=np.float32)
        for out in resampler.resample(frame)
    ]


def _refuse(*_: object) -> None:
    raise PermissionError("a recording may not open other files")


@functools.cache
def _vad() -> tuple[Any, Any]:
    """silero VAD's block-wise ONNX model: it keeps no state, so that threads may share it."""
    n_threads = torch.get_num_threads()
    import silero_vad

    vad = silero_vad.load_silero_vad(sequence=True)
    torch.set_num_threads(n_threads)  # its import sets them to one for the whole process
    return vad, silero_vad.get_speech_timestamps_from_probs


def _noise_power(samples: Array, spans: list[tuple[int, int]]) -> float:
    outside = np.ones(len(samples), dtype=bool)
    for start, end in spans:
        outside[start:end] = False
    if outside.sum() >= 0.3 * SAMPLE_RATE_HZ:
        return _power(samples[outside])
    whole = len(samples) // NOISE_WINDOW * NOISE_WINDOW
    powers = np.square(samples[:whole].reshape(-1, NOISE_WINDOW), dtype=np.float64).mean(1)
    return float(np.quantile(powers, 0.1)) if len(powers) else 0.0


def _snr_db(speech: Array, noise: float) -> float:
    low, high = SNR_RANGE_DB
    floor = 1e-10
    ratio = max(_power(speech) - noise, floor) / max(noise, floor)
    return float(np.clip(10 * np.log10(ratio), low, high))


def _power(samples: Array) -> float:
    return float(np.square(samples, dtype=np.float64).mean())
