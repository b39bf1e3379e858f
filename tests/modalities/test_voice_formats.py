"""What a recording's container says: its tracks, its clock, its length, and what it is."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from test_voice_prepare import FORMATS, RECORDING, encode
from test_voice_stream import channels_wav

from modalities.errors import InputError
from modalities.voice.prepare import Waveform, decode, segment
from modalities.voice.stream import SAMPLE_RATE_HZ, AudioFile

LENGTH_S = 4.0
MORE_FORMATS = [
    ("aiff", "pcm_s16be", 44_100, 2),
    ("caf", "pcm_s16be", 16_000, 1),
    ("w64", "pcm_s16le", 16_000, 1),
    ("au", "pcm_mulaw", 8_000, 1),
    ("adts", "aac", 16_000, 1),
    ("matroska", "libopus", 48_000, 1),
]


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return decode(RECORDING, max_duration_s=60).samples[: int(LENGTH_S * SAMPLE_RATE_HZ)]


def read(content: bytes) -> Waveform:
    return decode(content, max_duration_s=120)


def tracks(waves: list[np.ndarray], container: str, codec: str, late_s: float = 0.0) -> bytes:
    """Waves (n,) at 16 kHz as the tracks of one file; the last second comes `late_s` late."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as target:
        streams = [target.add_stream(codec, rate=48_000, layout="mono") for _ in waves]
        for stream, wave in zip(streams, waves, strict=True):
            resampler = av.AudioResampler(stream.codec_context.format, "mono", 48_000)
            frame = av.AudioFrame.from_ndarray(wave[np.newaxis].astype(np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, 0
            frame.time_base = Fraction(1, SAMPLE_RATE_HZ)
            parts = [*resampler.resample(frame), *resampler.resample(None), None]
            for packet in (packet for part in parts for packet in stream.encode(part)):
                if packet.pts * packet.time_base > len(wave) / SAMPLE_RATE_HZ - 1.1:
                    packet.pts += int(late_s / packet.time_base)
                    packet.dts = packet.pts
                target.mux(packet)
    return file.getvalue()


def loud(wave: Waveform, start_s: float, end_s: float) -> float:
    part = wave.samples[int(start_s * SAMPLE_RATE_HZ) : int(end_s * SAMPLE_RATE_HZ)]
    return float(np.abs(part).max(initial=0))


def test_the_track_with_sound_is_read_and_the_silent_one_named(speech: np.ndarray) -> None:
    wave = read(tracks([0 * speech, speech], "mp4", "aac"))
    assert loud(wave, 0, LENGTH_S) > 0.05
    assert wave.notes == ["of its 2 audio tracks, track 2 was read, track 1 is silent"]
    first = read(tracks([speech, speech / 2], "mp4", "aac"))
    assert first.notes == ["of its 2 audio tracks, track 1 was read"]


def test_antiphase_channels_do_not_cancel(speech: np.ndarray) -> None:
    stereo = 32767 * np.stack([speech, -speech]) + 1000
    wave = read(channels_wav(stereo))
    assert segment(wave.samples)
    assert any("antiphase" in note for note in wave.notes)
    for other in (speech, 0 * speech, np.roll(speech, 4000)):
        plain = read(channels_wav(32767 * np.stack([speech, other])))
        assert not plain.notes
        np.testing.assert_allclose(plain.samples, (speech + other) / 2, atol=1e-3)


def test_gaps_keep_their_time(speech: np.ndarray) -> None:
    wave = read(tracks([speech], "webm", "libopus", late_s=20))
    assert wave.duration_s == pytest.approx(LENGTH_S + 20, abs=0.1)
    assert loud(wave, 3.2, 22.9) < 1e-3
    assert loud(wave, 23.1, 24) > 0.02
    assert not wave.notes


def test_a_late_start_keeps_its_time(speech: np.ndarray) -> None:
    wave = read(tracks([speech[:SAMPLE_RATE_HZ]], "webm", "libopus", late_s=5))
    assert wave.duration_s == pytest.approx(6, abs=0.1)
    assert loud(wave, 0, 4.9) < 1e-3


def test_a_wrong_clock_makes_no_days_of_silence(speech: np.ndarray) -> None:
    assert read(tracks([speech], "webm", "libopus", late_s=1e6)).duration_s < LENGTH_S + 0.1


def test_a_chained_file_is_read_whole(speech: np.ndarray) -> None:
    mono, stereo = (encode(speech, "ogg", "libopus", 48_000, n) for n in (1, 2))
    for chained, channels in ((mono + stereo, 1), (stereo + mono, 2)):
        wave = read(chained)
        assert wave.channels == channels and not wave.notes
        assert wave.duration_s == pytest.approx(2 * LENGTH_S, abs=0.1)
        assert loud(wave, LENGTH_S + 0.5, 2 * LENGTH_S) > 0.05
    cut = read(mono + stereo[: len(stereo) // 2])
    assert cut.truncated and cut.duration_s > LENGTH_S


@pytest.mark.parametrize(("container", "codec", "rate", "channels"), FORMATS + MORE_FORMATS)
def test_only_what_is_cut_is_called_cut(
    speech: np.ndarray, container: str, codec: str, rate: int, channels: int
) -> None:
    whole = encode(speech, container, codec, rate, channels)
    assert not read(whole).truncated
    try:
        wave = read(whole[: len(whole) * 6 // 10])
    except InputError as error:  # its index lies at its end
        assert container == "ipod" and "MP4" in error.reason
    else:
        assert wave.truncated


def test_lengths_that_are_guessed_or_unknown_promise_nothing(speech: np.ndarray) -> None:
    quiet_then_loud = np.concatenate([np.zeros(8 * SAMPLE_RATE_HZ), speech])
    mp3 = io.BytesIO()
    with av.open(mp3, "w", format="mp3", options={"write_xing": "0"}) as target:
        stream = target.add_stream("libmp3lame", rate=16_000, layout="mono", options={"q": "9"})
        stream.codec_context.qscale = True
        frame = av.AudioFrame.from_ndarray(
            quiet_then_loud[np.newaxis].astype(np.float32), "fltp", "mono"
        )
        frame.sample_rate = SAMPLE_RATE_HZ
        resampler = av.AudioResampler(stream.codec_context.format, "mono", 16_000)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            target.mux(stream.encode(part))
    amr = encode(quiet_then_loud, "amr", "libopencore_amrnb", 8_000, 1)
    wav = encode(speech, "wav", "pcm_s16le", 16_000, 1)
    at = wav.index(b"data") + 4
    sox = b"RIFF\x24\xf0\xff\x7f" + wav[8:at] + b"\x00\xf0\xff\x7f" + wav[at + 4 :]
    flac = bytearray(encode(speech, "flac", "flac", 16_000, 1))
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)  # of unknown length, as from a pipe
    for content in (mp3.getvalue(), amr, sox, bytes(flac)):
        assert not read(content).notes


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x02#!SILK_V3" + bytes(1000), "SILK (voice message of WeChat or QQ)"),
        (b"wvpk" + bytes(1000), "WavPack"),
        (b"%PDF-1.7" + bytes(1000), "PDF"),
        (b"fLaC" + bytes(1000), "FLAC, is damaged"),
        (b"nothing at all", "no known format"),
    ],
)
def test_a_refusal_names_what_was_found(content: bytes, reason: str) -> None:
    with pytest.raises(InputError) as raised:
        read(content)
    assert reason in raised.value.reason
    if "damaged" not in reason:
        assert "read are WAV, Wave64, AIFF, CAF, AU, FLAC, MP3" in raised.value.reason


def test_a_constant_offset_is_told(speech: np.ndarray) -> None:
    with AudioFile(channels_wav(32767 * (speech / 2 + 0.02)[np.newaxis])) as file:
        list(file.blocks())
        assert file.notes == ["a constant offset of 2.0% of full scale was taken off"]


CASES = [
    ("F06_antiphase.ogg", [(0, 5.3)], 5.4, "antiphase"),
    ("F07_gap_24s.webm", [(0, 5.4), (30, 35.3)], 35.4, ""),
    ("F07_audio_starts_at_4s.mp4", [(4, 9.3)], 9.4, ""),
    ("F08_complete_32s.amr", None, 32.4, ""),
    ("F08_sox_pipe.wav", [(0, 5.3)], 5.4, ""),
    ("F08_vbr_no_xing.mp3", [(20, 25.4)], 25.5, ""),
    ("F08_chained_mono_stereo.ogg", None, 10.8, ""),
    ("F08_truncated.ogg", [(0, 2.0)], 2.0, "cut short"),
    ("F09_first_track_silent.mp4", [(0, 5.3)], 5.4, "track 2 was read, track 1 is silent"),
    ("F16_voice.wma", [(0, 5.3)], 5.4, ""),
]


@pytest.mark.parametrize(("name", "spoken", "length_s", "note"), CASES)
def test_the_cases(
    voice_cases: Path,
    name: str,
    spoken: list[tuple[float, float]] | None,
    length_s: float,
    note: str,
) -> None:
    wave = read((voice_cases / name).read_bytes())
    assert wave.duration_s == pytest.approx(length_s, abs=0.1)
    found = segment(wave.samples)
    if spoken is not None:
        assert [x for one in found for x in (one.start_s, one.end_s)] == pytest.approx(
            [x for span in spoken for x in span], abs=0.15
        )
    assert found and note in "; ".join(wave.notes) and bool(wave.notes) == bool(note)


def test_a_voice_message_of_wechat(voice_cases: Path) -> None:
    with pytest.raises(InputError, match=r"SILK.*WeChat.*read are"):
        read((voice_cases / "F16_wechat_silk_header.amr").read_bytes())
