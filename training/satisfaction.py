"""The satisfaction recipe: the head of `fusion.satisfaction` on rated helpdesk dialogues.

Chinese dialogues and their English twins train one head; twins always share a split or a fold.
The text model behind the embeddings has seen no helpdesk dialogue. `SCALE` and `ALPHA` were
chosen by 5-fold cross-validation on the train split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from fusion import satisfaction
from fusion.satisfaction import SatisfactionDimensions, SatisfactionHead, Turn
from modalities.model import infer_all
from modalities.text.infer import TextReader
from training import hashes
from training.data import helpdesk
from training.evaluation import conversations
from training.evaluation.baselines import dialogue_folds

LANGUAGES = ("zh", "en")
N_BUCKETS = 1 << 14
ALPHA = 1.0  # of the ridge
SCALE = 0.01  # of the standardised dense features beside n-gram slots of length 1
MOST_RATED = 2.0  # the raters' scale is −2 … 2
CHUNK = 64


@dataclass(frozen=True, eq=False)
class Conversation:
    """A dialogue as the service reads it, with the raters' mean in [−1, 1]."""

    dialogue: str  # the same for twins
    language: str
    split: str
    turns: list[Turn]
    satisfaction: float


def read(reader: TextReader, dialogues: Sequence[dict[str, Any]]) -> list[list[Turn]]:
    """The turns of helpdesk dialogues (as `training.data.helpdesk` has them), read by `reader`."""
    texts = ["\n".join(said) for dialogue in dialogues for _, said in dialogue["turns"]]
    kept = [row for row, text in enumerate(texts) if text.strip()]
    prepared = [reader.prepare(texts[row]) for row in kept]
    readings = dict(zip(kept, infer_all(reader, prepared, CHUNK), strict=True))
    made, row = [], 0
    for dialogue in dialogues:
        turns = []
        for role, _ in dialogue["turns"]:
            if reading := readings.get(row):
                turns.append(Turn.of(reading, texts[row], from_customer=role == "customer"))
            row += 1
        made.append(turns)
    return made


def rated(reader: TextReader, languages: Sequence[str] = LANGUAGES) -> list[Conversation]:
    """All rated dialogues in which the customer says something."""
    made = []
    for language in languages:
        dialogues = helpdesk(language)
        for dialogue, turns in zip(dialogues, read(reader, dialogues), strict=True):
            if any(turn.from_customer for turn in turns):
                mean = dialogue["satisfaction_mean"] / MOST_RATED
                made.append(
                    Conversation(str(dialogue["id"]), language, dialogue["split"], turns, mean)
                )
    return made


def fit(items: Sequence[Conversation], text_revision: str) -> SatisfactionHead:
    """A head for the embeddings that the items have, of the text model `text_revision`."""
    dims = SatisfactionDimensions(len(items[0].turns[0].embedding), N_BUCKETS)
    dense = np.stack([satisfaction.dense_features(item.turns, dims) for item in items])
    n_grams = satisfaction.n_gram_features([item.turns for item in items], dims)
    mean, deviation = dense.mean(0), dense.std(0) + 1e-6
    standard = sp.csr_matrix(SCALE * (dense - mean) / deviation)
    ridge = Ridge(ALPHA).fit(
        sp.hstack([standard, n_grams]).tocsr(), [item.satisfaction for item in items]
    )
    weights = SCALE * ridge.coef_[: dims.n_dense] / deviation
    bias = float(ridge.intercept_ - weights @ mean)
    return SatisfactionHead(
        dims, weights, ridge.coef_[dims.n_dense :], bias, text_revision=text_revision
    )


def train(text_weights: Path, out: Path) -> None:
    """Fit on the train split, write `out`."""
    reader = TextReader.load(text_weights)
    items = [item for item in rated(reader) if item.split == "train"]
    fit(items, reader.revision).save(
        out,
        recipe={"alpha": ALPHA, "scale": SCALE, "dialogues": len(items)},
    )
    known = [
        d for language in LANGUAGES for d in conversations.load(f"helpdesk_{language}", "train")
    ]
    hashes.save(out, map(conversations.row_of, known))


def predict(weights: Path, dialogues: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
    """(n,) in [−1, 1], by the bundle in the folder `weights`."""
    reader = TextReader.load(weights / "text.safetensors")
    head = SatisfactionHead.load(weights / "satisfaction.safetensors")
    return head.predict(read(reader, dialogues))


def folded(items: Sequence[Conversation]) -> NDArray[np.float64]:
    """(n,) predictions of heads that have not seen the dialogue or its twin."""
    folds = np.array(dialogue_folds([item.dialogue for item in items]))
    answers = np.empty(len(items))
    for fold in np.unique(folds):
        head = fit([one for one, of in zip(items, folds, strict=True) if of != fold], "")
        held = [one.turns for one, of in zip(items, folds, strict=True) if of == fold]
        answers[folds == fold] = head.predict(held)
    return answers
