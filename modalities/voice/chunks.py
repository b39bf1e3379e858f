"""The audio of a live call, chunk by chunk → samples at 16 kHz with all channels.

The samples do not depend on how the audio was cut into chunks (for Opus without a container, a
chunk is one packet).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cache
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from modalities.errors import InputError
from modalities.reading import Array
from modalities.voice.stream import Resampler

PCM_CODECS = {"LINEAR16": "pcm_s16le", "MULAW": "pcm_mulaw", "ALAW": "pcm_alaw"}
PCM_RATES_HZ = (8_000, 16_000)
OPUS_RATES_HZ = (0, *PCM_RATES_HZ, 24_000, 48_000)
OPUS_RATE_HZ = 48_000  # that its decoder always gives
LAYOUTS = {1: "mono", 2: "stereo"}

_PAGE_HEADER = 27  # bytes before an Ogg page's table of segments
_MAX_PACKET = 1024 * 1024  # bytes: tags can be long, sound is at most 61 kB
_IS_CONTINUED = 1  # flag of a page whose first packet began on the page before
_OPUS_HEAD = 19  # bytes of the header of a stream of one or two channels


class ChunkDecoder(ABC):
    """Chunks of one encoding → (channels, n) float32 at 16 kHz.

    corrupt_packets  packets so far that could not be decoded; silence is in their place
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self.corrupt_packets = 0

    @abstractmethod
    def feed(self, chunk: bytes) -> Array:
        """The samples that are complete with it; raises InputError where it cannot be read."""

    @abstractmethod
    def finish(self) -> Array:
        """What the filters still hold."""

    @property
    @abstractmethod
    def bytes_left(self) -> int:
        """Bytes at the end that make no whole sample or packet."""


def chunk_decoder(encoding: str, sample_rate_hz: int, channels: int) -> ChunkDecoder:
    """The decoder of an encoding of StreamCallConfig; raises InputError with the field."""
    is_opus = encoding in ("OGG_OPUS", "OPUS")
    rates = OPUS_RATES_HZ if is_opus else PCM_RATES_HZ
    if encoding not in PCM_CODECS and not is_opus:
        raise InputError("an encoding is needed", "encoding")
    if sample_rate_hz not in rates:
        raise InputError(f"not one of {', '.join(map(str, rates))}", "sample_rate_hz")
    if is_opus:
        return OggOpus(channels) if encoding == "OGG_OPUS" else OpusPackets(channels)
    return Pcm(encoding, sample_rate_hz, channels)


class Pcm(ChunkDecoder):
    """Interleaved samples: LINEAR16 (little-endian), or G.711 MULAW or ALAW."""

    def __init__(self, encoding: str, sample_rate_hz: int, channels: int) -> None:
        super().__init__(channels)
        self._rate = sample_rate_hz
        self._table = None if encoding == "LINEAR16" else _expansion(PCM_CODECS[encoding])
        self._width = channels * (2 if self._table is None else 1)
        self._rest = b""
        self._layout = av.AudioLayout(LAYOUTS[channels])
        self._resampler = Resampler(self._layout)

    def feed(self, chunk: bytes) -> Array:
        data = self._rest + chunk
        whole = len(data) // self._width * self._width
        self._rest = data[whole:]
        if not whole:
            return np.zeros((self.channels, 0), np.float32)
        raw: NDArray[Any]
        if self._table is None:
            raw = np.frombuffer(data[:whole], "<i2")
        else:
            raw = self._table[np.frombuffer(data[:whole], np.uint8)]
        planes = raw.reshape(-1, self.channels).T.astype(np.float32) / 32768
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(planes), "fltp", LAYOUTS[self.channels]
        )
        frame.sample_rate = self._rate
        return self._resampler.feed(frame)

    def finish(self) -> Array:
        return self._resampler.finish()

    @property
    def bytes_left(self) -> int:
        return len(self._rest)


