"""Composed calls: what their truth says is what is to be heard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.calls import compose, sounds
from modalities.voice.stream import SAMPLE_RATE_HZ, AudioFile
from training.data import load_splits

SPEAKER_OF = {
    "casia": lambda clip: clip.split("/")[1].split("_")[0],
    "ravdess": lambda clip: clip[-7:],
    "nemo": lambda clip: clip.split("/")[1].split("_")[0],
    "urdu": lambda clip: clip.split("_")[1],
    "koemo": lambda clip: clip.split("/")[1][:3],
}


@pytest.fixture(scope="module", autouse=True)
def short_calls() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "TURNS", (3, 4))
        yield


@pytest.fixture(scope="module")
def truths(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return compose.compose(tmp_path_factory.mktemp("calls"), 3, seed=4, split="dev")


def samples_of(truth: Path) -> np.ndarray:
    with AudioFile(truth.with_suffix(".wav")) as file:
        return np.concatenate(list(file.blocks()), axis=1)


def level_db(samples: np.ndarray, start_s: float, end_s: float) -> float:
    part = samples[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]
    return 10 * float(np.log10(np.square(part, dtype=np.float64).mean()))


def test_turns_and_sounds_lie_where_the_truth_says(truths: list[Path]) -> None:
    for truth in truths:
        call, samples = compose.load(truth), samples_of(truth)
        assert samples.shape[1] / SAMPLE_RATE_HZ == pytest.approx(call.duration_s, abs=0.01)
        parts = [*call.turns, *call.sounds]
        for channel in (0, 1):
            spans = sorted((p.start_s, p.end_s) for p in parts if p.channel == channel)
            for start_s, end_s in spans:
                assert level_db(samples[channel], start_s, end_s) > -50
            ends = [0.0, *(end for _, end in spans)]
            starts = [*(start for start, _ in spans), call.duration_s]
            for end_s, start_s in zip(ends, starts, strict=True):
                assert level_db(samples[channel], end_s + 0.02, start_s - 0.02) < -55


def test_speakers_and_clips_are_of_the_split_and_apart(truths: list[Path]) -> None:
    seen: list[str] = []
    for truth in truths:
        call = compose.load(truth)
        who = [
            {(t.data_set, SPEAKER_OF[t.data_set](t.clip)) for t in call.turns if t.channel == c}
            for c in (0, 1)
        ]
        assert len(who[0]) == len(who[1]) == 1
        assert who[0] != who[1]
        assert {t.role for t in call.turns if t.channel == 0} == {"CUSTOMER"}
        for turn in call.turns:
            assert load_splits(turn.data_set)[turn.clip] == "dev"
        seen += [turn.clip for turn in call.turns]
    assert len(seen) == len(set(seen))


def test_overlap_is_that_of_the_turns(truths: list[Path]) -> None:
    for truth in truths:
        call = compose.load(truth)
        talks = np.zeros((2, round(call.duration_s * 1000)), bool)
        for turn in call.turns:
            talks[turn.channel, round(turn.start_s * 1000) : round(turn.end_s * 1000)] = True
        assert call.overlap_s == pytest.approx(talks.all(0).sum() / 1000, abs=0.05)
    assert sum(compose.load(truth).overlap_s for truth in truths) > 1


def test_a_seed_makes_the_same_files(truths: list[Path], tmp_path: Path) -> None:
    (again,) = compose.compose(tmp_path, 1, seed=4, split="dev")
    assert again.read_bytes() == truths[0].read_bytes()
    assert again.with_suffix(".wav").read_bytes() == truths[0].with_suffix(".wav").read_bytes()
    (other,) = compose.compose(tmp_path, 1, seed=5, split="dev")
    assert other.read_bytes() != truths[0].read_bytes()


def test_trim_keeps_what_is_within_40_db_and_drops_clicks() -> None:
    samples = np.full(3 * SAMPLE_RATE_HZ, 1e-4, np.float32)
    speech = slice(SAMPLE_RATE_HZ, 2 * SAMPLE_RATE_HZ)
    samples[speech] = 0.5 * np.sin(np.arange(SAMPLE_RATE_HZ) / 5)
    samples[200:400] = 0.1  # a click at the start
    kept = compose.trim(samples)
    assert len(kept) == SAMPLE_RATE_HZ
    samples[int(0.8 * SAMPLE_RATE_HZ) : SAMPLE_RATE_HZ] = 0.02  # 28 dB below: still of the turn
    assert len(compose.trim(samples)) == pytest.approx(1.2 * SAMPLE_RATE_HZ)


def test_keys_are_pairs_of_tones() -> None:
    pressed = sounds.keys("5#")
    assert len(pressed) == pytest.approx(0.3 * SAMPLE_RATE_HZ)
    spectrum = np.abs(np.fft.rfft(pressed[: SAMPLE_RATE_HZ // 10]))
    assert sorted(np.argsort(spectrum)[-2:] * 10) == pytest.approx([770, 1336], abs=10)
