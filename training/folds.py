"""'Recipe, k-fold': the voice recipe on speakers, or a whole set, of which it knows nothing.

The shipped weights are judged on few test speakers. Here each speaker of a set is held out in
turn, or the set as a whole; nothing of what is held out trains, standardises or calibrates
anything. A head reads each clip by itself, and after others of its speaker, unlabelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import recall_score

import weights
from modalities.reading import EMOTIONS
from modalities.voice import model as voice_model
from modalities.voice.head import VoiceDimensions, calibrated, doubt_of
from training import voice
from training.clips import allowed
from training.evaluation.metrics import expected_calibration_error
from training.heard import Table
from training.loop import fingerprint
from training.rows import load, sets_of
from training.voice_head import (
    RECIPE,
    WAYS,
    Read,
    answered,
    calibrate,
    folds,
    read,
    teach,
    untaught,
)

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Judged:
    """UAR and ECE of n answers, in [0, 1]."""

    uar: float
    ece: float
    n: int


@dataclass(frozen=True, eq=False)
class Answers:
    """What heads say of all clips of a table whose speakers, or whose set, they did not hear:
    log-probabilities of emotions (n, 7) for each of WAYS."""

    table: Table
    said: Mapping[str, NDArray[np.float32]]

    def judged(
        self, name: str, way: str, classes: Sequence[str] = EMOTIONS, copies: bool = False
    ) -> Judged:
        """Judge the clips of a set, or their damaged copies, among `classes` that it has."""
        items = self.table.items
        asked = np.array(
            [
                item.data_set == name and EMOTIONS[item.emotion] in classes and copy == copies
                for item, copy in zip(items, self.table.is_copy, strict=True)
            ]
        )
        left_out = torch.tensor([one not in classes for one in EMOTIONS])
        chosen = [items[place] for place in np.flatnonzero(asked)]
        said = allowed(torch.from_numpy(self.said[way][asked]), chosen)
        p = said.masked_fill(left_out, -1e4).softmax(-1).numpy()
        truth, answer = np.array([item.emotion for item in chosen]), p.argmax(1)
        return Judged(
            float(recall_score(truth, answer, labels=sorted(set(truth)), average="macro")),
            float(expected_calibration_error(p.max(1), answer == truth)),
            len(truth),
        )


def tabulate() -> tuple[VoiceDimensions, Table]:
    """Hear all clips of all voice sets, with the blocks of the embedded model."""
    model = voice_model.load(weights.path_of("voice"))
    rows = [row for name in sets_of("voice") for row in load("voice", name)]
    return model.dims, voice.heard(model.blocks, rows, SPLITS)


def held_out_speakers(dims: VoiceDimensions, table: Table, folder: Path) -> Answers:
    """Answer for each fold's speakers by a head of all other clips of all sets, calibrated on the
    other folds' answers."""
    found = answered(dims, table, RECIPE, folder / "speakers", key_of(table))
    fold_of = folds(table)
    said = {way: np.zeros((len(table.items), len(EMOTIONS)), np.float32) for way in found}
    for fold in range(int(fold_of.max()) + 1):
        others, asked = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        kept = [Read(one.sentiment[others], one.emotions[others]) for one in found.values()]
        temperature = calibrate(table[others], kept)
        for way, one in found.items():
            said[way][asked] = log_emotions(
                Read(one.sentiment[asked], one.emotions[asked]), table[asked], temperature
            )
    return Answers(table, said)


def held_out_sets(dims: VoiceDimensions, table: Table, folder: Path) -> Answers:
    """Answer for each set by a head of the other sets, calibrated as the shipped one is."""
    names = np.array([item.data_set for item in table.items])
    temperature = voice_model.load(weights.path_of("voice")).temperature
    said = {way: np.zeros((len(names), len(EMOTIONS)), np.float32) for way in WAYS}
    for name in dict.fromkeys(names.tolist()):
        others, asked = table[np.flatnonzero(names != name)], np.flatnonzero(names == name)
        head = untaught(dims, others)
        teach(head, others, RECIPE, folder / f"without-{name}", key_of(others))
        for way, (n_before, one_mood) in WAYS.items():
            one = read(head, table[asked], n_before, one_mood)
            said[way][asked] = log_emotions(one, table[asked], temperature)
    return Answers(table, said)


def log_emotions(one: Read, table: Table, temperature: dict[str, float]) -> NDArray[np.float32]:
    """Calibrate a head's answers (n, 7) as the service does."""
    doubt = doubt_of(table.quality[:, 0])
    found: NDArray[np.float32] = calibrated(one.sentiment, one.emotions, doubt, temperature)[
        1
    ].numpy()
    return found


def key_of(table: Table) -> str:
    """Name a table by its contents."""
    return fingerprint(table.items, table.is_copy.tolist())
