"""Where the data lies and how it is split; what a row is once a set's own labels are mapped.

`EMOTION_DATA` names the folder (default ``../shared/data``). Splits of sets that have no official
one live in `training/splits/<set>.csv` (id, split): written once, before any training, and never
changed after; `write_splits` refuses to overwrite them.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import random
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modalities.errors import UnavailableError

SPLIT_SEED = 20261124
SPLITS_DIR = Path(__file__).parent / "splits"
WRITTEN = {
    "written": Path(__file__).parent / "written" / "messages.csv",
    "written_turns": Path(__file__).parent / "written" / "turns.csv",
}
NO_TRAIN = ("empathetic_situations", "kote_ko")  # their dev trains, but for a tenth
TEST_WHOLE = ("maia_support_eval",)
SPEECH_SETS = ("casia", "ravdess", "nemo", "urdu", "baved", "koemo", "emospeech", "turev")


def data_dir() -> Path:
    """The data folder; raises UnavailableError where it is absent."""
    path = Path(os.environ.get("EMOTION_DATA", "../shared/data"))
    if not (path / "text").is_dir():
        raise UnavailableError(f"no data at {path}", "set EMOTION_DATA to the data folder")
    return path


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV or CSV.gz file; a UTF-8 byte-order mark is dropped."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def text_rows(name: str) -> list[dict[str, str]]:
    """Rows of a text set with `split` filled in: CPED's dev halved into dev and test, and a set
    that states none trains whole. The project's own sets lie beside this module."""
    if name in WRITTEN:
        return read_table(WRITTEN[name])
    rows = read_table(data_dir() / "text" / f"{name}.csv.gz")
    halves = load_splits(name) if name == "cped" else {}
    for row in rows:
        if row["split"] == "dev" and halves:
            row["split"] = halves[row["dialogue"]]
        elif name in TEST_WHOLE:
            row["split"] = "test"
        elif row["split"] == "dev" and name in NO_TRAIN:
            row["split"] = "train" if _tenth(row["text"]) else "dev"
        row["split"] = row["split"] or "train"
    return rows


def _tenth(text: str) -> bool:
    """Nine texts of ten, by their content."""
    return hashlib.sha256(text.encode()).digest()[0] >= 26


def speech_rows(name: str) -> list[dict[str, str]]:
    """Rows of a speech set: `file` made absolute, `split` by speaker."""
    folder = data_dir() / "speech"
    splits = load_splits(name)
    rows = read_table(folder / f"{name}.csv")
    return [
        {**row, "split": splits[row["file"]], "file": str(folder / row["file"])} for row in rows
    ]


def helpdesk(language: str) -> list[dict[str, Any]]:
    """Dialogues of the helpdesk set in `language` (zh or en) with `split`; twins share one."""
    with gzip.open(data_dir() / "text" / f"helpdesk_{language}.json.gz", "rt") as file:
        dialogues: list[dict[str, Any]] = json.load(file)
    splits = load_splits("helpdesk")
    return [{**dialogue, "split": splits[str(dialogue["id"])]} for dialogue in dialogues]


def load_splits(name: str) -> dict[str, str]:
    return {row["id"]: row["split"] for row in read_table(SPLITS_DIR / f"{name}.csv")}


def splits_sha256(name: str) -> str:
    return hashlib.sha256((SPLITS_DIR / f"{name}.csv").read_bytes()).hexdigest()


