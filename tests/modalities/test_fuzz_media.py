"""Media from outside, broken in any way: an InputError or an answer, and nothing else."""

from __future__ import annotations

import random
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.faults import seeds
from bench.faults.mutate import mutate_bytes
from modalities.errors import InputError
from modalities.image.chat import read_messages
from modalities.image.decode import ImageLimits
from modalities.image.decode import decode as decode_image
from modalities.image.ocr import OcrLine
from modalities.voice.chunks import OPUS_RATES_HZ, PCM_RATES_HZ, chunk_decoder
from modalities.voice.prepare import decode as decode_audio

QUICK = settings(max_examples=40, derandomize=True, deadline=None)
SEED = st.integers(0, 2**32)
WORDS = ("", "12:30", "好的，谢谢", "昨天", "¥ 12", "a" * 60, "\u202e\0")


@QUICK
@given(kind=st.sampled_from(sorted(seeds.CODECS)), seed=SEED)
def test_recordings(kind: str, seed: int) -> None:
    content = mutate_bytes(seeds.recording(kind), random.Random(seed))
    with suppress(InputError):
        wave = decode_audio(content, max_duration_s=10)
        assert wave.samples.dtype == np.float32
        assert np.abs(wave.samples).max() <= 1


@QUICK
@given(kind=st.sampled_from(seeds.PICTURES), seed=SEED)
def test_pictures(kind: str, seed: int) -> None:
    content = mutate_bytes(seeds.picture(kind), random.Random(seed))
    with suppress(InputError):
        pixels = decode_image(content, ImageLimits(max_pixels=1_000_000)).pixels
        assert pixels.dtype == np.uint8
        assert pixels.shape[2:] == (3,)


@QUICK
@given(content=st.binary(max_size=200))
def test_bytes_that_are_no_media(content: bytes) -> None:
    with pytest.raises(InputError):
        decode_audio(content, max_duration_s=10)
    with pytest.raises(InputError):
        decode_image(content, ImageLimits())


@QUICK
@given(
    encoding=st.sampled_from(("LINEAR16", "MULAW", "ALAW", "OGG_OPUS", "OPUS")),
    channels=st.sampled_from((1, 2)),
    rate_hz=st.sampled_from((*OPUS_RATES_HZ, *PCM_RATES_HZ)),
    chunks=st.lists(st.binary(max_size=300), max_size=6),
    seed=SEED,
)
def test_chunks_of_a_live_call(
    encoding: str, channels: int, rate_hz: int, chunks: list[bytes], seed: int
) -> None:
    draw = random.Random(seed)
    ogg = mutate_bytes(seeds.recording("ogg"), draw)
    cuts = sorted(draw.randrange(len(ogg) + 1) for _ in range(5))
    real = [ogg[start:end] for start, end in zip([0, *cuts], [*cuts, len(ogg)], strict=True)]
    with suppress(InputError):
        decoder = chunk_decoder(encoding, rate_hz, channels)
        for chunk in draw.choice((chunks, real, [*real, *chunks])):
            samples = decoder.feed(chunk)
            assert samples.shape[0] == channels
            assert np.isfinite(samples).all()
        assert decoder.finish().shape[0] == channels


@QUICK
@given(seed=SEED, width=st.integers(8, 300), height=st.integers(8, 400))
def test_layouts_of_what_an_ocr_may_find(seed: int, width: int, height: int) -> None:
    draw = np.random.default_rng(seed)

    def box() -> tuple[int, int, int, int]:
        x0, y0 = int(draw.integers(0, width - 1)), int(draw.integers(0, height - 1))
        return x0, y0, int(draw.integers(x0 + 1, width + 1)), int(draw.integers(y0 + 1, height + 1))

    pixels = np.full((height, width, 3), draw.integers(0, 256, 3), np.uint8)
    for x0, y0, x1, y1 in [box() for _ in range(draw.integers(0, 6))]:
        pixels[y0:y1, x0:x1] = draw.integers(0, 256, 3)
    lines = [
        OcrLine(str(draw.choice(WORDS)), box(), float(draw.uniform()))
        for _ in range(draw.integers(0, 8))
    ]
    for message in read_messages(pixels, lines):
        assert 0 <= message.confidence <= 1
