"""Figures of parts of a set: a language, a speaker, a gender, a length, a source, a kind."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from training.data import text_rows
from training.evaluation.judge import Rated, Result
from training.evaluation.metrics import answer_figures, number_figures
from training.rows import Row, read_bytes

FEWEST, MOST = 20, 30  # rows that a slice needs; slices of one kind that are shown, largest first
FIELDS = ("source", "language", "gender", "speaker")
WRITTEN = "written"  # the project's own set

# kind → value → figures: n with accuracy, macro_f1, uar …; or n with spearman, pearson
Slices = Mapping[str, Mapping[str, Mapping[str, Any]]]


def slices(part: str, result: Result) -> Slices:
    """Figures of a result's slices, where a kind has two or more of at least FEWEST rows.

    Means over classes are over those that the slice's truth holds.
    """
    if isinstance(result, Rated):
        ratings = np.array([row.rating for row in result.rows], np.float64)
        return {
            kind: {value: vars(number_figures(result.scores[m], ratings[m])) for value, m in masks}
            for kind, masks in _masks(part, result.rows).items()
        }
    return class_slices(part, result.rows, result.truth, result.answer)


def class_slices(
    part: str, rows: Sequence[Row], truth: NDArray[np.intp], answer: NDArray[np.intp]
) -> Slices:
    """`slices` of any answers (n,) to `rows`."""
    return {
        kind: {
            value: {"n": int(mask.sum()), **answer_figures(truth[mask], answer[mask])}
            for value, mask in masks
        }
        for kind, masks in _masks(part, rows).items()
    }


def _masks(part: str, rows: Sequence[Row]) -> dict[str, list[tuple[str, NDArray[np.bool_]]]]:
    values = {field: np.array([getattr(row, field) for row in rows]) for field in FIELDS}
    if part != "image":
        values["length"] = _quarters(part, rows)
    if part == "text":
        values["kind"] = kinds(rows)
    found = {}
    for kind, column in values.items():
        names, counts = np.unique(column[column != ""], return_counts=True)
        large = [
            str(names[i]) for i in np.argsort(-counts, kind="stable")[:MOST] if counts[i] >= FEWEST
        ]
        if len(large) > 1:
            found[kind] = [(name, column == name) for name in sorted(large)]
    return found


def kinds(rows: Sequence[Row]) -> NDArray[np.str_]:
    """What each of the project's own messages was written as (n,): sarcasm, a courtesy, an agent's
    word …; "" for rows of other sets, which have no such column."""
    if not any(row.data_set == WRITTEN for row in rows):
        return np.full(len(rows), "")
    kind_of = {row["text"].strip(): row["kind"] for row in text_rows(WRITTEN)}
    return np.array([kind_of.get(r.content, "") if r.data_set == WRITTEN else "" for r in rows])


def _quarters(part: str, rows: Sequence[Row]) -> NDArray[np.str_]:
    """Each row's quarter by length: characters of a text, seconds of a recording."""
    unit = "characters" if part == "text" else "s"
    lengths = np.array([len(row.content) if part == "text" else _seconds(row) for row in rows])
    edges = np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1])
    quarter = np.searchsorted(edges[1:-1], lengths, side="left")
    names = [
        f"{place}: {low:.3g} to {high:.3g} {unit}"
        for place, (low, high) in enumerate(pairwise(edges), 1)
    ]
    return np.array(names)[quarter]


def _seconds(row: Row) -> float:
    """What the container states; 0 where it states nothing."""
    with av.open(io.BytesIO(read_bytes(row.content))) as container:
        return (container.duration or 0) / av.time_base
