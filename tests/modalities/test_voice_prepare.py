"""Decoding, limits and speech segments, on files that the test encodes itself."""

from __future__ import annotations

import io
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from modalities.errors import InputError, LimitError
from modalities.voice import stream, vad
from modalities.voice.prepare import decode, prepare, segment
from modalities.voice.stream import SAMPLE_RATE_HZ

RECORDING = (Path(__file__).parents[2] / "examples" / "recording.ogg").read_bytes()

# (container, codec, sample rate, channels): what telephones, browsers and editors send.
FORMATS = [
    ("wav", "pcm_s16le", 16_000, 1),
    ("wav", "pcm_s16le", 44_100, 2),
    ("wav", "pcm_f32le", 48_000, 1),
    ("wav", "pcm_mulaw", 8_000, 1),
    ("wav", "pcm_alaw", 8_000, 2),
    ("flac", "flac", 44_100, 2),
    ("mp3", "libmp3lame", 44_100, 2),
    ("mp3", "libmp3lame", 8_000, 1),
    ("ogg", "libopus", 48_000, 1),
    ("ipod", "aac", 44_100, 2),  # m4a
    ("webm", "libopus", 48_000, 2),
    ("amr", "libopencore_amrnb", 8_000, 1),
]


def encode(wave: np.ndarray, container: str, codec: str, rate: int, channels: int) -> bytes:
    """(n,) samples at 16 kHz as a file; every channel the same."""
    layout = "stereo" if channels == 2 else "mono"
    file = io.BytesIO()
    options = {"b": "12200"} if container == "amr" else {}
    with av.open(file, "w", format=container) as target:
        stream = target.add_stream(codec, rate=rate, layout=layout, options=options)
        resampler = av.AudioResampler(stream.codec_context.format, layout, rate, frame_size=None)
        frame = av.AudioFrame.from_ndarray(
            np.repeat(wave[np.newaxis], channels, 0).astype(np.float32), "fltp", layout
        )
        frame.sample_rate = SAMPLE_RATE_HZ
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    return file.getvalue()


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return decode(RECORDING, max_duration_s=60).samples


def wav(samples: np.ndarray) -> bytes:
    return encode(samples, "wav", "pcm_s16le", SAMPLE_RATE_HZ, 1)


@pytest.mark.parametrize(("container", "codec", "rate", "channels"), FORMATS)
def test_every_format_gives_the_same_speech(
    speech: np.ndarray, container: str, codec: str, rate: int, channels: int
) -> None:
    wave = decode(encode(speech, container, codec, rate, channels), max_duration_s=60)
    assert wave.channels == channels
    assert not wave.truncated and wave.corrupt_packets == 0
    assert wave.samples.dtype == np.float32
    assert wave.duration_s == pytest.approx(len(speech) / SAMPLE_RATE_HZ, abs=0.15)
    # The same sound: its loudness in windows of a quarter second goes up and down with it. AAC
    # starts 23 ms late.
    n = min(len(wave.samples), len(speech)) // 4000 * 4000
    a, b = (np.square(x[:n]).reshape(-1, 4000).mean(1) for x in (wave.samples, speech))
    assert np.corrcoef(np.sqrt(a), np.sqrt(b))[0, 1] > 0.9
    assert segment(wave.samples)


def test_stereo_is_averaged() -> None:
    left = 0.5 * np.sin(np.arange(16_000) * 0.1).astype(np.float32)
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as target:
        stream = target.add_stream("pcm_f32le", rate=16_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.stack([left, 0 * left]), "fltp", "stereo")
        frame.sample_rate = 16_000
        for part in av.AudioResampler("flt", "stereo", 16_000).resample(frame):
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    wave = decode(file.getvalue(), max_duration_s=60)
    assert wave.channels == 2
    np.testing.assert_allclose(wave.samples, left / 2, atol=1e-4)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Dear support, my parcel has not come and nobody answers the telephone.\n" * 50,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
        RECORDING[:200],
        bytes(np.random.default_rng(0).integers(0, 256, 20_000, dtype=np.uint8)),
        wav(np.zeros(160, np.float32)).split(b"data")[0] + b"data" + bytes(4),
    ],
    ids=["empty", "text", "playlist", "concat", "sdp", "header", "random", "no samples"],
)
def test_what_is_not_audio_is_refused_with_a_reason(content: bytes) -> None:
    with pytest.raises(InputError) as raised:
        prepare(content, max_duration_s=60)
    assert not isinstance(raised.value, LimitError)
    assert "audio" in raised.value.reason


def test_a_video_without_sound_is_refused() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as target:
        stream = target.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    with pytest.raises(InputError, match="no audio stream"):
        prepare(file.getvalue(), max_duration_s=60)


