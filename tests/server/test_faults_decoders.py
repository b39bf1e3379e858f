"""Decoders in processes of their own: one that hangs or crashes fails its content and no other."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import server_media as media

from modalities.errors import InputError, LimitError, UnavailableError
from modalities.image.decode import ImageLimits
from modalities.image.decode import decode as decode_image
from modalities.voice.prepare import decode as decode_audio
from modalities.voice.stream import AudioFile
from server.workers.pool import DecoderPool, RecordingFile

LIMIT_S = 30.0


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    decoders = DecoderPool()
    yield decoders
    decoders.close()


@pytest.fixture(autouse=True)
def then_decodes_on(pool: DecoderPool) -> Iterator[None]:
    """Whatever became of a decoder, the next content is decoded."""
    yield
    assert (
        pool.decode_audio(media.silence(0.5), max_duration_s=1, limit_s=LIMIT_S).duration_s == 0.5
    )


def test_a_recording_is_that_of_this_process(pool: DecoderPool) -> None:
    here = decode_audio(media.recording(), max_duration_s=60)
    there = pool.decode_audio(media.recording(), max_duration_s=60, limit_s=LIMIT_S)
    np.testing.assert_array_equal(there.samples, here.samples)
    assert {**vars(there), "samples": None} == {**vars(here), "samples": None}


def test_a_picture_is_that_of_this_process(pool: DecoderPool) -> None:
    limits = ImageLimits()
    here = decode_image(media.animated_gif(), limits)
    there = pool.decode_image(media.animated_gif(), limits, LIMIT_S)
    np.testing.assert_array_equal(there.pixels, here.pixels)
    assert there.notes == here.notes != ()


def test_a_file_comes_block_by_block(pool: DecoderPool, tmp_path: Path) -> None:
    path = tmp_path / "call.ogg"
    path.write_bytes(media.recording())
    with AudioFile(path) as here, RecordingFile(pool, path, LIMIT_S) as there:
        for block, other in zip(here.blocks(), there.blocks(), strict=True):
            np.testing.assert_array_equal(other, block)
        for name in ("channels", "codec"):
            assert getattr(there, name) == getattr(here, name)


def test_errors_are_those_of_this_process(pool: DecoderPool, tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="longer than 1 seconds"):
        pool.decode_audio(media.silence(2), max_duration_s=1, limit_s=LIMIT_S)
    with pytest.raises(InputError, match="no known format"):
        pool.decode_audio(b"no sound", max_duration_s=1, limit_s=LIMIT_S)
    with pytest.raises(LimitError, match="pixels"):
        pool.decode_image(media.bomb(), ImageLimits(), LIMIT_S)
    with pytest.raises(FileNotFoundError):
        RecordingFile(pool, tmp_path / "nothing.wav", LIMIT_S)


def test_one_that_takes_too_long_is_ended(pool: DecoderPool) -> None:
    with pytest.raises(InputError, match=r"within 0\.01 seconds"):
        pool.decode_audio(media.long_silence(600), max_duration_s=1e6, limit_s=0.01)


def test_one_that_hangs_is_ended(pool: DecoderPool, tmp_path: Path) -> None:
    """Opening a pipe into which nobody writes never ends."""
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(InputError, match=r"within 0\.2 seconds"):
        RecordingFile(pool, tmp_path / "pipe.wav", 0.2)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGSEGV, InputError), (signal.SIGKILL, UnavailableError)]
)
def test_one_that_dies_fails_its_content(
    pool: DecoderPool, tmp_path: Path, number: int, error: type[Exception]
) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(media.silence(60))
    file = RecordingFile(pool, path, LIMIT_S)
    blocks = file.blocks()
    assert next(blocks).shape[0] == 1
    os.kill(file._worker.process.pid, number)
    with pytest.raises(error):
        for _ in blocks:  # what it had sent before still comes
            pass


def test_one_that_dies_while_it_is_idle_fails_nothing(pool: DecoderPool) -> None:
    pool.start(1)
    for worker in pool._idle:
        worker.process.kill()
        worker.process.wait()


def test_a_recording_that_is_given_up_waits_for_nothing(pool: DecoderPool, tmp_path: Path) -> None:
    """A thread that waits for the next block is let go, too."""
    path = tmp_path / "call.wav"
    path.write_bytes(media.silence(60))
    file = RecordingFile(pool, path, LIMIT_S)
    os.kill(file._worker.process.pid, signal.SIGSTOP)
    blocks, raised = file.blocks(), []

    def read() -> None:
        try:
            for _ in blocks:
                pass
        except UnavailableError as error:
            raised.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    file.close()
    thread.join(10)
    assert not thread.is_alive()
    assert len(raised) <= 1  # none where it had not yet begun to read
