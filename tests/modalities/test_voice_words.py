"""Words come from speech alone, each stretch in its own language; with the published checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

import weights
from bench.calls import sounds
from modalities.cache import cache_dir
from modalities.voice.infer import VoiceReader
from modalities.voice.prepare import Segment, decode, segment
from modalities.voice.stream import SAMPLE_RATE_HZ
from modalities.voice.transcribe import Transcript


@pytest.fixture(scope="module")
def reader(whisper_base: Path) -> VoiceReader:
    return VoiceReader.load_whisper(str(whisper_base), cache_dir(), "cpu", weights.path_of("voice"))


def said(reader: VoiceReader, segments: list[Segment]) -> list[Transcript]:
    found = [result.transcript for result in reader.infer(segments)]
    assert None not in found
    return [one for one in found if one]


def breath() -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ)
    band = butter(2, [400, 3000], "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    exhaled = 0.05 * sosfilt(band, noise) * np.hanning(SAMPLE_RATE_HZ)
    return np.pad(exhaled, SAMPLE_RATE_HZ).astype(np.float32)


def test_whisper_makes_no_words_of_a_tone(reader: VoiceReader) -> None:
    samples = sounds.tone((440.0,), 3.0).astype(np.float32)
    (found,) = said(reader, [Segment(samples, 0.0, len(samples) / SAMPLE_RATE_HZ, 0.0)])
    assert not found.text and found.dropped


@pytest.mark.parametrize("gain", [1.0, 0.1, 3.0])
def test_a_lone_breath_is_no_speech(gain: float) -> None:
    assert segment(np.float32(gain) * breath()) == ()  # Whisper would make "you" of it


def test_hold_music_and_tones_have_no_words(reader: VoiceReader, data: Path) -> None:
    for path in sorted((data / "telephone").glob("[mt]o[hn]*.opus")):
        samples = decode(path.read_bytes(), max_duration_s=120).samples
        if segments := list(segment(samples)):
            assert not any(found.text for found in said(reader, segments)), path.name


def test_each_stretch_has_its_own_language(reader: VoiceReader, data: Path) -> None:
    spoken = [
        decode((data / "asr" / name).read_bytes(), max_duration_s=60).samples
        for name in ("jfk.wav", "aishell-BAC009S0724W0121.wav")
    ]
    segments = segment(np.concatenate([np.pad(one, SAMPLE_RATE_HZ) for one in spoken]))
    found = said(reader, list(segments))
    assert all(one.text for one in found)
    assert (found[0].language, found[-1].language) == ("en", "zh")