def test_over_the_limit_stops_decoding(speech: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    start = encode(np.zeros(16_000, np.float32), "wav", "pcm_mulaw", 8_000, 1)
    three_hours = start + bytes(8_000 * 3 * 3600)
    at = start.index(b"data") + 4
    three_hours = three_hours[:at] + b"\xff" * 4 + three_hours[at + 4 :]  # as a stream writes it
    decoded: list[int] = []
    feed = stream.Resampler.feed

    def counted(*args: Any) -> np.ndarray:
        part = feed(*args)
        decoded.append(part.shape[1])
        return part

    monkeypatch.setattr(stream.Resampler, "feed", counted)
    with pytest.raises(LimitError, match="longer than 10 seconds"):
        decode(three_hours, max_duration_s=10)
    assert 9 * SAMPLE_RATE_HZ < sum(decoded) < 11 * SAMPLE_RATE_HZ
    assert decode(wav(speech), max_duration_s=len(speech) / SAMPLE_RATE_HZ).samples.size


def test_a_crafted_sample_rate_does_not_blow_up() -> None:
    file = bytearray(wav(np.zeros(16_000, np.float32)))
    at = file.index(b"fmt ") + 12
    file[at : at + 8] = struct.pack("<II", 1, 2)  # one sample a second: hours from 32 kB
    with pytest.raises(InputError):
        decode(bytes(file), max_duration_s=600)


def test_truncated_audio_is_read_as_far_as_it_goes(speech: np.ndarray) -> None:
    for container, codec in (("wav", "pcm_s16le"), ("flac", "flac"), ("mp3", "libmp3lame")):
        whole = encode(speech, container, codec, 16_000, 1)
        wave = decode(whole[: len(whole) // 2], max_duration_s=60)
        assert 2.0 < wave.duration_s < 0.75 * len(speech) / SAMPLE_RATE_HZ
        assert wave.truncated or wave.corrupt_packets, container


def test_corrupt_packets_are_skipped_and_counted(speech: np.ndarray) -> None:
    file = bytearray(encode(speech, "ipod", "aac", 44_100, 2))
    middle = len(file) // 2
    file[middle : middle + 4000] = bytes(np.random.default_rng(1).integers(0, 255, 4000, np.uint8))
    wave = decode(bytes(file), max_duration_s=60)
    assert wave.corrupt_packets
    assert wave.duration_s > 0.6 * len(speech) / SAMPLE_RATE_HZ


@pytest.mark.parametrize(("container", "codec", "rate", "channels"), FORMATS)
def test_damage_anywhere_is_read_or_refused(
    speech: np.ndarray, container: str, codec: str, rate: int, channels: int
) -> None:
    file = encode(speech[:16_000], container, codec, rate, channels)
    random = np.random.default_rng(0)
    for _ in range(20):
        damaged = np.frombuffer(file, np.uint8).copy()
        where = random.integers(0, len(file) if random.random() < 0.5 else 200, 10)
        damaged[where] = random.integers(0, 256, 10)
        try:
            wave = decode(damaged.tobytes(), max_duration_s=60)
        except InputError:
            continue
        assert np.isfinite(wave.samples).all() and len(wave.samples)
        assert wave.duration_s <= 61


def test_samples_that_are_not_finite_become_silence() -> None:
    samples = 0.1 * np.ones(16_000, np.float32)
    samples[100:200] = np.nan
    samples[300:400] = np.inf
    samples[500:600] = 1e30
    wave = decode(encode(samples, "wav", "pcm_f32le", 16_000, 1), max_duration_s=60)
    assert np.isfinite(wave.samples).all()
    assert np.abs(wave.samples).max() <= 1.0


@pytest.mark.parametrize("kind", ["silence", "white noise", "hum", "click"])
def test_without_speech_there_are_no_segments(kind: str) -> None:
    n = 5 * SAMPLE_RATE_HZ
    noise = np.random.default_rng(0).standard_normal(n)
    samples = {
        "silence": np.zeros(n),
        "white noise": 0.1 * noise,
        "hum": 0.3 * np.sin(2 * np.pi * 50 * np.arange(n) / SAMPLE_RATE_HZ),
        "click": np.eye(1, n, 4000)[0],
    }[kind].astype(np.float32)
    prepared = prepare(wav(samples), max_duration_s=60)
    assert prepared.segments == ()
    assert prepared.duration_s == pytest.approx(5.0)


def test_segments_bound_the_speech(speech: np.ndarray) -> None:
    pause = np.zeros(2 * SAMPLE_RATE_HZ, np.float32)
    samples = np.concatenate([pause, speech, pause, speech, pause])
    prepared = prepare(wav(samples), max_duration_s=60, language="en", words=True)
    said_s = len(speech) / SAMPLE_RATE_HZ
    first, last = prepared.segments[0], prepared.segments[-1]
    assert first.start_s == pytest.approx(2.0, abs=0.3)
    assert last.end_s == pytest.approx(6.0 - 2.0 + 2 * said_s, abs=0.5)
    for found in prepared.segments:
        assert 0.3 <= found.duration_s <= 15.0
        assert found.duration_s == pytest.approx(found.end_s - found.start_s)
        assert (found.language, found.words) == ("en", True)


def test_long_speech_is_split(speech: np.ndarray) -> None:
    segments = segment(np.tile(speech, 5))
    assert max(found.duration_s for found in segments) <= 15.0
    assert sum(found.duration_s for found in segments) > 0.85 * 5 * len(speech) / SAMPLE_RATE_HZ


def test_snr_follows_the_noise(speech: np.ndarray) -> None:
    noise = np.random.default_rng(0).standard_normal(len(speech) + 32_000).astype(np.float32)
    samples = np.concatenate([np.zeros(32_000, np.float32), speech])
    for snr_db in (5, 15, 25):
        level = np.sqrt(np.square(speech).mean() / 10 ** (snr_db / 10))
        found = segment(samples + level * noise)
        assert np.mean([s.snr_db for s in found]) == pytest.approx(snr_db, abs=3)


def test_threads_may_share_the_vad(speech: np.ndarray) -> None:
    alone = [(s.start_s, s.end_s) for s in segment(speech)]
    found: list[list[tuple[float, float]]] = []
    threads = [
        threading.Thread(
            target=lambda: found.append([(s.start_s, s.end_s) for s in segment(speech)])
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [alone] * 4


def test_the_vad_leaves_torch_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("silero_vad")]:
        monkeypatch.delitem(sys.modules, name)  # so that it is imported anew
    vad._session.cache_clear()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    segment(np.zeros(16_000, np.float32))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)
