"""Manifests: a user's own labelled items as a CSV, CSV.gz or Parquet table.

Columns: `text` (part text) or `file` (voice, image; relative to the manifest, also
`archive.zip!inner/path`) and `label`; optional `sentiment` (beside emotions), `speaker`, `gender`,
`language` (or `lang`), `dialogue`, `source`, `split`. Labels that are all numbers are ratings.

What training asks of them beyond being readable is in `checks`.
"""

from __future__ import annotations

import csv
import gzip
import math
import os
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modalities.errors import InputError
from training.rows import Row, in_archive, labelled, open_archive

SUFFIXES = (".csv", ".csv.gz", ".parquet")
OPTIONAL = ("sentiment", "speaker", "gender", "language", "dialogue", "source", "split")
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "val", "valid", "validation", "development"), "dev"),
    "test": "test",
}
SHOWN = 20  # problems in an error's message


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a manifest, at a line or, where that is 0, with all of it."""

    path: Path
    line: int  # the header being 1; of a Parquet table, its row, the first being 1
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.path}:{self.line}: {self.reason}"
            if self.line
            else f"{self.path}: {self.reason}"
        )


class ManifestError(InputError):
    """Manifests that cannot be used; `problems` has every reason, the message the first 20."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        lines = [str(problem) for problem in problems[:SHOWN]]
        if len(problems) > SHOWN:
            lines.append(f"and {len(problems) - SHOWN} more")
        super().__init__("\n".join(lines))
        self.problems = tuple(problems)


def read(path: Path, part: str) -> list[Row]:
    """The rows of a manifest; labels outside the taxonomy are kept and say nothing.

    Raises ManifestError where the table cannot be read, lacks a column, or has a row without its
    text or file.
    """
    rows, problems = scan(path, part)
    if problems:
        raise ManifestError(problems)
    return rows


def write(rows: Iterable[Row], path: Path) -> None:
    """Write rows as a CSV manifest, which `read` reads back; files relative to it."""
    folder = path.resolve().parent
    with path.open("w", newline="", encoding="utf-8") as file:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            key = "text" if row.part == "text" else "file"
            if writer is None:
                writer = csv.DictWriter(file, (key, "label", *OPTIONAL), lineterminator="\n")
                writer.writeheader()
            content = row.content if key == "text" else _relative(row.content, folder)
            values = {name: getattr(row, name) or "" for name in OPTIONAL}
            writer.writerow({key: content, "label": row.label, **values})


def _relative(content: str, folder: Path) -> str:
    archive, member = in_archive(content)
    path = Path(archive).resolve()
    try:
        shown = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive
        shown = str(path)
    return f"{shown}!{member}" if member else shown


def scan(path: Path, part: str) -> tuple[list[Row], list[Problem]]:
    """Rows that have their text or file, and a problem for each that has not."""
    key = "text" if part == "text" else "file"
    table, problems = _table(path, (key, "label"))
    values_of = [values for _, values in table]
    numbers = [_number(values["label"]) for values in values_of]
    rated = bool(numbers) and None not in numbers
    rows: list[Row] = []
    for (line, values), number in zip(table, numbers, strict=True):
        content = values[key]
        if key == "file" and content:
            content = _resolved(path.parent, content)
        split = values.get("split", "")
        rows.append(
            Row(
                str(path),
                content,
                SPLIT_NAMES.get(split.casefold(), split),
                values["label"],
                rating=number if rated else None,
                language=values.get("language") or values.get("lang") or "",
                speaker=values.get("speaker", ""),
                gender=values.get("gender", ""),
                dialogue=values.get("dialogue", ""),
                source=values.get("source", ""),
                line=line,
                part=part,
            )
        )
    if not rated:
        rows = labelled(rows, [values.get("sentiment", "") for values in values_of])
    good = []
    for row in rows:
        reason = f"no {key}" if not row.content else _missing(row)
        if reason:
            problems.append(Problem(path, row.line, reason))
        else:
            good.append(row)
    return good, sorted(problems, key=lambda problem: problem.line)


def _table(
    path: Path, needed: Sequence[str]
) -> tuple[list[tuple[int, dict[str, str]]], list[Problem]]:
    """(line, values by column) of each row, and the lines whose values do not fit the columns."""
    problems: list[Problem] = []
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        lines = _parquet(path) if path.suffix == ".parquet" else _csv(path)
        header = [name.strip().casefold() for name in lines[0][1]] if lines else []
    except FileNotFoundError:
        raise ManifestError([Problem(path, 0, "no such file")]) from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        reason = f"cannot be read as {path.suffix} in UTF-8 ({type(error).__name__})"
        raise ManifestError([Problem(path, 0, reason)]) from error
    missing = [name for name in needed if name not in header]
    if missing:
        has = f", only {', '.join(header)}" if header else ""
        problems = [Problem(path, 1, f"no column {name}{has}") for name in missing]
        raise ManifestError(problems)
    for line, values in lines[1:]:
        if len(values) != len(header):
            problems.append(Problem(path, line, f"{len(values)} values for {len(header)} columns"))
        else:
            stripped = (value.strip() for value in values)
            rows.append((line, dict(zip(header, stripped, strict=True))))
    if not rows and not problems:
        raise ManifestError([Problem(path, 0, "no rows")])
    return rows, problems


def _csv(path: Path) -> list[tuple[int, list[str]]]:
    """(line it starts at, values) of each row that is not blank, the header first."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    lines = []
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        start = 1
        try:
            for values in reader:
                if values:
                    lines.append((start, values))
                start = reader.line_num + 1
        except csv.Error as error:
            raise ManifestError([Problem(path, start, str(error))]) from error
    return lines


def _parquet(path: Path) -> list[tuple[int, list[str]]]:
    import pyarrow.parquet as parquet  # of no use to who has no such table, and slow to import

    columns = parquet.read_table(path).to_pydict()
    rows = zip(*columns.values(), strict=True)
    texts = (["" if value is None else str(value) for value in row] for row in rows)
    return [(0, list(columns)), *enumerate(texts, 1)]


def _resolved(folder: Path, file: str) -> str:
    archive, member = in_archive(file)
    path = (folder / archive).resolve()
    return f"{path}!{member}" if member else str(path)


def _missing(row: Row) -> str:
    """Why a row's file is not there; empty where it is, or where it needs none."""
    if row.part == "text":
        return ""
    archive, member = in_archive(row.content)
    if not Path(archive).is_file():
        return f"no file {archive}"
    if member:
        try:
            open_archive(archive).getinfo(member)
        except KeyError:
            return f"no {member} in {archive}"
        except (OSError, zipfile.BadZipFile):
            return f"{archive} is no zip archive"
    return ""


def _number(label: str) -> float | None:
    try:
        number = float(label)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
