"""The GPU benchmark runs from end to end at small size, on whatever device there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import gpu


def test_small_run_gives_every_figure(tmp_path: Path) -> None:
    report = json.loads(gpu.main(["--small", "--out", str(tmp_path)]).read_text())
    figures = report["figures"]
    assert report["small"] and report["device"]
    assert figures["ceilings"]["matrix_flop_s"] > 0 < figures["ceilings"]["bytes_s"]
    for found in (figures["text"], figures["image"], figures["whisper"]["encoder"]):
        assert found["items_s"] > 0 and str(found["best_batch"]) in found["items_s_by_batch"]
        assert found["share_of_matrix_ceiling"] > 0
    assert figures["fusion"]["items"] == 4096 and figures["fusion"]["ms"] > 0
    path = figures["whisper"]["path"]
    assert path["tokens_a_segment"] == 64 and path["ratio"] > 0


def test_without_a_gpu_only_the_small_run_is_possible(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu.main([])
    assert "--small" in capsys.readouterr().err


def test_flop_of_whisper_turbo_is_that_of_its_matrices() -> None:
    # 32 layers of 12 · 1280² weights, each used twice a position, and the attention's own products.
    assert gpu.flop_of(32, 1280, 4 * 1280, 1500) == pytest.approx(
        2 * 1500 * 32 * (12 * 1280**2 + 2 * 1500 * 1280)
    )
