"""The satisfaction recipe: the head of `fusion.satisfaction` on rated conversations.

Chinese helpdesk dialogues, their English twins and the conversations written for this project train
one head; twins always share a split or a fold. The text model behind the embeddings has seen no
helpdesk dialogue. A ridge draws its answers towards the mean, so they are stretched until those of
heads that did not see a conversation lie as far apart as the ratings. The constants were chosen by
5-fold cross-validation on the train splits.

`python -m training.satisfaction` prints the figures of the recipe, all answers out of fold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.kernel_ridge import KernelRidge

import weights as bundle
from fusion import satisfaction
from fusion.satisfaction import KIND, PANEL, READER, SatisfactionDimensions, SatisfactionHead, Turn
from modalities.errors import InputError, UnavailableError
from modalities.model import infer_all
from modalities.text.infer import TextReader
from modalities.text.prepare import PreparedText
from training import hashes
from training.evaluation import conversations
from training.evaluation.baselines import dialogue_folds
from training.evaluation.metrics import number_figures

N_BUCKETS = 1 << 14
ALPHA = 2.0  # of the ridge
EMBEDDING_SCALE, OTHER_SCALE = 0.03, 0.06  # once standardised, beside n-gram slots of length 1
OWN = 1.0  # of what a kind of rater has for itself, beside what both share
MOST_RATED = 2.0  # the raters' scale is −2 … 2
CHUNK = 64

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Conversation:
    """A conversation as the service reads it, with the raters' mean in [−1, 1]."""

    data_set: str
    dialogue: str  # the same for twins
    language: str
    split: str
    turns: list[Turn]
    satisfaction: float


def read(reader: TextReader, dialogues: Sequence[dict[str, Any]]) -> list[list[Turn]]:
    """The turns of dialogues (as `training.evaluation.conversations` has them), each read with
    those before it; what cannot be read is left out, as the service does."""
    prepared: list[PreparedText] = []
    roles: list[list[tuple[str, str]]] = []
    for dialogue in dialogues:
        spoken: list[tuple[str, str]] = []
        for role, text in conversations.said(dialogue):
            try:
                prepared.append(reader.prepare(text, conversations.before(spoken, role)))
            except (InputError, UnavailableError):
                continue
            spoken.append((role, text))
        roles.append(spoken)
    readings = iter(infer_all(reader, prepared, CHUNK))
    return [
        [
            Turn.of(next(readings), text, from_customer=role == conversations.CUSTOMER)
            for role, text in spoken
        ]
        for spoken in roles
    ]


def rated(reader: TextReader, split: str | None = None) -> list[Conversation]:
    """All rated conversations, or those of one split, in which the customer says something."""
    made = []
    for name in conversations.NAMED:
        dialogues = conversations.load(name, split)
        for dialogue, turns in zip(dialogues, read(reader, dialogues), strict=True):
            if any(turn.from_customer for turn in turns):
                row = conversations.row_of(dialogue)
                assert row.rating is not None
                mean = row.rating / MOST_RATED
                made.append(Conversation(name, row.dialogue, row.language, row.split, turns, mean))
    return made


def fit(items: Sequence[Conversation], text_revision: str) -> SatisfactionHead:
    """A head for the embeddings that the items have, of the text model `text_revision`."""
    dims = SatisfactionDimensions(len(items[0].turns[0].embedding), N_BUCKETS)
    dense = np.stack([satisfaction.dense_features(item.turns, dims) for item in items])
    n_grams = satisfaction.n_gram_features([item.turns for item in items], dims)
    mean, deviation = dense.mean(0), dense.std(0) + 1e-6
    scales = np.where(dims.is_embedding, EMBEDDING_SCALE, OTHER_SCALE) / deviation
    scaled = scales * (dense - mean)
    gram = scaled @ scaled.T + (n_grams @ n_grams.T).toarray()  # (n, n)
    ratings = np.array([item.satisfaction for item in items])
    is_written = np.array([_is_written(item) for item in items])

    apart = np.empty((len(items), 3))  # answers of heads that did not see the conversation
    folds = np.array(dialogue_folds([item.dialogue for item in items]))
    for fold in np.unique(folds):
        kept, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        dual = _dual(gram[np.ix_(kept, kept)], ratings[kept], is_written[kept])
        apart[held] = gram[np.ix_(held, kept)] @ dual
    stretch, bias = np.empty(3), np.empty(3)
    for row, of_row in ((PANEL, ~is_written), (READER, is_written)):
        stretch[row] = ratings[of_row].std() / apart[of_row, row].std()
        bias[row] = ratings[of_row].mean() - stretch[row] * apart[of_row, row].mean()
    posts, chats = (apart[of_kind, KIND].mean() for of_kind in (~is_written, is_written))
    stretch[KIND] = 2 / (chats - posts)  # to −1 and 1
    bias[KIND] = -stretch[KIND] * (chats + posts) / 2

    dual = stretch * _dual(gram, ratings, is_written)
    weights = scales * (scaled.T @ dual).T
    return SatisfactionHead(
        dims,
        weights,
        (n_grams.T @ dual).T.reshape(3, dims.n_slots, dims.n_buckets),
        bias - weights @ mean,
        text_revision=text_revision,
    )


