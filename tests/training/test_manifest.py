"""Manifests: every bad input by line, labels as the named sets map them, copies and groups."""

from __future__ import annotations

import csv
import gzip
import io
import re
import wave
import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from modalities.errors import InputError
from training import manifest
from training.checks import examine, prepare, without_duplicates
from training.manifest import ManifestError
from training.rows import SETS, Row, load

GOOD = [("I love it", "joy", "train"), ("I hate it", "anger", "train"), ("so happy", "joy", "dev")]


def _csv(path: Path, header: str, *rows: tuple[str, ...]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path


def _wav(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(-9000, 9000, 8000).astype("<i2")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(noise.tobytes())
    return out.getvalue()


def _png(seed: int) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _reasons(path: Path, part: str = "text") -> list[str]:
    return [f"{problem.line}: {problem.reason}" for problem in examine(path, part).problems]


def test_csv_gz_and_parquet_hold_the_same_rows(tmp_path: Path) -> None:
    plain = _csv(tmp_path / "m.csv", "text,label,split", *GOOD)
    packed = tmp_path / "m.csv.gz"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + plain.read_bytes()))
    table = tmp_path / "m.parquet"
    columns = zip(*GOOD, strict=True)
    names = ("text", "label", "split")
    pyarrow.parquet.write_table(pyarrow.table(dict(zip(names, columns, strict=True))), table)
    said = [
        [(row.content, row.split, row.emotion, row.sentiment) for row in load("text", str(path))]
        for path in (plain, packed, table)
    ]
    assert said[0][1] == ("I hate it", "train", "angry", "negative")
    assert said[0] == said[1] == said[2]


def test_the_labels_decide_what_neutral_means(tmp_path: Path) -> None:
    def rows(*labels: str) -> list[Row]:
        path = _csv(tmp_path / "m.csv", "text,label", *((f"t{i}", x) for i, x in enumerate(labels)))
        return load("text", str(path))

    sentiments = rows("Positive", "neutral", "消极")
    assert [row.emotion for row in sentiments] == [None] * 3
    assert [row.sentiment for row in sentiments] == ["positive", "neutral", "negative"]
    emotions = rows("开心", "neutral", "joy|anger", "perplexed")
    assert [row.emotion for row in emotions] == ["happy", "neutral", None, None]
    assert [row.sentiment for row in emotions] == ["positive", "neutral", None, None]
    numbers = rows("1", "-0.5", "2")
    assert [row.rating for row in numbers] == [1.0, -0.5, 2.0]
    assert rows("1", "joy")[0].rating is None


def test_every_bad_line_is_named_at_once_and_skip_bad_counts_them(tmp_path: Path) -> None:
    path = _csv(
        tmp_path / "m.csv",
        "text,label,split",
        *GOOD,  # lines 2 to 4
        ("  ", "joy", "train"),
        ("two\nlines", "perplexed", "train"),  # lines 6 and 7
        ("no label", "", "train"),
        ("no split", "joy", ""),
        ("odd split", "joy", "fold3"),
        ("too", "joy", "train", "many"),
        ("only in dev", "fear", "dev"),
    )
    expected = [
        "5: no text",
        "6: unknown label 'perplexed'",
        "8: no label",
        "9: no split",
        "10: unknown split 'fold3'",
        "11: 4 values for 3 columns",
        "12: class fear has no item in train",
    ]
    assert _reasons(path) == expected
    with pytest.raises(ManifestError) as raised:
        prepare("text", [str(path)])
    assert str(raised.value).splitlines() == [f"{path}:{line}" for line in expected]
    prepared = prepare("text", [str(path)], skip_bad=True)
    assert [(row.content, row.label, row.split) for row in prepared.rows] == GOOD
    assert prepared.bad == len(expected)


