"""What must hold before training starts: problems by line, and no copies between splits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fusion.labels import is_known
from modalities.errors import InputError
from training.hashes import content_hash, damage
from training.manifest import SUFFIXES, ManifestError, Problem, scan
from training.rows import Row, load

RANK = {"train": 0, "dev": 1, "test": 2}  # of two copies, the one further on is kept
GROUPS = ("speaker", "dialogue")  # a value of these belongs to one split


@dataclass(frozen=True)
class Examined:
    """What a manifest holds for training: the rows that can be used, and what is wrong."""

    rows: list[Row]
    problems: list[Problem]
    left_out: int  # rows


@dataclass(frozen=True)
class Prepared:
    """Rows to train on, and how many were left out."""

    rows: list[Row]
    bad: int
    duplicates: int


def prepare(
    part: str, sources: Iterable[str], *, skip_bad: bool = False, allow_shared: Collection[str] = ()
) -> Prepared:
    """Rows of named sets and manifests that a model can be trained on.

    Duplicates between splits are dropped, across all sources. Raises ManifestError with all that
    is wrong with the manifests (see `examine`); `skip_bad` leaves the bad rows out instead, of a
    speaker, dialogue or text in two splits those in the earlier ones.
    """
    rows: list[Row] = []
    unreadable: list[Problem] = []
    problems: list[Problem] = []
    bad = 0
    for source in sources:
        if not source.endswith(SUFFIXES):
            rows += load(part, source)
            continue
        try:
            found = examine(Path(source), part, allow_shared=allow_shared)
        except ManifestError as error:
            unreadable += error.problems
            continue
        rows += found.rows
        problems += found.problems
        bad += found.left_out
    if unreadable or (problems and not skip_bad):
        raise ManifestError(unreadable + problems)
    kept, duplicates = without_duplicates(rows)
    for split in ("train", "dev"):
        if not any(row.split == split for row in kept):
            raise InputError(f"no usable row of split {split}", "data")
    return Prepared(kept, bad, duplicates)


def examine(path: Path, part: str, *, allow_shared: Collection[str] = ()) -> Examined:
    """What training would refuse in a manifest, by line.

    Besides what `read` refuses: labels that are missing or unknown, missing or unknown splits, a
    speaker or dialogue in two splits unless `allow_shared` names the column, recordings and
    pictures that cannot be decoded whole, classes without an item in `train`. Raises
    ManifestError where the table itself cannot be read.
    """
    if unknown := set(allow_shared) - set(GROUPS):
        raise InputError(f"{', '.join(sorted(unknown))} is none of {', '.join(GROUPS)}", "shared")
    rows, problems = scan(path, part)
    total = len(rows) + len(problems)
    stated = any(row.split for row in rows)
    if rows and not stated:
        problems.append(Problem(path, 0, "no column split, or it is empty"))
    good = []
    for row in rows:
        reasons = _unfit(row, stated)
        problems += [Problem(path, row.line, reason) for reason in reasons]
        if not reasons:
            good.append(row)
    for column in GROUPS:
        if column not in allow_shared:
            good, found = _without_shared(good, column, path)
            problems += found
    good, found = _without_empty_classes(good, path)
    problems += found
    problems.sort(key=lambda problem: problem.line)
    return Examined(good, problems, total - len(good))


def without_duplicates(rows: Sequence[Row]) -> tuple[list[Row], int]:
    """Rows without copies between splits, and how many were dropped.

    The same content (`content_hash`; media are decoded for it) in two splits stays in the later of
    train, dev and test only; copies within a split, and rows without a split, are left alone.
    """
    hashes = [content_hash(row) if row.split in RANK else -1 for row in rows]
    last: dict[int, int] = {}
    for row, content in zip(rows, hashes, strict=True):
        if row.split in RANK:
            last[content] = max(RANK[row.split], last.get(content, 0))
    kept = [
        row
        for row, content in zip(rows, hashes, strict=True)
        if row.split not in RANK or RANK[row.split] == last[content]
    ]
    return kept, len(rows) - len(kept)


def _unfit(row: Row, splits_stated: bool) -> list[str]:
    """Why training cannot use a row."""
    reasons = []
    if not row.label:
        reasons.append("no label")
    elif row.rating is None and not is_known(row.label):
        reasons.append(f"unknown label {row.label!r}")
    if splits_stated and row.split not in RANK:
        reasons.append(f"unknown split {row.split!r}" if row.split else "no split")
    if row.part != "text" and (reason := damage(row)):
        reasons.append(reason)
    return reasons


def _without_shared(rows: list[Row], column: str, path: Path) -> tuple[list[Row], list[Problem]]:
    """Rows whose speaker or dialogue is in one split, or in the last of its several."""
    splits_of: dict[str, set[str]] = {}
    for row in rows:
        if value := getattr(row, column):
            splits_of.setdefault(value, set()).add(row.split)
    kept, problems = [], []
    named: set[str] = set()
    for row in rows:
        value = getattr(row, column)
        splits = sorted(splits_of.get(value, ()), key=lambda split: RANK.get(split, -1))
        if len(splits) < 2 or row.split == splits[-1]:
            kept.append(row)
        elif value not in named:
            named.add(value)
            problems.append(
                Problem(path, row.line, f"{column} {value!r} is in {' and '.join(splits)}")
            )
    return kept, problems


def _without_empty_classes(rows: list[Row], path: Path) -> tuple[list[Row], list[Problem]]:
    """Rows whose classes have an item in `train` (duplicates that training drops not counted)."""
    problems = []
    for head in ("emotion", "sentiment"):
        trained = {
            getattr(row, head) for row in without_duplicates(rows)[0] if row.split == "train"
        }
        kept = []
        named = {None}
        for row in rows:
            value = getattr(row, head)
            if value is None or value in trained or row.split not in ("dev", "test"):
                kept.append(row)
            elif value not in named:
                named.add(value)
                problems.append(Problem(path, row.line, f"class {value} has no item in train"))
        rows = kept
    return rows, problems
