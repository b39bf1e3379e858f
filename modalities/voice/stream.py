"""Encoded audio → samples at 16 kHz with all channels, block by block and in constant memory.

A recording's samples do not depend on how it was cut into blocks.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import av
import numpy as np

from modalities.errors import InputError
from modalities.reading import Array

SAMPLE_RATE_HZ = 16_000
BLOCK_S = 1.0

# FFmpeg's demuxers of single-file audio containers. Playlists and concatenations are not among
# them, and whatever a container asks to open besides itself is refused (`_refuse`).
FORMATS = "wav,w64,au,flac,mp3,ogg,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,amr,aac"
SOURCE_RATES_HZ = (4_000, 384_000)
MAX_CHANNELS = 8
# A container's own duration may be rounded, and an encoder's delay is cut off its start.
TRUNCATED_BY_S = 0.5


class AudioFile:
    """The first audio stream of a file on disk or in memory; to be closed, or used in a `with`.

    channels         of its first frame, once one is decoded; before it, what the container says
    codec            FFmpeg's name
    duration_s       decoded so far
    corrupt_packets  so far, left out because they could not be decoded

    Raises InputError where there is no audio that can be decoded, OSError as `open` does.
    """

    def __init__(self, source: Path | bytes) -> None:
        self._file: BinaryIO = (
            io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
        )
        self.duration_s, self.corrupt_packets = 0.0, 0
        try:
            self._is_cut = _riff_is_cut(self._file)
            self._container = av.open(
                self._file,
                metadata_errors="ignore",
                container_options={"format_whitelist": FORMATS, "protocol_whitelist": ""},
                io_open=_refuse,
            )
            self._stream = _audio_stream(self._container)
        except (av.FFmpegError, ValueError, OSError) as error:
            self._file.close()
            raise InputError("the audio is damaged or in no known format") from error
        except InputError:
            self.close()
            raise
        self.channels: int = self._stream.codec_context.channels
        self.codec: str = self._stream.codec_context.name

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()
        self._file.close()

    @property
    def truncated(self) -> bool:
        """Whether the container promises more than was decoded; to be asked at the end."""
        length = self._container.duration
        promised_s = length / av.time_base if length else 0.0
        return self._is_cut or promised_s - self.duration_s > TRUNCATED_BY_S

    def blocks(self) -> Iterator[Array]:
        """(channels, n) float32 at 16 kHz of about a second each; samples that are not finite
        become silence. To be called once.

        Raises InputError where the sound cannot be read, or where there is none at all.
        """
        parts: list[Array] = []
        waiting, found = 0, False
        try:
            for part in self._parts():
                parts.append(part)
                waiting += part.shape[1]
                found |= waiting > 0
                if waiting >= BLOCK_S * SAMPLE_RATE_HZ:
                    yield np.concatenate(parts, axis=1)
                    parts, waiting = [], 0
        except (av.FFmpegError, ValueError, OSError) as error:
            raise InputError("the audio is damaged or in no known format") from error
        if waiting:
            yield np.concatenate(parts, axis=1)
        if not found:
            raise InputError("no sound could be decoded from the audio")

    def _parts(self) -> Iterator[Array]:
        resampler: Resampler | None = None
        source: tuple[str, str, int] | None = None
        low, high = SOURCE_RATES_HZ
        for frame in self._frames():
            channels = len(frame.layout.channels)
            if not low <= frame.sample_rate <= high or channels > MAX_CHANNELS:
                raise InputError(
                    f"{channels} channels at {frame.sample_rate} Hz; "
                    f"up to {MAX_CHANNELS} channels at {low} to {high} Hz can be read"
                )
            self.duration_s += frame.samples / frame.sample_rate
            now = (frame.format.name, frame.layout.name, frame.sample_rate)
            if resampler is None or now != source:
                if resampler is None:
                    self.channels = channels
                else:
                    yield self._as_first(resampler.finish())
                resampler, source = Resampler(frame.layout), now
            yield self._as_first(resampler.feed(frame))
        if resampler is not None:
            yield self._as_first(resampler.finish())

    def _as_first(self, samples: Array) -> Array:
        """Where the number of channels changes on the way, all have the mean from there on."""
        if len(samples) == self.channels:
            return samples
        return np.repeat(samples.mean(0, keepdims=True), self.channels, axis=0)

    def _frames(self) -> Iterator[Any]:
        """Decoded frames; what FFmpeg cannot decode is counted and left out."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, EOFError):
                return
            except av.FFmpegError:  # the container itself ends in the middle
                self.corrupt_packets += 1
                return
            try:
                yield from packet.decode()
            except EOFError:
                return
            except av.FFmpegError:
                self.corrupt_packets += 1


class Resampler:
    """Frames of one format → (channels, n) float32 at 16 kHz.

    The channels are kept: FFmpeg's own down-mix would clip or favour some of them.
    """

    def __init__(self, layout: av.AudioLayout) -> None:
        self._resampler = av.AudioResampler("fltp", layout, SAMPLE_RATE_HZ)
        self._channels = len(layout.channels)

    def feed(self, frame: av.AudioFrame) -> Array:
        frame.pts = None  # the samples are laid end to end; gaps in the clock are no sound
        return self._resampled(frame)

    def finish(self) -> Array:
        """What the filter still holds."""
        return self._resampled(None)

    def _resampled(self, frame: av.AudioFrame | None) -> Array:
        parts = [part.to_ndarray() for part in self._resampler.resample(frame)]
        if not parts:
            return np.zeros((self._channels, 0), np.float32)
        # Float samples can be NaN or infinite in the file already.
        return np.nan_to_num(np.concatenate(parts, axis=1), nan=0.0, posinf=0.0, neginf=0.0)


def _audio_stream(container: Any) -> Any:
    if not container.streams.audio:
        raise InputError("the file has no audio stream")
    if container.streams.audio[0].codec_context is None:
        raise InputError("the audio is in a codec that cannot be decoded")
    return container.streams.audio[0]


def _riff_is_cut(file: BinaryIO) -> bool:
    """Whether a WAV file is shorter than its header says; FFmpeg takes the file's own length.

    Writers that stream leave a size of 0 or of (nearly) all ones, which says nothing.
    """
    header = file.read(8)
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    size = int.from_bytes(header[4:8], "little")
    return header[:4] == b"RIFF" and length < size + 8 < 0x7FFF_FFFF


def _refuse(*_: object) -> None:
    raise PermissionError("a recording may not open other files")