def test_a_long_list_of_problems_is_cut_and_counted(tmp_path: Path) -> None:
    path = _csv(tmp_path / "m.csv", "text,label,split", *[("", "joy", "train")] * 25)
    with pytest.raises(ManifestError, match=r"and 5 more$") as raised:
        manifest.read(path, "text")
    assert len(raised.value.problems) == 25


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"sentence,label\na,joy\n", "1: no column text, only sentence, label"),
        (b"text,label\n", ": no rows"),
        (b"", "1: no column text"),
        (b"text,label\n\xff\xfe,joy\n", "cannot be read as .csv in UTF-8"),
        (b'text,label\n"' + b"a" * 200_000 + b'",joy\n', "2: field larger than field limit"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(content)
    for use in (lambda: load("text", str(path)), lambda: prepare("text", [str(path)])):
        with pytest.raises(ManifestError, match=re.escape(reason)):
            use()


@pytest.mark.parametrize("suffix", manifest.SUFFIXES)
def test_what_is_no_table_or_not_there_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    with pytest.raises(ManifestError, match="no such file"):
        load("text", str(path))
    path.write_bytes(b"\x00\x01\xff")
    with pytest.raises(ManifestError, match="cannot be read"):
        load("text", str(path))


def test_a_table_without_splits_is_whole_for_evaluation_and_refused_for_training(
    tmp_path: Path,
) -> None:
    path = _csv(tmp_path / "m.csv", "text,label", *(row[:2] for row in GOOD))
    assert len(load("text", str(path), "test")) == 3
    assert _reasons(path)[0] == "0: no column split, or it is empty"
    with pytest.raises(InputError, match="no usable row of split train"):
        prepare("text", [str(path)], skip_bad=True)


def test_missing_and_broken_media_are_named(tmp_path: Path) -> None:
    for name, content in (("a.wav", _wav(0)), ("cut.wav", _wav(1)[:9000]), ("bad.wav", b"RIFF?")):
        (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "clips.zip", "w") as archive:
        archive.writestr("in/b.wav", _wav(2))
    (tmp_path / "no.zip").write_bytes(b"PK")
    files = ("a.wav", "clips.zip!in/b.wav", "cut.wav", "bad.wav", "gone.wav", "clips.zip!c.wav")
    rows = [(file, "joy", "train") for file in (*files, "no.zip!d.wav", "")]
    path = _csv(tmp_path / "m.csv", "file,label,split", *rows)
    assert [reason.split(";")[0] for reason in _reasons(path, "voice")] == [
        "4: the audio is cut short or damaged",
        "5: the audio is damaged or in no known format",
        f"6: no file {tmp_path}/gone.wav",
        f"7: no c.wav in {tmp_path}/clips.zip",
        f"8: {tmp_path}/no.zip is no zip archive",
        "9: no file",
    ]
    with pytest.raises(ManifestError) as raised:
        load("voice", str(path))  # evaluation needs no more than the files
    assert [problem.line for problem in raised.value.problems] == [6, 7, 8, 9]


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_png(0))
    (tmp_path / "b.png").write_bytes(_png(1)[:200])
    rows = [(name, "joy", "train") for name in ("a.png", "b.png")]
    reasons = _reasons(_csv(tmp_path / "m.csv", "file,label,split", *rows), "image")
    assert len(reasons) == 1 and reasons[0].startswith("3: the image is broken or cut short")


def test_a_copy_is_dropped_from_train_then_dev_never_from_test(tmp_path: Path) -> None:
    texts = [
        ("Okay.", "joy", "train"),
        ("Okay.", "joy", "train"),
        ("ＯＫＡＹ.", "joy", "dev"),
        ("  okay. ", "joy", "test"),
        ("okay.", "anger", "test"),
        ("dev and train", "joy", "train"),
        ("Dev  and\ttrain", "joy", "dev"),
        ("twice", "joy", "train"),
        ("twice", "joy", "train"),
    ]
    path = _csv(tmp_path / "m.csv", "text,label,split", *texts)
    rows, dropped = without_duplicates(load("text", str(path)))
    assert dropped == 4
    assert [row.line for row in rows] == [5, 6, 8, 9, 10]


def test_the_same_pixels_in_another_file_are_a_copy(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_png(0))
    Image.open(tmp_path / "a.png").save(tmp_path / "b.bmp")
    (tmp_path / "c.png").write_bytes(_png(1))
    rows = [("a.png", "joy", "train"), ("b.bmp", "joy", "test"), ("c.png", "joy", "train")]
    path = _csv(tmp_path / "m.csv", "file,label,split", *rows)
    kept, dropped = without_duplicates(load("image", str(path)))
    assert ([row.line for row in kept], dropped) == ([3, 4], 1)


@pytest.mark.parametrize("column", ["speaker", "dialogue"])
def test_a_group_in_two_splits_is_refused_unless_allowed_by_name(
    tmp_path: Path, column: str
) -> None:
    rows = [(*row, who) for row, who in zip(GOOD, ("ann", "bob", "ann"), strict=True)]
    path = _csv(tmp_path / "m.csv", f"text,label,split,{column}", *rows)
    with pytest.raises(ManifestError, match=f":2: {column} 'ann' is in train and dev"):
        prepare("text", [str(path)])
    assert len(prepare("text", [str(path)], allow_shared=[column]).rows) == 3
    other = {"speaker": "dialogue", "dialogue": "speaker"}[column]
    with pytest.raises(ManifestError):
        prepare("text", [str(path)], allow_shared=[other])
    with pytest.raises(InputError, match="gender is none of"):
        prepare("text", [str(path)], allow_shared=["gender"])


@pytest.mark.parametrize("name", ["cped", "airline", "urdu", "stickers"])
def test_a_sets_manifest_reads_back_as_the_set(name: str, data: Path, tmp_path: Path) -> None:
    part = next(part for part, sets in SETS.items() if name in sets)
    rows = load(part, name)
    manifest.write(rows, tmp_path / "m.csv")
    read_back = load(part, str(tmp_path / "m.csv"))

    def said(row: Row) -> tuple[object, ...]:
        content = row.content if part == "text" else str(Path(row.content).resolve())
        return (content, row.split, row.label, row.emotion, row.sentiment, row.language,
                row.speaker, row.gender, row.dialogue, row.source, row.part)  # fmt: skip

    assert [said(row) for row in read_back] == [said(row) for row in rows]
