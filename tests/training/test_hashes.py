"""Content hashes: what counts as the same, and the list beside a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modalities.errors import InputError, UnavailableError
from training import hashes
from training.rows import Row, load

ROOT = Path(__file__).parents[2]


def _texts(*texts: str) -> list[Row]:
    return [Row("set", text, "train", "happy") for text in texts]


def test_form_case_and_white_space_make_no_other_text() -> None:
    same = _texts("So Good！", " so  good! ", "SO\u3000GOOD!\n")
    assert len({hashes.content_hash(row) for row in same}) == 1
    assert hashes.content_hash(_texts("so good")[0]) != hashes.content_hash(same[0])


def test_the_list_beside_a_checkpoint_counts_what_was_trained_on(tmp_path: Path) -> None:
    checkpoint = tmp_path / "text.safetensors"
    hashes.save(checkpoint, _texts("one", "two", "TWO", "three"))
    listed = np.load(tmp_path / "text.trained.npy", allow_pickle=False)
    assert listed.nbytes == 3 * 8 and (np.diff(listed) > 0).all()
    assert hashes.count_trained(_texts("Three", "four", "one", "one"), checkpoint) == 3
    assert hashes.count_trained([], checkpoint) == 0


def test_without_a_list_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"no text\.trained\.npy beside text\.safetensors"):
        hashes.count_trained(_texts("one"), tmp_path / "text.safetensors")


def test_a_recordings_name_and_container_make_no_other_recording(tmp_path: Path) -> None:
    recording = (ROOT / "examples" / "recording.ogg").read_bytes()
    rows = []
    for name in ("a.ogg", "b.ogg", "cut.ogg"):
        (tmp_path / name).write_bytes(recording[: 20_000 if name == "cut.ogg" else None])
        rows.append(Row("set", str(tmp_path / name), "train", "happy", part="voice"))
    same, other = hashes.trained_hashes(rows[:2]), hashes.content_hash(rows[2])
    assert len(same) == 1 and other not in same
    gone = Row("set", str(tmp_path / "gone.ogg"), "train", "happy", part="voice")
    assert "gone.ogg cannot be read" in hashes.damage(gone)
    with pytest.raises(InputError, match=r"gone\.ogg cannot be read"):
        hashes.content_hash(gone)


def test_no_clip_of_a_speech_set_is_damaged(data: Path) -> None:
    assert {hashes.damage(row) for row in load("voice", "urdu")[:20]} == {""}
