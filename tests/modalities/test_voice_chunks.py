"""Live encodings in chunks of any size: the same samples as from a file."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from test_voice_prepare import RECORDING, encode

from modalities.errors import InputError
from modalities.voice.chunks import ChunkDecoder, chunk_decoder
from modalities.voice.prepare import decode
from modalities.voice.stream import AudioFile

PCM = [("LINEAR16", "pcm_s16le"), ("MULAW", "pcm_mulaw"), ("ALAW", "pcm_alaw")]


@pytest.fixture(scope="module")
def stereo() -> np.ndarray:
    """(2, n): speech, and the same later and more quietly."""
    speech = decode(RECORDING, max_duration_s=60).samples[:24_000]
    return np.stack([speech, 0.5 * np.roll(speech, 4_000)])


def file_of(stereo: np.ndarray, container: str, codec: str, rate: int) -> bytes:
    """`encode` makes all channels alike; here they differ."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as target:
        stream = target.add_stream(codec, rate=rate, layout="stereo")
        resampler = av.AudioResampler(stream.codec_context.format, "stereo", rate)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(stereo), "fltp", "stereo")
        frame.sample_rate = 16_000
        fifo = av.AudioFifo()
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            part.pts = None
            fifo.write(part)
        size = stream.codec_context.frame_size or 1024
        for part in fifo.read_many(size, partial=True):
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    return file.getvalue()


def fed(decoder: ChunkDecoder, content: bytes, size: int) -> np.ndarray:
    parts = [decoder.feed(content[at : at + size]) for at in range(0, len(content), size)]
    return np.concatenate([*parts, decoder.finish()], axis=1)


def read(content: bytes) -> np.ndarray:
    with AudioFile(content) as file:
        return np.concatenate(list(file.blocks()), axis=1)


@pytest.mark.parametrize("rate", [8_000, 16_000])
@pytest.mark.parametrize(("encoding", "codec"), PCM)
def test_pcm_in_chunks_of_any_size_is_the_file(
    stereo: np.ndarray, encoding: str, codec: str, rate: int
) -> None:
    content = file_of(stereo, "wav", codec, rate)
    raw = content[content.index(b"data") + 8 :]
    expected = read(content)
    assert np.abs(expected[0] - expected[1]).max() > 0.1
    for size in (321, 4_001, len(raw)):
        decoder = chunk_decoder(encoding, rate, 2)
        np.testing.assert_array_equal(fed(decoder, raw, size), expected)
        assert decoder.bytes_left == 0


def test_a_sample_split_over_two_chunks_is_one(stereo: np.ndarray) -> None:
    decoder = chunk_decoder("LINEAR16", 16_000, 2)
    parts = [decoder.feed(bytes([one])) for one in (0, 1, 0, 2, 0)]
    assert [part.shape[1] for part in parts] == [0, 0, 0, 1, 0]
    np.testing.assert_allclose(parts[3][:, 0], [256 / 32768, 512 / 32768])
    assert decoder.bytes_left == 1


def test_ogg_opus_in_chunks_of_any_size_is_the_file(stereo: np.ndarray) -> None:
    content = file_of(stereo, "ogg", "libopus", 48_000)
    expected = read(content)
    for size in (37, 1_000, len(content)):
        decoder = chunk_decoder("OGG_OPUS", 0, 2)
        samples = fed(decoder, content, size)
        n = expected.shape[1]
        assert 0 <= samples.shape[1] - n < 0.03 * 16_000  # the file says where its last one ends
        np.testing.assert_allclose(samples[:, : n - 200], expected[:, : n - 200], atol=1e-5)
        assert (decoder.bytes_left, decoder.corrupt_packets) == (0, 0)


def test_opus_packets_are_the_same_sound(stereo: np.ndarray) -> None:
    content = file_of(stereo, "ogg", "libopus", 48_000)
    with av.open(io.BytesIO(content)) as container:
        packets = [bytes(one) for one in container.demux(audio=0) if one.size]
    decoder = chunk_decoder("OPUS", 48_000, 2)
    samples = np.concatenate([*(decoder.feed(one) for one in packets), decoder.finish()], axis=1)
    expected = read(content)
    early = samples.shape[1] - expected.shape[1]  # without a header nothing is skipped
    assert 0 < early < 0.04 * 16_000
    match = max(
        np.corrcoef(samples[0, shift : shift + 20_000], expected[0, :20_000])[0, 1]
        for shift in range(80, 130)
    )
    assert match > 0.99


def test_a_broken_opus_packet_is_silence_as_long_as_the_last(stereo: np.ndarray) -> None:
    content = file_of(stereo, "ogg", "libopus", 48_000)
    with av.open(io.BytesIO(content)) as container:
        packets = [bytes(one) for one in container.demux(audio=0) if one.size]
    whole, broken = chunk_decoder("OPUS", 0, 2), chunk_decoder("OPUS", 0, 2)
    n_whole = sum(whole.feed(one).shape[1] for one in packets)
    # Code 3 with no frame at all: no packet of Opus (RFC 6716, 3.2.5).
    packets[20:22] = [b"\xff\x00", b"\xff\x00"]
    n_broken = sum(broken.feed(one).shape[1] for one in packets)
    assert (broken.corrupt_packets, n_broken) == (2, n_whole)


def test_what_is_no_ogg_file_is_refused() -> None:
    with pytest.raises(InputError, match="not an Ogg file"):
        chunk_decoder("OGG_OPUS", 0, 1).feed(b"RIFF" + bytes(100))


def test_other_channels_than_announced_are_refused(stereo: np.ndarray) -> None:
    content = encode(stereo[0], "ogg", "libopus", 48_000, 1)
    with pytest.raises(InputError, match="1 channels, 2 were announced"):
        chunk_decoder("OGG_OPUS", 0, 2).feed(content)


def test_an_ogg_packet_without_an_end_does_not_fill_the_memory() -> None:
    page = b"OggS" + bytes([0, 1]) + bytes(20) + bytes([255]) + bytes([255]) * 255
    page += bytes(255 * 255)
    decoder = chunk_decoder("OGG_OPUS", 0, 1)
    with pytest.raises(InputError, match="too long"):
        for _ in range(1000):
            decoder.feed(page)


@pytest.mark.parametrize(
    ("encoding", "rate", "field"),
    [
        ("ENCODING_UNSPECIFIED", 8_000, "encoding"),
        ("MULAW", 44_100, "sample_rate_hz"),
        ("LINEAR16", 0, "sample_rate_hz"),
        ("OPUS", 44_100, "sample_rate_hz"),
    ],
)
def test_what_cannot_be_decoded_names_its_field(encoding: str, rate: int, field: str) -> None:
    with pytest.raises(InputError) as raised:
        chunk_decoder(encoding, rate, 1)
    assert raised.value.field == field
