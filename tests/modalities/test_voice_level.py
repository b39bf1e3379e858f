"""Neither a constant offset nor the level of a recording changes what is heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from test_voice_prepare import RECORDING
from test_voice_stream import channels_wav

import weights
from modalities.voice.infer import VoiceReader
from modalities.voice.level import WithoutOffset
from modalities.voice.listen import Heard, Listener
from modalities.voice.prepare import Segment, decode, prepare, segment
from modalities.voice.states import REFERENCE_DBFS, at_reference


@pytest.fixture(scope="module")
def reader() -> VoiceReader:
    return VoiceReader.load(weights.path_of("voice"))


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return decode(RECORDING, max_duration_s=60).samples


def heard_live(samples: np.ndarray) -> list[Segment]:
    listener = Listener()
    sounds = [*listener.feed(samples), *listener.finish()]
    return [sound.segment for sound in sounds if isinstance(sound, Heard)]


def test_an_offset_is_taken_off_however_the_samples_are_cut(speech: np.ndarray) -> None:
    whole = WithoutOffset()(speech + np.float32(0.1))
    np.testing.assert_allclose(whole, WithoutOffset()(speech), atol=1e-5)
    np.testing.assert_allclose(whole.mean(), 0, atol=1e-4)
    in_blocks = WithoutOffset()
    blocks = [in_blocks(block) for block in np.array_split(speech + np.float32(0.1), 77)]
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert WithoutOffset()(speech[:0]).size == 0


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("offset", [0.01, 0.3])
def test_an_offset_moves_no_answer(
    reader: VoiceReader, speech: np.ndarray, offset: float, rate: int
) -> None:
    plain, shifted = (
        prepare(channels_wav(32767 * (speech / 3 + by)[np.newaxis], rate), max_duration_s=60)
        for by in (0, offset)
    )
    scores = [[r.reading.score for r in reader.infer(p.segments)] for p in (plain, shifted)]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)
    assert [s.snr_db for s in shifted.segments] == pytest.approx(
        [s.snr_db for s in plain.segments], abs=0.5
    )


@pytest.mark.parametrize("hear", [segment, heard_live])
def test_the_level_moves_no_answer_and_is_told(
    reader: VoiceReader, speech: np.ndarray, hear: object
) -> None:
    plain, quiet = (hear(speech * np.float32(gain)) for gain in (1, 0.01))  # type: ignore[operator]
    assert [s.start_s for s in quiet] == pytest.approx([s.start_s for s in plain], abs=0.2)
    loudness = [one.loudness_dbfs for one in plain]
    assert [one.loudness_dbfs + 40 for one in quiet] == pytest.approx(loudness, abs=0.5)
    scores = [[r.reading.score for r in reader.infer(s)] for s in (plain, quiet)]
    assert scores[0] == pytest.approx(scores[1], abs=0.05)


def test_the_reference_is_reached_but_silence_is_not_raised() -> None:
    wave = torch.randn(16_000) * 1e-3
    power = at_reference(wave).square().mean()
    assert float(10 * power.log10()) == pytest.approx(REFERENCE_DBFS, abs=0.01)
    assert float(at_reference(1e-6 * wave).abs().max()) < 1e-4
    assert not at_reference(torch.zeros(100)).any()


@pytest.mark.parametrize(("name", "within"), [("0.01", 0.01), ("0.3", 0.05)])
def test_the_cases_of_offset(
    reader: VoiceReader, voice_cases: Path, name: str, within: float
) -> None:
    control, shifted = (
        prepare((voice_cases / f"F05_{file}.wav").read_bytes(), max_duration_s=60)
        for file in ("control_no_dc", f"dc_offset_{name}")
    )
    scores = [[r.reading.score for r in reader.infer(p.segments)] for p in (control, shifted)]
    assert scores[0] == pytest.approx(scores[1], abs=within)
    assert "offset" in shifted.notes[0] and not control.notes