def write_splits() -> list[Path]:
    """Write the split file of every set that lacks one; files that exist are left alone."""
    data = data_dir()
    assignments: dict[str, dict[str, str]] = {}
    for name in SPEECH_SETS:
        assignments[name] = _split_speech(name, read_table(data / "speech" / f"{name}.csv"))
    cped = read_table(data / "text" / "cped.csv.gz")
    dev_dialogues = {row["dialogue"] for row in cped if row["split"] == "dev"}
    assignments["cped"] = _split_groups(dev_dialogues, test=0.5, dev=0.5)
    satisfaction = read_table(data / "text" / "satisfaction.csv.gz")
    assignments["satisfaction"] = _split_groups(
        {f"{row['source']}/{row['dialogue']}" for row in satisfaction}, test=0.2, dev=0.1
    )
    with gzip.open(data / "text" / "helpdesk_zh.json.gz", "rt") as file:
        ids = {str(dialogue["id"]) for dialogue in json.load(file)}
    assignments["helpdesk"] = _split_groups(ids, test=0.2, dev=0.1)
    stickers = read_table(data / "stickers" / "manifest.csv")
    assignments["stickers"] = _split_groups({row["file"] for row in stickers}, test=0.2, dev=0.1)
    assignments.update(_split_asr(data))
    written = []
    for name, assignment in assignments.items():
        path = SPLITS_DIR / f"{name}.csv"
        if path.exists():
            continue
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("id", "split"))
            writer.writerows(sorted(assignment.items()))
        written.append(path)
    return written


def _shuffled(items: Iterable[str]) -> list[str]:
    ordered = sorted(items)
    random.Random(SPLIT_SEED).shuffle(ordered)
    return ordered


def _split_groups(groups: Iterable[str], *, test: float, dev: float) -> dict[str, str]:
    order = _shuffled(groups)
    n_test, n_dev = round(len(order) * test), round(len(order) * dev)
    names = ["test"] * n_test + ["dev"] * n_dev + ["train"] * (len(order) - n_test - n_dev)
    return dict(zip(order, names, strict=True))


def _split_speech(name: str, rows: list[dict[str, str]]) -> dict[str, str]:
    """Whole speakers, genders in turn, until each split has its share of speakers or clips."""
    clips: dict[str, list[str]] = defaultdict(list)
    gender: dict[str, str] = {}
    for row in rows:
        clips[row["speaker"]].append(row["file"])
        gender[row["speaker"]] = row["gender"]
    by_gender = [
        _shuffled(s for s in clips if gender[s] == g) for g in sorted(set(gender.values()))
    ]
    order = [s for turn in range(len(clips)) for group in by_gender for s in group[turn : turn + 1]]
    # Speakers per split as DATA.md states; the others have none stated: a share of the clips.
    speakers = {"casia": (1, 1), "ravdess": (4, 4), "nemo": (2, 1)}.get(name)
    n_test, n_dev = speakers or (len(order), len(order))
    most_test, most_dev = (len(rows), len(rows)) if speakers else (0.2 * len(rows), 0.1 * len(rows))
    assignment: dict[str, str] = {}
    taken = {"test": [0, 0.0], "dev": [0, 0.0]}
    for speaker in order:
        split = "train"
        for candidate, limit, most in (("test", n_test, most_test), ("dev", n_dev, most_dev)):
            count, held = taken[candidate]
            if count < limit and held + len(clips[speaker]) <= most + 1:
                split = candidate
                taken[candidate] = [count + 1, held + len(clips[speaker])]
                break
        assignment.update(dict.fromkeys(clips[speaker], split))
    return assignment


def _split_asr(data: Path) -> dict[str, dict[str, str]]:
    """Digits by speaker; the sentences of CASIA and nEMO, so that error rates on unseen
    sentences can be told from those on seen ones (both on held-out speakers)."""
    digits = sorted(path.name for path in (data / "asr" / "digits").glob("*.opus"))
    speakers = _shuffled({name.split("_")[1] for name in digits})
    of_speaker = dict(zip(speakers, ("test", "dev"), strict=False))
    sentences = {
        row["text"]
        for name in ("casia", "nemo")
        for row in read_table(data / "speech" / f"{name}.csv")
    }
    return {
        "digits": {name: of_speaker.get(name.split("_")[1], "train") for name in digits},
        "asr_sentences": _split_groups(sentences, test=0.15, dev=0.05),
    }
