"""The named sets as rows: what their labels say of ours, and copies between their splits."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fusion.labels import is_known
from modalities.errors import InputError
from modalities.reading import EMOTIONS
from training.checks import prepare
from training.data import text_rows
from training.hashes import normalised
from training.rows import SETS, held_emotions, load, read_bytes

ALL = frozenset(EMOTIONS)
NO_DISGUST = frozenset({"disgust"})
WITHOUT = {  # emotions that a set cannot say
    **dict.fromkeys(("shopping", "waimai", "airline", "umsab", "wisesight_th"), ALL),
    **dict.fromkeys(("germeval2017_bahn_de", "imdb_contrast_sets"), ALL),
    **dict.fromkeys(("ewect", "kote_ko", "stackoverflow_emotions", "casia", "nemo"), NO_DISGUST),
    "empathetic_situations": {"neutral"},
    "maia_support_eval": {"disgust", "surprise"},
    **dict.fromkeys(("urdu", "koemo", "turev"), frozenset({"fear", "disgust", "surprise"})),
    "emospeech": {"sad", "disgust", "surprise"},
    "stickers": {"disgust", "surprise"},
}


@pytest.mark.parametrize(
    ("part", "name"),
    [(part, name) for part, sets in SETS.items() for name in sets],
)
def test_every_row_of_a_set_is_in_a_split_and_its_label_is_known(
    part: str, name: str, data: Path
) -> None:
    rows = load(part, name)
    assert {row.split for row in rows} <= {"train", "dev", "test"}
    assert all(row.part == part and row.data_set == name and row.content for row in rows)
    assert all(is_known(label) for label in {row.label for row in rows})
    held = dict(zip(EMOTIONS, held_emotions(rows)[name], strict=True))
    assert {emotion for emotion in EMOTIONS if not held[emotion]} == WITHOUT.get(name, set())
    assert not any(row.emotion for row in rows if "|" in row.label)


def test_a_sets_own_sentiment_comes_before_that_of_its_emotion(data: Path) -> None:
    said = Counter((row.label, row.emotion, row.sentiment) for row in load("text", "cped"))
    assert said["negative-other", None, "negative"] > 1000
    assert said["grateful", "happy", "positive"] > 10


def test_labels_that_agree_are_a_sentiment_and_no_emotion(data: Path) -> None:
    """Of those that do not agree nothing is learned."""
    joined = [row for row in load("text", "kote_ko") if "|" in row.label]
    said = Counter(row.sentiment for row in joined)
    assert min(said[None], said["positive"], said["negative"]) > 500
    assert not any(row.emotion for row in joined)


@pytest.mark.parametrize("name", ["written_turns", "meld", "cped", "xdailydialog_zh"])
def test_a_turn_knows_the_two_before_it_and_who_said_them(name: str, request: Any) -> None:
    if name != "written_turns":  # the others lie in the data folder
        request.getfixturevalue("data")
    rows = load("text", name)
    before = Counter(len(row.before) for row in rows)
    n_dialogues = len({row.dialogue for row in rows})
    assert before.keys() == {0, 1, 2} and before[0] == n_dialogues >= before[1]
    for first, second, third in zip(rows, rows[1:], rows[2:], strict=False):
        if first.dialogue == second.dialogue == third.dialogue:
            assert [turn.text for turn in third.before] == [first.content, second.content]
        elif second.dialogue != third.dialogue:
            assert third.before == ()
        if name == "written_turns" and second.dialogue == third.dialogue:
            assert third.before[-1].same_writer == (second.speaker == third.speaker)


def test_a_message_by_itself_has_no_turns_before_it() -> None:
    rows = load("text", "written")
    assert not any(row.before or row.dialogue for row in rows)
    assert {row.source for row in rows} == {row["topic"] for row in text_rows("written")}


def test_copies_between_splits_leave_train_and_test_is_whole(data: Path) -> None:
    test = {normalised(row.content) for row in load("text", "meld", "test")}
    copies = [row for row in load("text", "meld", "train") if normalised(row.content) in test]
    assert len(copies) >= 134
    rows = prepare("text", ["meld"]).rows
    assert [row for row in rows if row.split == "test"] == load("text", "meld", "test")
    assert not test & {normalised(row.content) for row in rows if row.split != "test"}


def test_what_is_no_set_no_manifest_or_no_split_is_refused(data: Path) -> None:
    with pytest.raises(InputError, match=r"casio is no manifest .* voice has the sets casia"):
        load("voice", "casio")
    with pytest.raises(InputError, match="weibo_moods has no split test, only dev, train"):
        load("text", "weibo_moods", "test")


def test_a_member_of_an_archive_is_read_and_a_lone_mark_is_a_files_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/b.txt", "inside")
    (tmp_path / "wow!.txt").write_text("outside")
    assert read_bytes(f"{tmp_path}/a.zip!in/b.txt") == b"inside"
    assert read_bytes(f"{tmp_path}/wow!.txt") == b"outside"
