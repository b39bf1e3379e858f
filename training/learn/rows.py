"""What a part learns from: new labels, and a replay of what it has learned before."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from modalities.errors import InputError
from training import checks
from training.learn import gate_sets
from training.rows import Row, sets_of

SEED = 20261124


@dataclass(frozen=True)
class Learning:
    """Rows by what they are for. `dev` holds what is in no gate of the shipped sets' own, and the
    new rows' held-out share: it stops and calibrates."""

    new: list[Row]
    replay: list[Row]
    dev: list[Row]
    gate: list[Row]
    unlabelled: list[Row] = field(default_factory=list)


def gather(
    part: str, manifest: str, n_replay: int, n_dev: int, unlabelled: Sequence[Row] = ()
) -> Learning:
    """The rows of a manifest, which states splits, beside `n_replay` train rows and `n_dev` dev
    rows of the shipped sets. What is also in a later split is dropped, of `unlabelled` rows too.

    Raises ManifestError as `checks.prepare`, and InputError where no row of the manifest is left
    to learn from.
    """
    rows = checks.prepare(part, [*sets_of(part), manifest]).rows
    by_split: dict[str, list[Row]] = defaultdict(list)
    new: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        (new if row.data_set == manifest else by_split)[row.split].append(row)
    if not new["train"]:
        raise InputError("no row to train on is left: dev, test or the gate has them all", "data")
    gate, rest = gate_sets.divided(part, by_split["dev"])
    kept: list[Row] = []
    if unlabelled:
        held_out = [*by_split["dev"], *by_split["test"], *new["dev"], *new["test"]]
        kept = [
            row
            for row in checks.without_duplicates([*unlabelled, *held_out])[0]
            if row.split == "train"
        ]
    replay, dev = sample(by_split["train"], n_replay), new["dev"] + sample(rest, n_dev)
    return Learning(new["train"], replay, dev, gate, kept)


def sample(rows: Sequence[Row], n: int) -> list[Row]:
    """`n` of the rows that have a label, alike many of each set, of a set's classes as they come.

    A seeded, stratified sample; a set that has too few gives all it has.
    """
    by_set: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.emotion or row.sentiment:
            by_set[row.data_set].append(row)
    rng = random.Random(SEED)
    kept: list[Row] = []
    smallest_first = sorted(by_set, key=lambda name: (len(by_set[name]), name))
    for place, name in enumerate(smallest_first):
        share = (n - len(kept)) // (len(by_set) - place)
        by_label: dict[str, list[Row]] = defaultdict(list)
        for row in by_set[name]:
            by_label[row.label].append(row)
        # The k-th of a class' m rows stands at (k + ½) / m: any beginning holds each class's share.
        placed = []
        for label in by_label.values():
            rng.shuffle(label)
            placed += [((k + 0.5) / len(label), row) for k, row in enumerate(label)]
        placed.sort(key=lambda pair: pair[0])
        kept += [row for _, row in placed[:share]]
    return kept
