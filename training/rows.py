"""What training and evaluation read: one labelled item, of whichever set or manifest."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from fusion.labels import our_labels
from modalities.errors import InputError
from modalities.reading import EMOTIONS, SENTIMENTS
from modalities.text.prepare import MOST_TURNS, Turn
from training.data import data_dir, load_splits, read_table, speech_rows, text_rows
from training.sets import DRAWN

# Nothing is trained on these: customers of real companies, and pairs that negation turns.
EVALUATED = ("maia_support_eval", "germeval2017_bahn_de", "imdb_contrast_sets")
FACES, STICKERS = "faces/fer2013_48x48.zip", "stickers/stickers.zip"


@dataclass(frozen=True)
class Row:
    """One item. A row of several labels or of one outside the taxonomy has none of ours."""

    data_set: str  # the set's name, or the manifest's path
    content: str  # the text; or a file's path, `archive.zip!inner/path` inside an archive
    split: str  # "train", "dev", "test", or "" where the manifest states none
    label: str  # as written
    emotion: str | None = None  # one of EMOTIONS
    sentiment: str | None = None  # one of SENTIMENTS
    rating: float | None = None  # satisfaction, in the set's own unit
    language: str = ""
    speaker: str = ""
    gender: str = ""
    dialogue: str = ""
    source: str = ""  # a set's own division: EWECT's topic, a shop's category
    line: int = 0  # in the manifest, the header being 1
    part: str = "text"  # "text", "voice" or "image": how `content` is to be read
    before: tuple[Turn, ...] = ()  # what was said before it, where it is a turn of a dialogue

    @property
    def emotion_index(self) -> int:
        """In EMOTIONS; −1 without one."""
        return EMOTIONS.index(self.emotion) if self.emotion else -1

    @property
    def sentiment_index(self) -> int:
        """In SENTIMENTS; −1 without one."""
        return SENTIMENTS.index(self.sentiment) if self.sentiment else -1


def load(part: str, source: str, split: str | None = None) -> list[Row]:
    """Rows of `source`, a set's name or a manifest's path, for text, voice or image.

    A manifest without splits is one whole: all of it, whichever split is asked for. Raises
    InputError where `source` is neither, cannot be read, or has no such split.
    """
    from training import manifest  # manifests are made of rows, not rows of manifests

    if source in SETS[part]:
        rows = SETS[part][source](source)
    elif source.endswith(manifest.SUFFIXES):
        rows = manifest.read(Path(source), part)
    else:
        raise InputError(
            f"{source} is no manifest ({', '.join(manifest.SUFFIXES)}), and {part} has the sets "
            f"{', '.join(SETS[part])}",
            "data",
        )
    if split is not None and any(row.split for row in rows):
        stated = sorted({row.split for row in rows})
        rows = [row for row in rows if row.split == split]
        if not rows:
            raise InputError(f"{source} has no split {split}, only {', '.join(stated)}", "split")
    return rows


def held_emotions(rows: Iterable[Row]) -> Mapping[str, list[bool]]:
    """For each set, which of EMOTIONS its labels can say: what a row of it teaches and is asked."""
    held: dict[str, set[str | None]] = {}
    for row in rows:
        held.setdefault(row.data_set, set()).add(row.emotion)
    return {name: [emotion in found for emotion in EMOTIONS] for name, found in held.items()}


def read_bytes(content: str) -> bytes:
    """A row's file, which may lie in a zip archive.

    Raises OSError, KeyError or BadZipFile where it is not there.
    """
    archive, member = in_archive(content)
    return open_archive(archive).read(member) if member else Path(content).read_bytes()


def in_archive(content: str) -> tuple[str, str]:
    """(archive, path inside it) of `archive.zip!inner/path`; of any other path (path, "")."""
    stem, found, member = content.partition(".zip!")
    return (f"{stem}.zip", member) if found else (content, "")


@cache
def open_archive(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def labelled(rows: Sequence[Row], sentiments: Sequence[str] = ()) -> list[Row]:
    """The rows of one set with what their labels say of ours; `sentiments` as `our_labels`."""
    ours = our_labels([row.label for row in rows], sentiments)
    return [
        replace(row, emotion=label.emotion, sentiment=label.sentiment)
        for row, label in zip(rows, ours, strict=True)
    ]


def _text(name: str) -> list[Row]:
    table = [row for row in text_rows(name) if row["text"].strip()]
    # MELD numbers its dialogues anew in each split.
    dialogues = [f"{row['split']}/{row['dialogue']}" if "dialogue" in row else "" for row in table]
    writers = [_writer(row) for row in table]
    rows = []
    for i, row in enumerate(table):
        near = range(max(0, i - MOST_TURNS), i) if dialogues[i] else ()
        before = [
            Turn(writers[j] == writers[i], table[j]["text"].strip())
            for j in near
            if dialogues[j] == dialogues[i]
        ]
        rows.append(
            Row(
                name,
                row["text"].strip(),
                row["split"],
                row["label"],
                language=row["lang"],
                speaker=row.get("speaker", ""),
                gender=row.get("gender", ""),
                dialogue=dialogues[i],
                source=row.get("topic")
                or row.get("cat")
                or row.get("src")
                or row.get("kind")
                or "",
                before=tuple(before),
            )
        )
    return labelled(rows, [row.get("sentiment", "") for row in table])


def _writer(row: Mapping[str, str]) -> tuple[str, ...]:
    """Whoever says a turn, as far as the set tells: CPED has their gender and age alone."""
    return tuple(row.get(name, "") for name in ("speaker", "gender", "age"))


def _speech(name: str) -> list[Row]:
    rows = [
        Row(
            name,
            row["file"],
            row["split"],
            row["label"],
            language=row["lang"],
            speaker=row["speaker"],
            gender=row["gender"],
            part="voice",
        )
        for row in speech_rows(name)
    ]
    return labelled(rows)


def _faces(name: str) -> list[Row]:
    path = data_dir() / FACES
    split_of = {"train": "train", "validation": "dev", "test": "test"}
    rows = []
    for member in sorted(open_archive(str(path)).namelist()):
        if member.endswith(".jpg"):
            folder, label, _ = member.split("/")
            rows.append(Row(name, f"{path}!{member}", split_of[folder], label, part="image"))
    return labelled(rows)


def _stickers(name: str) -> list[Row]:
    """The label is weak: the category, which has a mood of ours for some."""
    splits = load_splits(name)
    path = data_dir() / STICKERS
    rows = [
        Row(name, f"{path}!{row['file']}", splits[row["file"]], row["category"], part="image")
        for row in read_table(data_dir() / "stickers" / "manifest.csv")
    ]
    return labelled(rows)


Loader = Callable[[str], list[Row]]
SETS: Mapping[str, Mapping[str, Loader]] = {
    "text": dict.fromkeys((*DRAWN, *EVALUATED), _text),
    "voice": dict.fromkeys(
        ("casia", "ravdess", "nemo", "urdu", "koemo", "emospeech", "turev"), _speech
    ),
    "image": {"fer": _faces, "stickers": _stickers},
}


def sets_of(part: str) -> Sequence[str]:
    """The sets that the embedded bundle's `part` is trained on: no stickers, whose mood is in their
    words as much as in what is drawn."""
    return tuple(name for name in SETS[part] if name not in (*EVALUATED, "stickers"))
