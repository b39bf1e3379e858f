"""Speech found block by block: silero's own stretches, the same however the blocks are cut."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
import silero_vad
from test_voice_prepare import RECORDING

from bench.calls import sounds
from modalities.voice.level import WithoutOffset
from modalities.voice.listen import EDGE, Heard, Listener, SpeechEnded, SpeechStarted
from modalities.voice.prepare import decode
from modalities.voice.stream import SAMPLE_RATE_HZ
from modalities.voice.vad import FRAME, Gain, stretches

SECOND = SAMPLE_RATE_HZ


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return decode(RECORDING, max_duration_s=60).samples


@pytest.fixture(scope="module")
def talk(speech: np.ndarray) -> np.ndarray:
    """Speech after 2 s, twice on end (too long for one stretch), and again after 3 s; faint noise.

    It ends in silence, as a call does.
    """
    pause = np.zeros(3 * SECOND, np.float32)
    whole = np.concatenate([pause[: 2 * SECOND], speech, speech, pause, speech, pause])
    noise = np.random.default_rng(0).standard_normal(len(whole)).astype(np.float32)
    return whole + 1e-3 * noise


def heard(samples: np.ndarray, block: int) -> list[SpeechStarted | SpeechEnded | Heard]:
    listener = Listener()
    found = [
        sound
        for start in range(0, len(samples), block)
        for sound in listener.feed(samples[start : start + block])
    ]
    return [*found, *listener.finish()]


def test_stretches_are_silero_s_own(talk: np.ndarray) -> None:
    model = silero_vad.load_silero_vad(sequence=True)
    whole = len(talk) // FRAME * FRAME
    expected = silero_vad.get_speech_timestamps_from_probs(
        model.audio_forward(Gain()(talk[:whole].reshape(-1, FRAME)).reshape(-1)),
        audio_length_samples=whole,
        min_speech_duration_ms=200,
        min_silence_duration_ms=700,
        speech_pad_ms=100,
        max_speech_duration_s=14.5,
    )
    found = stretches(talk[:whole], 0.7)
    assert found == [(span["start"], span["end"]) for span in expected]
    assert len(found) >= 3 and max(end - start for start, end in found) <= 15 * SECOND


def test_blocks_of_any_size_give_the_same(talk: np.ndarray) -> None:
    whole = heard(talk, len(talk))
    assert sum(isinstance(sound, Heard) for sound in whole) >= 3
    for block in (320, 5_001, SECOND):
        found = heard(talk, block)
        assert list(map(type, found)) == list(map(type, whole))
        for one, other in zip(found, whole, strict=True):
            if isinstance(one, Heard) and isinstance(other, Heard):
                np.testing.assert_array_equal(one.segment.samples, other.segment.samples)
                one, other = (
                    (s.segment.start_s, s.segment.end_s, s.segment.snr_db, s.known_s)
                    for s in (one, other)
                )
            assert one == other


def test_speech_starts_and_ends_in_turn(talk: np.ndarray, speech: np.ndarray) -> None:
    sounds_heard = heard(talk, SECOND)
    talk = WithoutOffset()(talk)
    marks = [sound for sound in sounds_heard if not isinstance(sound, Heard)]
    assert [type(mark) for mark in marks] == [SpeechStarted, SpeechEnded] * (len(marks) // 2)
    said_s = len(speech) / SECOND
    first, last = marks[0], marks[-1]
    assert isinstance(first, SpeechStarted) and first.start_s == pytest.approx(2.0, abs=0.25)
    assert isinstance(last, SpeechEnded)
    assert last.end_s == pytest.approx(2 + 3 * said_s + 3, abs=0.4)
    for sound in sounds_heard:
        if isinstance(sound, Heard):
            segment = sound.segment
            start = round(segment.start_s * SECOND) - EDGE  # a little more is kept than told
            end = round(segment.end_s * SECOND) + EDGE
            np.testing.assert_array_equal(segment.samples, talk[start:end])
            power = np.square(segment.samples, dtype=np.float64).mean()
            assert segment.loudness_dbfs == pytest.approx(10 * np.log10(power))


def test_the_snr_is_known_without_the_rest_of_the_call(talk: np.ndarray) -> None:
    end = next(s for s in heard(talk, SECOND) if isinstance(s, SpeechEnded))
    cut = talk[: round(end.known_s * SECOND)]
    early = [s.segment.snr_db for s in heard(cut, SECOND) if isinstance(s, Heard)]
    late = [s.segment.snr_db for s in heard(talk, SECOND) if isinstance(s, Heard)]
    assert early == late[: len(early)]


def test_the_snr_is_that_of_a_noisy_line(talk: np.ndarray) -> None:
    noise = np.random.default_rng(1).standard_normal(len(talk)).astype(np.float32)
    first = next(s for s in heard(talk + 0.03 * noise, SECOND) if isinstance(s, Heard))
    level = 10 * np.log10(np.square(talk[2 * SECOND : 10 * SECOND]).mean())
    assert first.segment.snr_db == pytest.approx(level - 20 * np.log10(0.03), abs=2)


def test_noise_that_comes_with_the_speech_counts(speech: np.ndarray) -> None:
    """Lines are muted between the turns: the silence before one tells little of its noise."""
    noise = np.random.default_rng(0).standard_normal(len(speech)).astype(np.float32)
    noisy = speech + 10 ** (-10 / 20) * speech.std() * noise  # an SNR of 10 dB
    silence = np.zeros(2 * SECOND, np.float32)
    (found,) = (
        s for s in heard(np.concatenate([silence, noisy, silence]), SECOND) if isinstance(s, Heard)
    )
    assert found.segment.snr_db == pytest.approx(10, abs=3)


def test_the_current_stretch_grows_until_it_ends(talk: np.ndarray) -> None:
    listener = Listener()
    lengths = []
    for start in range(0, 8 * SECOND, SECOND):
        list(listener.feed(talk[start : start + SECOND]))
        current = listener.current()
        lengths.append(current.segment.duration_s if current else 0.0)
    assert lengths[0] == lengths[1] == 0.0
    assert lengths[3:] == sorted(lengths[3:]) and lengths[-1] == pytest.approx(6.0, abs=0.4)


def test_memory_stays_bounded(talk: np.ndarray) -> None:
    listener = Listener()
    list(listener.feed(talk[:SECOND]))
    tracemalloc.start()
    for _ in range(3):
        list(listener.feed(talk))
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 17 * SECOND * 4


def tones(*frequencies_hz: float) -> Callable[[], np.ndarray]:
    return lambda: sounds.tone(frequencies_hz, 6.0)


def music() -> np.ndarray:
    import random

    return sounds.hold_music(8.0, random.Random(1))


NO_SPEECH: dict[str, Callable[[], np.ndarray]] = {
    "silence": lambda: np.zeros(6 * SECOND, np.float32),
    "dial tone": tones(350, 440),
    "ring-back": lambda: sounds.ring_back(2),
    "keys": lambda: np.tile(sounds.keys("0123456789*#"), 2),
    "fax": tones(2100),
    "hold music": music,
    "white noise": lambda: np.random.default_rng(0).standard_normal(6 * SECOND) / 4,
    "hum": tones(50, 100, 150, 200),
}


@pytest.mark.parametrize("name", NO_SPEECH)
@pytest.mark.parametrize("level_db", [-6, -30])
def test_what_is_no_speech_is_not_heard(name: str, level_db: float) -> None:
    samples = NO_SPEECH[name]().astype(np.float32) * np.float32(10 ** (level_db / 20))
    noise = np.random.default_rng(1).standard_normal(len(samples)).astype(np.float32)
    assert heard(samples + 1e-4 * noise, SECOND) == []