def train(text_weights: Path, out: Path) -> None:
    """Fit on the train splits, write `out`."""
    reader = TextReader.load(text_weights)
    items = rated(reader, "train")
    fit(items, reader.revision).save(
        out,
        recipe={
            "alpha": ALPHA,
            "embedding_scale": EMBEDDING_SCALE,
            "other_scale": OTHER_SCALE,
            "own": OWN,
            "dialogues": len(items),
        },
    )
    known = [d for name in conversations.NAMED for d in conversations.load(name, "train")]
    hashes.save(out, map(conversations.row_of, known))


def predict(weights: Path, dialogues: Sequence[dict[str, Any]]) -> Array:
    """(n,) in [−1, 1], by the bundle in the folder `weights`."""
    reader = TextReader.load(weights / "text.safetensors")
    head = SatisfactionHead.load(weights / "satisfaction.safetensors")
    return head.predict(read(reader, dialogues))


def folded(items: Sequence[Conversation]) -> Array:
    """(n,) predictions of heads that have not seen the dialogue or its twin. Of the written ones
    those of `train` alone teach: the others are of topics held out."""
    folds = np.array(dialogue_folds([item.dialogue for item in items]))
    teaches = np.array([not _is_written(item) or item.split == "train" for item in items])
    answers = np.empty(len(items))
    for fold in np.unique(folds):
        learned, held = (
            [one for one, chosen in zip(items, mask, strict=True) if chosen]
            for mask in ((folds != fold) & teaches, folds == fold)
        )
        answers[folds == fold] = fit(learned, "").predict([one.turns for one in held])
    return answers


def _dual(gram: Array, ratings: Array, is_written: NDArray[np.bool_]) -> Array:
    """What each of n conversations adds (n, 3) to the head's rows, by the inner products (n, n) of
    their features.

    Each kind of rater has a share of its own and one with the other (Daumé, "Frustratingly easy
    domain adaptation", ACL 2007).
    """
    kinds = np.stack([~is_written, is_written])  # (2, n)
    centre = kinds.T @ [ratings[of_kind].mean() for of_kind in kinds]
    own = 1 + OWN * np.equal.outer(is_written, is_written)
    of_rating = KernelRidge(alpha=ALPHA, kernel="precomputed").fit(gram * own, ratings - centre)
    panel, reader = of_rating.dual_coef_ * (1 + OWN * kinds)
    balanced = 0.5 / (kinds.T @ kinds.mean(1))
    of_kind = KernelRidge(alpha=ALPHA, kernel="precomputed").fit(
        gram, 2.0 * is_written - 1, sample_weight=balanced
    )
    return np.stack([panel, reader, of_kind.dual_coef_], 1)


def _is_written(item: Conversation) -> bool:
    return item.data_set == conversations.WRITTEN


def _lines(items: Sequence[Conversation], predicted: Array) -> Iterator[str]:
    """Figures of each set, of the written conversations by split."""
    ratings = np.array([item.satisfaction for item in items])
    names = [
        f"{item.data_set}, {item.split}" if _is_written(item) else item.data_set for item in items
    ]
    for name in dict.fromkeys(names):
        mask = np.array(names) == name
        figures = number_figures(predicted[mask], ratings[mask])
        error = np.abs(predicted[mask] - ratings[mask]).mean()
        spread = predicted[mask].std() / ratings[mask].std()
        yield (
            f"{name}: n {figures.n}, Spearman {figures.spearman:.4f}, "
            f"Pearson {figures.pearson:.4f}, mean absolute error {error:.4f}, "
            f"standard deviation {spread:.2f} of the ratings'"
        )


if __name__ == "__main__":
    everything = rated(TextReader.load(bundle.path_of("text")))
    print(*_lines(everything, folded(everything)), sep="\n")
