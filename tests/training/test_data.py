"""Splits: complete, disjoint by speaker and dialogue, and the very files that were written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from training import data as sets
from training.data import (
    SPEECH_SETS,
    helpdesk,
    load_splits,
    read_table,
    speech_rows,
    text_rows,
)

SPLITS = {"train", "dev", "test"}


@pytest.mark.parametrize("name", SPEECH_SETS)
def test_no_speaker_is_in_two_splits(name: str, data: Path) -> None:
    splits_of: dict[str, set[str]] = {}
    for row in speech_rows(name):
        splits_of.setdefault(row["speaker"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert {split for splits in splits_of.values() for split in splits} == SPLITS


def test_helpdesk_twins_share_a_split(data: Path) -> None:
    chinese = {d["id"]: d["split"] for d in helpdesk("zh")}
    english = {d["id"]: d["split"] for d in helpdesk("en")}
    assert set(english) <= set(chinese)
    assert all(chinese[i] == split for i, split in english.items())


def test_cped_dialogues_are_whole(data: Path) -> None:
    splits_of: dict[str, set[str]] = {}
    for row in text_rows("cped"):
        splits_of.setdefault(row["dialogue"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in splits_of.values())


def test_a_set_without_training_rows_trains_on_nine_tenths_of_its_dev(data: Path) -> None:
    for name in sets.NO_TRAIN:
        stated = read_table(data / "text" / f"{name}.csv.gz")
        rows = text_rows(name)
        assert {row["split"] for row in stated} == {"dev", "test"}
        assert [r["text"] for r in rows if r["split"] == "test"] == [
            r["text"] for r in stated if r["split"] == "test"
        ]
        split_of: dict[str, set[str]] = {}
        for row in rows:
            split_of.setdefault(row["text"], set()).add(row["split"])
        assert all(not {"train", "dev"} <= splits for splits in split_of.values())
        n_dev, n_train = (sum(r["split"] == split for r in rows) for split in ("dev", "train"))
        assert n_dev / (n_dev + n_train) == pytest.approx(26 / 256, abs=0.02)


def test_what_is_only_asked_for_tests_and_what_has_no_split_trains(data: Path) -> None:
    for name in sets.TEST_WHOLE:
        assert {row["split"] for row in text_rows(name)} == {"test"}
    assert {row["split"] for row in text_rows("stackoverflow_emotions")} == {"train"}


@pytest.mark.parametrize("name", sets.WRITTEN)
def test_the_projects_own_sets_need_no_data_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTION_DATA", str(tmp_path))
    assert {row["split"] for row in text_rows(name)} == SPLITS


def test_the_split_files_are_what_the_seed_gives(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = sets.SPLITS_DIR
    monkeypatch.setattr(sets, "SPLITS_DIR", tmp_path)
    written = sets.write_splits()
    assert {path.name for path in written} == {path.name for path in committed.glob("*.csv")}
    for path in written:
        assert path.read_bytes() == (committed / path.name).read_bytes(), path.name
    assert sets.write_splits() == []


def test_split_files_hold_only_the_three_splits() -> None:
    for path in sets.SPLITS_DIR.glob("*.csv"):
        assert set(load_splits(path.stem).values()) <= SPLITS
