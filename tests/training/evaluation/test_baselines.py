from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.data import helpdesk
from training.evaluation import baselines, functionals
from training.rows import Row


def test_the_text_baseline_learns_words(sentences: list[Row]) -> None:
    y = np.array([row.sentiment == "positive" for row in sentences]).astype(int)
    assert (baselines.FIT_PREDICT["text"](sentences, y, sentences) == y).all()


def test_speakers_are_held_out_whole() -> None:
    for n_speakers, n_folds in ((4, 4), (9, 5)):
        rows = [Row("", "", "", "", speaker=f"s{i % n_speakers}") for i in range(60)]
        masks = baselines.speaker_folds(rows)
        assert len(masks) == n_folds
        assert (np.sum(masks, axis=0) == 1).all()
        for mask in masks:
            held = {row.speaker for row, out in zip(rows, mask, strict=True) if out}
            kept = {row.speaker for row, out in zip(rows, mask, strict=True) if not out}
            assert not held & kept


def test_twins_share_a_fold(data: Path) -> None:
    zh, en = (
        {
            d["id"]: f
            for d, f in zip(ds, baselines.dialogue_folds([d["id"] for d in ds]), strict=True)
        }
        for ds in (helpdesk("zh"), helpdesk("en"))
    )
    assert all(zh[name] == fold for name, fold in en.items())
    assert np.bincount(list(zh.values())).min() > 0.8 * len(zh) / baselines.N_FOLDS


def test_functionals_of_a_tone() -> None:
    t = np.arange(16_000) / 16_000
    low, high = (
        functionals.of_clip((0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32))
        for hz in (400, 2000)
    )
    assert low.shape == (322,)
    # The means come first: 20 MFCCs, log energy, crossings a sample, centroid over 8 kHz.
    assert low[20] == pytest.approx(np.log(0.125), abs=0.01)
    assert (low[21], high[21]) == pytest.approx((800 / 16_000, 4000 / 16_000), abs=2e-3)
    assert (low[22], high[22]) == pytest.approx((400 / 8000, 2000 / 8000), abs=2e-3)
    assert low[46 + 20] == pytest.approx(0, abs=0.01)  # the energy's deviation


def test_functionals_are_kept_by_content(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functionals, "CACHE", tmp_path)
    file = next((data / "speech" / "casia").rglob("*.ogg"), None) or next(
        (data / "speech" / "casia").rglob("*.opus")
    )
    rows = [Row("", str(file), "", "", part="voice")]
    made = functionals.functionals(rows)
    (kept,) = tmp_path.iterdir()
    np.save(kept, made + 1)
    assert (functionals.functionals(rows) == made + 1).all()


def test_the_svm_tells_two_speakers_moods_apart() -> None:
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 60)
    x = (rng.normal(size=(120, 10)) + y[:, None]).astype(np.float32)
    speakers = np.repeat(["a", "b", "c"], 40)
    assert (baselines._svm(x, y, speakers).predict(x) == y).mean() > 0.9
