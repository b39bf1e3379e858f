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
from av.stream import Disposition

from modalities.errors import InputError
from modalities.reading import Array
from modalities.voice import formats

SAMPLE_RATE_HZ = 16_000
BLOCK_S = 1.0

SOURCE_RATES_HZ = (4_000, 384_000)
MAX_CHANNELS = 8
# A container's own duration may be rounded, and an encoder's delay is cut off its start.
TRUNCATED_BY_S = 0.5
# A jump of the clock is silence where it is longer than an encoder's delay; beyond an hour the
# clock is wrong.
MIN_GAP_S, MAX_GAP_S = 0.1, 3600.0
ZERO_CLOCK = ("mov", "matroska", "asf")  # their clocks begin with the file, others' with its sound
PROBE_S, SILENT = 60.0, 1e-3  # looked at of each of several tracks; what a silent one spans
MIN_OFFSET = 0.005  # of full scale: a constant offset that is told


class AudioFile:
    """One audio track of a file on disk or in memory; to be closed, or used in a `with`.

    Of several tracks it is the default one, unless that is silent and another is not. A late start
    and gaps in the clock are silence, so that a sample's place is its time in the file. The links
    of a chained Ogg file follow each other.

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
        self.duration_s = 0.0
        self._promised_s, self._ends_badly = 0.0, False
        self._sum, self._n_samples = np.zeros(1), 0  # of each channel
        try:
            self._links, is_damaged = formats.ogg_links(self._file)
            self._is_cut = formats.is_cut(self._file, self._links)
            self.corrupt_packets = int(is_damaged)
            self._open(0)
            self._track, self._silent_tracks = 0, list[int]()
            if (n_tracks := len(self._container.streams.audio)) > 1:
                self._choose(n_tracks)
                self._container.close()
                self._open(0)
            self._stream = _audio_stream(self._container, self._track)
        except (av.FFmpegError, ValueError, OSError) as error:
            reason = formats.refusal(self._file)
            self._file.close()
            raise InputError(reason) from error
        except InputError:
            self.close()
            raise
        self.channels: int = self._stream.codec_context.channels
        self.codec: str = self._stream.codec_context.name
        if formats.states_its_length(self._file, self._container.format.name):
            end = (self._stream.start_time or 0) * self._has_zero_clock + (
                self._stream.duration or 0
            )
            self._promised_s = float(end * self._stream.time_base)

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
        """Whether the container promises more than was decoded, or ends in the middle of a packet;
        to be asked at the end."""
        is_short = self._promised_s - self.duration_s > TRUNCATED_BY_S
        return self._is_cut or self._ends_badly or is_short

    @property
    def notes(self) -> list[str]:
        """What a listener should know of the recording; to be asked at the end."""
        notes = []
        if (n_tracks := self._n_tracks) > 1:
            silent = "".join(f", track {track + 1} is silent" for track in self._silent_tracks)
            notes.append(
                f"of its {n_tracks} audio tracks, track {self._track + 1} was read{silent}"
            )
        if self.truncated:
            notes.append("the recording is cut short: what is there of it was read")
        if self.corrupt_packets:
            notes.append(f"{self.corrupt_packets} of its packets could not be decoded")
        offset = float(np.abs(self._sum).max(initial=0)) / max(1, self._n_samples)
        if offset > MIN_OFFSET:
            notes.append(f"a constant offset of {offset:.1%} of full scale was taken off")
        return notes

    def blocks(self) -> Iterator[Array]:
        """(channels, n) float32 at 16 kHz of about a second each; samples that are not finite
        become silence. To be called once.

        Raises InputError where the sound cannot be read, or where there is none at all.
        """
        parts: list[Array] = []
        waiting = 0
        try:
            for part in self._parts():
                parts.append(part)
                waiting += part.shape[1]
                if waiting >= BLOCK_S * SAMPLE_RATE_HZ:
                    yield self._counted(np.concatenate(parts, axis=1))
                    parts, waiting = [], 0
        except (av.FFmpegError, ValueError, OSError) as error:
            raise InputError(formats.refusal(self._file)) from error
        if waiting:
            yield self._counted(np.concatenate(parts, axis=1))
        if not self._n_samples:
            raise InputError("no sound could be decoded from the audio")

    def _counted(self, block: Array) -> Array:
        self._sum = self._sum + block.sum(1, dtype=np.float64)
        self._n_samples += block.shape[1]
        return block

    def _parts(self) -> Iterator[Array]:
        resampler: Resampler | None = None
        source: tuple[str, str, int] | None = None  # None before the first frame
        low, high = SOURCE_RATES_HZ
        for start_s, frame in self._frames():
            channels = len(frame.layout.channels)
            if not low <= frame.sample_rate <= high or channels > MAX_CHANNELS:
                raise InputError(
                    f"{channels} channels at {frame.sample_rate} Hz; "
                    f"up to {MAX_CHANNELS} channels at {low} to {high} Hz can be read"
                )
            if source is None:
                self.channels = channels
            now = (frame.format.name, frame.layout.name, frame.sample_rate)
            gap_s = start_s - self.duration_s
            if not MIN_GAP_S < gap_s < MAX_GAP_S:
                gap_s = 0.0
            if resampler is not None and (now != source or gap_s):
                yield self._as_first(resampler.finish())
                resampler = None
            if gap_s:
                yield from self._silence(gap_s)
            if resampler is None:
                resampler, source = Resampler(frame.layout), now
            self.duration_s += frame.samples / frame.sample_rate
            yield self._as_first(resampler.feed(frame))
        if resampler is not None:
            yield self._as_first(resampler.finish())

    def _silence(self, length_s: float) -> Iterator[Array]:
        left = round(length_s * SAMPLE_RATE_HZ)
        while left:
            n = min(left, SAMPLE_RATE_HZ)
            left -= n
            self.duration_s += n / SAMPLE_RATE_HZ
            yield np.zeros((self.channels, n), np.float32)

    def _as_first(self, samples: Array) -> Array:
        """Where the number of channels changes on the way, all have the mean from there on."""
        if len(samples) == self.channels:
            return samples
        return np.repeat(samples.mean(0, keepdims=True), self.channels, axis=0)

    def _frames(self) -> Iterator[tuple[float, Any]]:
        """Decoded frames of all links and their times in the file, as far as they have some."""
        for link in range(len(self._links)):
            if link:
                self._container.close()
                try:
                    self._open(link)
                    self._stream = _audio_stream(self._container, self._track)
                except (av.FFmpegError, InputError):
                    self.corrupt_packets += 1
                    continue
            zero_s = self.duration_s
            if not self._has_zero_clock:
                zero_s -= (self._container.start_time or 0) / av.time_base
            for frame in self._decoded():
                yield zero_s + (frame.time or 0.0), frame

    def _decoded(self) -> Iterator[Any]:
        """Frames of a link; what FFmpeg cannot decode is counted and left out."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, EOFError):
                return
            except av.FFmpegError:  # the container itself ends in the middle
                self.corrupt_packets += 1
                self._ends_badly = True
                return
            try:
                yield from packet.decode()
                if packet.size:  # the last one asks for what the decoder still holds
                    self._ends_badly = False
            except EOFError:
                return
            except av.FFmpegError:
                self.corrupt_packets += 1
                self._ends_badly = True

    def _open(self, link: int) -> None:
        self._container: Any = av.open(
            formats.Window(self._file, *self._links[link]),
            metadata_errors="ignore",
            container_options={
                "format_whitelist": ",".join(formats.READ),
                "protocol_whitelist": "",
            },
            io_open=_refuse,
        )
        self._n_tracks = len(self._container.streams.audio)
        self._has_zero_clock = self._container.format.name.startswith(ZERO_CLOCK)

    def _choose(self, n_tracks: int) -> None:
        """The track that is read of several, by what is heard of their first minute."""
        streams = self._container.streams.audio
        spans = [0.0] * n_tracks  # from the lowest sample to the highest
        resamplers: dict[Any, Resampler] = {}
        decodable = [stream for stream in streams if stream.codec_context is not None]
        try:
            for packet in self._container.demux(decodable):
                if packet.pts is not None and packet.pts * packet.time_base > PROBE_S:
                    break
                place = streams.index(packet.stream)
                for frame in packet.decode():
                    if place not in resamplers:
                        resamplers[place] = Resampler(frame.layout)
                    if (heard := resamplers[place].feed(frame)).size:
                        spans[place] = max(spans[place], float(np.ptp(heard, axis=1).max()))
        except (av.FFmpegError, EOFError, ValueError):
            pass  # damaged: by what was heard so far
        by_default = sorted(
            range(n_tracks), key=lambda place: not streams[place].disposition & Disposition.default
        )
        sounding = [place for place in by_default if spans[place] > SILENT]
        self._track = (sounding or by_default)[0]
        self._silent_tracks = [place for place in range(n_tracks) if spans[place] <= SILENT]


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


def _audio_stream(container: Any, track: int) -> Any:
    if len(container.streams.audio) <= track:
        raise InputError("the file has no audio stream")
    if container.streams.audio[track].codec_context is None:
        raise InputError("the audio is in a codec that cannot be decoded")
    return container.streams.audio[track]


def _refuse(*_: object) -> None:
    raise PermissionError("a recording may not open other files")
