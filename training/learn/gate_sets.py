"""The gate's sets: two thirds of each shipped set's `dev`, frozen, that learning never looks at.

Carved once per part by set and label with a fixed seed (`python -m training.learn.gate_sets`),
never from `test`, into training/gates/<part>.csv; the rest of `dev` stops and calibrates. Of texts
a set gives about MOST_TEXTS at most, so that no large one outvotes the others, and none in a
language that is not read. The embedded weights were chosen and calibrated on rows of all of `dev`,
those of the gate too: as the first parent they are judged a little too kindly, which makes the gate
stricter.
"""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from modalities.text.language import LANGUAGES
from training.data import SPLITS_DIR, data_dir, read_table
from training.hashes import content_hash
from training.rows import SETS, Row, load, sets_of

SEED = 20261124
SHARE = 2 / 3
MOST_TEXTS = 800
# The stickers' labels are weak and choose nothing: the gate has no use for them.
LEFT_OUT = {"stickers"}


def path_of(part: str) -> Path:
    return SPLITS_DIR.parent / "gates" / f"{part}.csv"


def key_of(row: Row) -> str:
    """A text's content hash, or a file's path under the data folder."""
    if row.part == "text":
        return f"{content_hash(row):016x}"
    return Path(row.content).relative_to(data_dir()).as_posix()


def divided(part: str, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """(gate, rest) of rows of shipped sets whose split is `dev`."""
    frozen = {(line["set"], line["id"]) for line in read_table(path_of(part))}
    gate: list[Row] = []
    rest: list[Row] = []
    for row in rows:
        (gate if (row.data_set, key_of(row)) in frozen else rest).append(row)
    return gate, rest


def carve(part: str) -> None:
    """Write the part's file; one that exists is never changed: raises FileExistsError."""
    lines = []
    for name in sets_of(part):
        if name in LEFT_OUT:
            continue
        by_label: dict[str, list[str]] = defaultdict(list)
        label_of: dict[str, str] = {}
        for row in load(part, name):
            if row.split == "dev" and (row.emotion or row.sentiment) and _is_read(row):
                label_of.setdefault(key_of(row), _stratum(row))
        for key, label in label_of.items():
            by_label[label].append(key)
        share = SHARE if part != "text" else min(SHARE, MOST_TEXTS / max(1, len(label_of)))
        for label, keys in sorted(by_label.items()):
            random.Random(f"{SEED}/{name}/{label}").shuffle(keys)
            lines += [(name, key) for key in keys[: round(share * len(keys))]]
    with path_of(part).open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("set", "id"))
        writer.writerows(sorted(lines))


def _is_read(row: Row) -> bool:
    return row.part != "text" or row.language[:2] in LANGUAGES


def _stratum(row: Row) -> str:
    """Of several labels at once hardly two rows have the same ones: what they say together."""
    return str(row.sentiment) if "|" in row.label else row.label


if __name__ == "__main__":
    for each in SETS:
        if not path_of(each).exists():
            carve(each)
