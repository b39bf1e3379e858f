"""Recordings of calls made on the spot: the example's voice on a telephone line, with silences."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
import server_media as media

from modalities.voice.prepare import decode

RATE_HZ = 8000
TURN_S = 3.0


@functools.cache
def voice() -> np.ndarray:
    """TURN_S seconds of speech at 8 kHz."""
    return decode(media.recording(), max_duration_s=60).samples[::2][: int(TURN_S * RATE_HZ)]


def talk(channels: int, starts_s: Sequence[tuple[int, float]], seconds: float) -> np.ndarray:
    """(channels, n) with the voice from each (channel, second) on, over a little noise."""
    samples = np.random.default_rng(5).normal(0, 1e-3, (channels, int(seconds * RATE_HZ)))
    for channel, start_s in starts_s:
        first = int(start_s * RATE_HZ)
        part = samples[channel, first:][: len(voice())]
        part += voice()[: len(part)]
    return samples.clip(-1, 1)


def stereo() -> np.ndarray:
    """Channel 0 at 1 s, channel 1 at 5 s, channel 0 at 9 s, of 13 s."""
    return talk(2, [(0, 1.0), (1, 5.0), (0, 9.0)], 13.0)


def write(path: Path, samples: np.ndarray, codec: str = "pcm_mulaw") -> Path:
    """A file of (channels, n) samples at 8 kHz; its suffix decides on the container."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
    pcm = np.ascontiguousarray((samples.T * 32767).astype("<i2").reshape(1, -1))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE_HZ, layout=layout)
        resampler = av.AudioResampler(stream.codec_context.format, layout, RATE_HZ)
        frame = av.AudioFrame.from_ndarray(pcm, "s16", layout)
        frame.sample_rate = RATE_HZ
        fifo = av.AudioFifo()
        for part in resampler.resample(frame):
            fifo.write(part)
        size = stream.codec_context.frame_size or RATE_HZ
        while (block := fifo.read(size, partial=True)) is not None:
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    return path


def picture(path: Path) -> Path:
    """A film without sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def without_channels(path: Path) -> Path:
    """A WAV whose header states no channel."""
    content = bytearray(write(path, stereo()).read_bytes())
    at = content.index(b"fmt ") + 10
    content[at : at + 2] = bytes(2)
    path.write_bytes(content)
    return path


def spoilt(path: Path, share: tuple[float, float] = (0.4, 0.5)) -> Path:
    """Overwrite a stretch of the file with noise."""
    content = bytearray(path.read_bytes())
    first, last = (int(part * len(content)) for part in share)
    content[first:last] = np.random.default_rng(1).bytes(last - first)
    path.write_bytes(content)
    return path


def assert_same(one: object, other: object) -> None:
    """Equal, floats but for what an answer owes to the rest of its batch."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-5, nan_ok=True)
    else:
        assert one == other
