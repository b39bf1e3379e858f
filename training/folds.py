"""'Recipe, k-fold': the voice recipe on speakers, or a whole corpus, of which it knows nothing.

The shipped weights are judged on few test speakers. Here each speaker of a set is held out in
turn, or the set as a whole; nothing of what is held out trains, standardises, stops or calibrates
anything. For time's sake the model is the recipe's wide path alone, without its encoder, on
functionals that are computed once, and its paths are not weighed on `dev`.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import recall_score
from torch import Tensor

from modalities.reading import EMOTIONS
from modalities.voice.model import WidePath, features, summed
from training.augment import another_speaker
from training.clips import Clip, allowed, clips, head_loss, sentiment_weights
from training.evaluation.baselines import FOUR, speaker_folds, voice_folds, voice_from_other_sets
from training.loop import Recipe, fit
from training.rows import Row, load, sets_of
from training.voice import DIMS, OTHER_VOICE, SHARES, Sampler, functionals_of, variants

# Of a clip's variants, each in its own voice and in another.
VOICE_SHARES = [share * voice for share in SHARES for voice in (1 - OTHER_VOICE, OTHER_VOICE)]
RECIPE = Recipe(epochs=12, learning_rate=1e-3, patience=12)


@dataclass(frozen=True)
class Compared:
    """UAR in [0, 1] of the recipe and of functionals with a support vector machine."""

    recipe: float
    robust: float  # its path over the vocal effort by itself
    baseline: float


@dataclass(frozen=True, eq=False)
class Table:
    """Functionals of n clips: as they are (n, f), and as training hears them (v, n, f)."""

    rows: list[Row]
    items: list[Clip]
    plain: Tensor
    heard: Tensor


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
    path = folder / "functionals.pt"
    if not path.exists():
        torch.manual_seed(RECIPE.seed)
        plain = functionals_of([features(item.samples(), DIMS) for item in items])
        made = variants(folder, items, DIMS)
        voices = (Tensor.float, lambda frames: another_speaker(frames.float(), DIMS.n_mels))
        heard = [
            functionals_of([voice(frames[v]) for frames in made])
            for v in range(len(SHARES))
            for voice in voices
        ]
        torch.save((plain, torch.stack(heard)), path)
    return Table(rows, items, *torch.load(path, weights_only=True))


def _answers(
    table: Table, learnt: NDArray[np.bool_], asked: NDArray[np.bool_], classes: Sequence[str]
) -> NDArray[np.intp]:
    """(2, n) indices in EMOTIONS, among `classes` that the item's set can have.

    The sum of the paths answers first, the robust path by itself second.
    """
    model = _trained(table, np.flatnonzero(learnt))
    chosen = np.flatnonzero(asked)
    items = [table.items[i] for i in chosen]
    with torch.inference_mode():
        paths = model(table.plain[chosen])
    others = torch.tensor([name not in classes for name in EMOTIONS])
    found = [
        allowed(emotions, items).masked_fill(others, -1e4).argmax(-1)
        for _, emotions in (summed(paths), paths[-1])
    ]
    answers: NDArray[np.intp] = torch.stack(found).numpy()
    return answers


def _trained(table: Table, learnt: NDArray[np.intp]) -> WidePath:
    torch.manual_seed(RECIPE.seed)
    model = WidePath(DIMS, dropout=0.5)
    heard = table.heard[:, learnt]  # (v, n, f)
    model.mean.copy_(heard.mean((0, 1)))
    model.deviation.copy_(heard.std((0, 1)).clamp(min=1e-2))
    items = [table.items[i] for i in learnt]
    sampler = Sampler(items, [list(range(len(heard)))] * len(items), VOICE_SHARES, RECIPE.seed)
    weights = sentiment_weights(items, sampler.weights)
    index_of = {id(item): i for i, item in enumerate(items)}

    def loss(batch: tuple[list[Clip], list[int]]) -> Tensor:
        drawn, variant = batch
        paths = model(heard[variant, [index_of[id(item)] for item in drawn]])
        paths.append(summed(paths))
        return torch.stack([head_loss(s, e, drawn, weights) for s, e in paths]).sum()

    epoch = itertools.count()
    with tempfile.TemporaryDirectory() as run_dir:
        fit(
            model,
            batches=sampler.batches,
            steps_per_epoch=len(sampler),
            loss=loss,
            validate=lambda: float(next(epoch)),  # nothing chooses: the last weights are kept
            recipe=RECIPE,
            run_dir=Path(run_dir),
        )
    return model


def _uar(table: Table, judged: NDArray[np.bool_], answers: NDArray[np.intp]) -> tuple[float, float]:
    """Of both rows of answers (2, n), over the items judged (n,)."""
    truth = [item.emotion for item, taken in zip(table.items, judged, strict=True) if taken]
    classes = sorted(set(truth))
    ours, robust = (
        float(recall_score(truth, row[judged], labels=classes, average="macro")) for row in answers
    )
    return ours, robust
