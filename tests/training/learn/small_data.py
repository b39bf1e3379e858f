"""A data folder of a few rows of each shipped set: a whole run of learning takes seconds on it."""

from __future__ import annotations

import csv
import gzip
import json
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from training.data import WRITTEN, load_splits, read_table
from training.rows import FACES, SETS, STICKERS, sets_of

N_TEXTS, N_CLIPS, N_FACES, N_DIALOGUES = 24, 6, 3, 40


def cut(data: Path, folder: Path) -> Path:
    """The folder, made of what lies in `data`, and of the sets that lie beside the code."""
    for name in sets_of("text"):
        place = Path("text") / f"{name}.csv.gz"
        table = read_table(WRITTEN.get(name, data / place))
        _write(folder / place, _first(table, N_TEXTS, "split"))
    for language in ("zh", "en"):
        with gzip.open(data / "text" / f"helpdesk_{language}.json.gz", "rt") as file:
            dialogues = json.load(file)
        with gzip.open(folder / "text" / f"helpdesk_{language}.json.gz", "wt") as file:
            json.dump(dialogues[:N_DIALOGUES], file)
    for name in SETS["voice"]:
        table, splits = read_table(data / "speech" / f"{name}.csv"), load_splits(name)
        for row in table:
            row["split"] = splits[row["file"]]
        table = _first(_first(table, 2, "speaker", "label"), N_CLIPS, "split", "label")
        _write(folder / "speech" / f"{name}.csv", table)
        (folder / "speech" / name).symlink_to((data / "speech" / name).resolve())
    (folder / "faces").mkdir()
    with zipfile.ZipFile(data / FACES) as whole, zipfile.ZipFile(folder / FACES, "w") as part:
        names = [name for name in sorted(whole.namelist()) if name.endswith(".jpg")]
        members = [{"place": str(Path(name).parent), "name": name} for name in names]
        for row in _first(members, N_FACES, "place"):
            part.writestr(row["name"], whole.read(row["name"]))
    stickers, splits = read_table(data / "stickers" / "manifest.csv"), load_splits("stickers")
    for row in stickers:
        row["split"] = splits[row["file"]]
    _write(folder / "stickers" / "manifest.csv", _first(stickers, 4, "split"))
    (folder / STICKERS).symlink_to((data / STICKERS).resolve())
    return folder


def _first(rows: Iterable[dict[str, str]], n: int, *keys: str) -> list[dict[str, str]]:
    """The first `n` rows of each group."""
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return [row for group in groups.values() for row in group[:n]]


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
