"""A recording block by block: all channels, in constant memory, whatever it is damaged with."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from test_voice_prepare import FORMATS, RECORDING, encode

from modalities.errors import InputError
from modalities.voice.prepare import decode
from modalities.voice.stream import SAMPLE_RATE_HZ, AudioFile


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return decode(RECORDING, max_duration_s=60).samples


def channels_wav(samples: np.ndarray, rate: int = SAMPLE_RATE_HZ) -> bytes:
    """(channels, n) int16 as a WAV file, header by hand: wave of any number of channels."""
    data = np.ascontiguousarray(samples.T).astype("<i2").tobytes()
    n = len(samples)
    header = b"".join(
        (
            b"RIFF" + (36 + len(data)).to_bytes(4, "little") + b"WAVEfmt ",
            (16).to_bytes(4, "little") + (1).to_bytes(2, "little") + n.to_bytes(2, "little"),
            rate.to_bytes(4, "little") + (rate * n * 2).to_bytes(4, "little"),
            (n * 2).to_bytes(2, "little") + (16).to_bytes(2, "little"),
            b"data" + len(data).to_bytes(4, "little"),
        )
    )
    return header + data


@pytest.mark.parametrize(("container", "codec", "rate", "channels"), FORMATS)
def test_the_blocks_together_are_the_recording(
    speech: np.ndarray, tmp_path: Path, container: str, codec: str, rate: int, channels: int
) -> None:
    content = encode(speech, container, codec, rate, channels)
    path = tmp_path / "call"
    path.write_bytes(content)
    with AudioFile(path) as on_disk, AudioFile(content) as in_memory:
        blocks = list(on_disk.blocks())
        np.testing.assert_array_equal(
            np.concatenate(blocks, axis=1), np.concatenate(list(in_memory.blocks()), axis=1)
        )
        assert (on_disk.channels, on_disk.codec) == (channels, in_memory.codec)
        assert on_disk.duration_s == pytest.approx(len(speech) / SAMPLE_RATE_HZ, abs=0.15)
        assert not on_disk.truncated
    assert all(len(block) == channels and block.dtype == np.float32 for block in blocks)
    assert all(1.0 <= block.shape[1] / SAMPLE_RATE_HZ < 1.5 for block in blocks[:-1])
    mono = decode(content, max_duration_s=60).samples
    mixed = np.concatenate(blocks, axis=1).mean(0, dtype=np.float32)
    np.testing.assert_allclose(mixed / max(1.0, np.abs(mixed).max()), mono, atol=1e-6)


def test_six_channels_stay_apart() -> None:
    levels = np.arange(6)[:, np.newaxis] * 1000 + np.zeros((6, 20_000))
    with AudioFile(channels_wav(levels)) as file:
        (samples,) = [np.concatenate(list(file.blocks()), axis=1)]
    np.testing.assert_allclose(samples, levels / 32768, atol=1e-4)


@pytest.mark.parametrize("n", [0, 9])
def test_no_channel_and_too_many_are_refused(n: int) -> None:
    content = channels_wav(np.zeros((max(n, 1), 1000)))
    content = content[:22] + n.to_bytes(2, "little") + content[24:]
    with pytest.raises(InputError), AudioFile(content) as file:
        list(file.blocks())


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    def peak_bytes(minutes: int) -> int:
        path = tmp_path / f"{minutes}.wav"
        start = encode(np.zeros(1600, np.float32), "wav", "pcm_mulaw", 8_000, 2)
        size = 2 * 8_000 * 60 * minutes
        start = start[: start.index(b"data") + 4] + size.to_bytes(4, "little")
        with path.open("wb") as file:
            file.write(start[:4] + (len(start) + size - 8).to_bytes(4, "little") + start[8:])
            file.truncate(len(start) + size)  # μ-law 0: a loud constant, and a sparse file
        tracemalloc.start()
        with AudioFile(path) as file:
            seconds = sum(block.shape[1] for block in file.blocks()) / SAMPLE_RATE_HZ
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert seconds == pytest.approx(60 * minutes, abs=0.1)
        return peak

    assert peak_bytes(4) < 1.15 * peak_bytes(1)


def test_a_damaged_middle_is_silent_and_counted(speech: np.ndarray) -> None:
    content = bytearray(encode(speech, "ogg", "libopus", 48_000, 2))
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    with AudioFile(bytes(content)) as file:
        n = sum(block.shape[1] for block in file.blocks())
        assert file.truncated or file.corrupt_packets
    assert n / len(speech) == pytest.approx(1.0, abs=0.02)  # what comes after keeps its time


def test_a_file_that_is_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        AudioFile(tmp_path / "gone.wav")
