"""'Recipe, k-fold': the voice recipe on speakers, or a whole corpus, of which it knows nothing.

The shipped weights are judged on few test speakers. Here each speaker of a set is held out in
turn, or the set as a whole; nothing of what is held out trains, standardises, stops or calibrates
anything. For time's sake the model is the recipe's wide path alone, without its encoder, on
functionals that are computed once, and its judges are not weighed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import recall_score
from torch import Tensor

from modalities.reading import EMOTIONS
from modalities.voice.model import features, summed
from modalities.voice.wide import weighed
from training import voice_wide
from training.clips import Clip, allowed, clips
from training.evaluation.baselines import FOUR, speaker_folds, voice_folds, voice_from_other_sets
from training.loop import fingerprint
from training.rows import Row, load, sets_of
from training.voice import DIMS, SCRATCH, SHARES, start, variants

RECIPE = SCRATCH


@dataclass(frozen=True)
class Compared:
    """UAR in [0, 1] of the recipe and of functionals with a support vector machine."""

    recipe: float
    robust: float  # its judge of vocal effort by itself
    baseline: float


@dataclass(frozen=True, eq=False)
class Table:
    """Functionals of n clips: as they are (n, f), and as training hears them (v, n, f), each of
    the v ways as often (v,) as `voice_wide.heard` says."""

    rows: list[Row]
    items: list[Clip]
    plain: Tensor
    heard: Tensor
    often: Tensor


def folds(source: str, table: Table) -> dict[str, Compared]:
    """Figures of the speech set `source` with its speakers held out, and with all of it."""
    return {
        "k-fold": held_out_speakers(source, table),
        "other sets": held_out_set(source, table),
    }


def held_out_speakers(source: str, table: Table) -> Compared:
    """Each fold of the set's speakers by a model of all other clips of all sets."""
    here = np.array([row.data_set == source for row in table.rows])
    answers = np.zeros((2, len(here)), np.intp)
    for held in speaker_folds([row for row in table.rows if row.data_set == source]):
        out = np.zeros_like(here)
        out[here] = held
        answers[:, out] = _answers(table, ~out, out, EMOTIONS)
    return Compared(*_uar(table, here, answers), voice_folds(source)["uar"])


def held_out_set(source: str, table: Table) -> Compared:
    """The set's clips of the emotions that all sets have, by a model of the other sets."""
    here = np.array([row.data_set == source for row in table.rows])
    asked = here & np.array([row.emotion in FOUR for row in table.rows])
    answers = np.zeros((2, len(here)), np.intp)
    answers[:, asked] = _answers(table, ~here, asked, FOUR)
    return Compared(*_uar(table, asked, answers), voice_from_other_sets(source)["uar"])


def tabulate(folder: Path) -> Table:
    """All clips of all speech sets; what was computed is kept in `folder`."""
    rows = [row for name in sets_of("voice") for row in load("voice", name) if row.emotion]
    rows.sort(key=lambda row: row.split)  # as below
    items = [
        item for split in sorted({row.split for row in rows}) for item in clips(rows, split, folder)
    ]
    key = fingerprint([row.content for row in rows], DIMS, SHARES)[:12]
    path = folder / f"functionals-{key}.pt"
    if not path.exists():
        plain = voice_wide.functionals_of([features(item.samples(), DIMS) for item in items])
        made = voice_wide.heard(variants(folder, items, DIMS), SHARES)
        torch.save((plain, *made), path)
    return Table(rows, items, *torch.load(path, weights_only=True))


def _answers(
    table: Table, learnt: NDArray[np.bool_], asked: NDArray[np.bool_], classes: Sequence[str]
) -> NDArray[np.intp]:
    """(2, n) indices in EMOTIONS, among `classes` that the item's set can have.

    The sum of the judges answers first, the robust one by itself second.
    """
    items = [table.items[i] for i in np.flatnonzero(learnt)]
    untaught = start(None, DIMS).wide
    assert untaught is not None
    wide = voice_wide.learnt(untaught, table.heard[:, learnt], table.often, items, RECIPE)
    chosen = np.flatnonzero(asked)
    items = [table.items[i] for i in chosen]
    with torch.inference_mode():
        judges, familiar = wide(table.plain[chosen])
    others = torch.tensor([name not in classes for name in EMOTIONS])
    found = [
        allowed(emotions, items).masked_fill(others, -1e4).argmax(-1)
        for _, emotions in (summed(weighed(judges, familiar)), judges[-1])
    ]
    answers: NDArray[np.intp] = torch.stack(found).numpy()
    return answers


def _uar(table: Table, judged: NDArray[np.bool_], answers: NDArray[np.intp]) -> tuple[float, float]:
    """Of both rows of answers (2, n), over the items judged (n,)."""
    truth = [item.emotion for item, taken in zip(table.items, judged, strict=True) if taken]
    classes = sorted(set(truth))
    ours, robust = (
        float(recall_score(truth, row[judged], labels=classes, average="macro")) for row in answers
    )
    return ours, robust