class OpusPackets(ChunkDecoder):
    """Opus without a container (RFC 6716): each chunk is one packet."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self._open(b"OpusHead" + bytes([1, channels, 0, 0, 0x80, 0xBB, 0, 0, 0, 0, 0]))
        self._resampler = Resampler(av.AudioLayout(LAYOUTS[channels]))
        self._packet_samples = OPUS_RATE_HZ // 50

    def feed(self, chunk: bytes) -> Array:
        if not chunk:
            return np.zeros((self.channels, 0), np.float32)
        try:
            frames = self._decoder.decode(av.Packet(chunk))
        except av.FFmpegError:
            self.corrupt_packets += 1
            frames = [self._silence()]
        parts = []
        for frame in frames:
            self._packet_samples = frame.samples
            parts.append(self._resampler.feed(frame))
        return np.concatenate([np.zeros((self.channels, 0), np.float32), *parts], axis=1)

    def finish(self) -> Array:
        return self._resampler.finish()

    @property
    def bytes_left(self) -> int:
        return 0

    def _open(self, head: bytes) -> None:
        """By a stream's header (RFC 7845, 5.1), which also says what to skip at its start."""
        self._decoder: Any = av.CodecContext.create("opus", "r")
        self._decoder.extradata = head

    def _silence(self) -> av.AudioFrame:
        zeros = np.zeros((self.channels, self._packet_samples), np.float32)
        frame = av.AudioFrame.from_ndarray(zeros, "fltp", LAYOUTS[self.channels])
        frame.sample_rate = OPUS_RATE_HZ
        return frame


class OggOpus(OpusPackets):
    """An Ogg file (RFC 3533, RFC 7845) that grows.

    FFmpeg's own demuxer pulls its bytes and blocks where there are none yet, which would take a
    thread for every call.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self._buffer = b""
        self._serial: bytes | None = None  # of the Opus stream
        self._packet = b""  # that goes on on the next page
        self._n_headers = 0

    def feed(self, chunk: bytes) -> Array:
        self._buffer += chunk
        parts = [super(OggOpus, self).feed(packet) for packet in self._packets()]
        return np.concatenate([np.zeros((self.channels, 0), np.float32), *parts], axis=1)

    @property
    def bytes_left(self) -> int:
        return len(self._buffer) + len(self._packet)

    def _packets(self) -> Iterator[bytes]:
        """Packets of sound that are complete; headers are taken out."""
        for serial, packet in self._all_packets():
            if packet.startswith(b"OpusHead"):
                self._begin(serial, packet)
            elif serial == self._serial and self._n_headers == 1:
                self._n_headers = 2  # OpusTags
            elif serial == self._serial:
                yield packet

    def _begin(self, serial: bytes, head: bytes) -> None:
        if len(head) < _OPUS_HEAD or head[9] != self.channels:
            raise InputError(
                f"the Ogg stream has {head[9] if len(head) > 9 else 0} channels, "
                f"{self.channels} were announced",
                "audio",
            )
        self._serial, self._n_headers = serial, 1
        self._open(head)

    def _all_packets(self) -> Iterator[tuple[bytes, bytes]]:
        """Serial number and content of each complete packet of the whole pages at hand."""
        while (page := self._next_page()) is not None:
            serial, sizes = page[14:18], page[_PAGE_HEADER : _PAGE_HEADER + page[26]]
            if self._serial is not None and serial != self._serial and not page[5] & 2:
                continue  # another stream's
            at = _PAGE_HEADER + page[26]
            packet = self._packet if page[5] & _IS_CONTINUED else b""
            for size in sizes:
                packet += page[at : at + size]
                at += size
                if size < 255:  # ends the packet
                    yield serial, packet
                    packet = b""
            self._packet = packet
            if len(packet) > _MAX_PACKET:
                raise InputError("a packet of the Ogg file is too long", "audio")

    def _next_page(self) -> bytes | None:
        start = self._buffer.find(b"OggS")
        if start < 0:
            if self._serial is None and len(self._buffer) >= 4:
                raise InputError("not an Ogg file", "audio")
            self._buffer = self._buffer[-3:]
            return None
        page = self._buffer[start:]
        n_segments = page[26] if len(page) > 26 else 0
        sizes = page[_PAGE_HEADER : _PAGE_HEADER + n_segments]
        length = _PAGE_HEADER + n_segments + sum(sizes)
        if len(page) < _PAGE_HEADER or len(sizes) < n_segments or len(page) < length:
            self._buffer = page
            return None
        self._buffer = page[length:]
        return page[:length]


@cache
def _expansion(codec: str) -> NDArray[np.int16]:
    """(256,) the sample that each byte stands for."""
    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = 8_000, "mono"
    frames = decoder.decode(av.Packet(bytes(range(256))))
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
