"""Judge a checkpoint on a split of a set: figures anyone can rerun (`emotion evaluate`).

The answer is the most probable among the classes that occur in the split's mapped labels, the
probabilities renormalised over them; rows without a label of ours, or with several, are skipped
and counted. Nothing is chosen or tuned here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, recall_score

from fusion.labels import EMOTION_OF, emotion_of, sentiment_of
from modalities.errors import InputError
from modalities.reading import EMOTIONS, SENTIMENTS
from training import data, image, text, voice

TEXT_SETS = (*text.SETS,)
IMAGE_SETS = {"fer": image.fer_rows, "stickers": image.sticker_rows}


@dataclass(frozen=True)
class Figures:
    """What `emotion evaluate --json` prints; all but the counts in [0, 1]."""

    set: str
    split: str
    head: str  # "emotion" or "sentiment"
    classes: list[str]
    n: int
    skipped: int
    accuracy: float
    macro_f1: float
    weighted_f1: float
    uar: float
    ece: float


def evaluate(modality: str, data_set: str, split: str, weights: Path) -> list[Figures]:
    """Figures of the checkpoint `weights` for each head that the set has labels for.

    Raises InputError on a set or split that this modality does not have.
    """
    rows, log_sentiment, log_emotions = _predict(modality, data_set, split, weights)
    name = "fer" if modality == "image" else data_set
    heads = {
        "emotion": (EMOTIONS, log_emotions, [emotion_of(name, row["label"]) for row in rows]),
        "sentiment": (
            SENTIMENTS,
            log_sentiment,
            [sentiment_of(name, row["label"], row.get("sentiment", "")) for row in rows],
        ),
    }
    if name not in EMOTION_OF:
        heads.pop("emotion")
    return [
        _figures(data_set, split, head, classes, log_p, labels)
        for head, (classes, log_p, labels) in heads.items()
    ]


def expected_calibration_error(
    probabilities: np.ndarray, correct: np.ndarray, n_bins: int = 15
) -> float:
    """ECE over equal-width bins of the top probability (n,) (Guo et al. 2017, §2)."""
    bins = np.minimum((probabilities * n_bins).astype(int), n_bins - 1)
    gaps = [
        abs(probabilities[bins == b].mean() - correct[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    ]
    return float(sum(gaps))


def _predict(
    modality: str, data_set: str, split: str, weights: Path
) -> tuple[list[dict[str, str]], np.ndarray, np.ndarray]:
    sets: Sequence[str] = {
        "text": TEXT_SETS,
        "voice": voice.SETS,
        "image": tuple(IMAGE_SETS),
    }[modality]
    if data_set not in sets:
        raise InputError(f"{modality} has the sets {', '.join(sets)}", "data")
    if modality == "text":
        rows = [row for row in data.text_rows(data_set) if row["text"].strip()]
    elif modality == "voice":
        rows = data.speech_rows(data_set)
    else:
        rows = [{**row, "split": split} for row in IMAGE_SETS[data_set](split)]
    rows = [row for row in rows if row["split"] == split]
    if not rows:
        raise InputError(f"{data_set} has no split {split}", "split")
    if modality == "text":
        return rows, *text.predict(weights, [row["text"] for row in rows])
    if modality == "voice":
        return rows, *voice.predict(weights, rows)
    return rows, *image.predict(weights, image.load_items(rows))


def _figures(
    data_set: str,
    split: str,
    head: str,
    names: Sequence[str],
    log_p: np.ndarray,
    labels: Sequence[str | None],
) -> Figures:
    kept = [row for row, label in enumerate(labels) if label]
    truth = np.array([names.index(labels[row] or "") for row in kept])
    classes = np.unique(truth)
    p = np.exp(log_p[kept][:, classes])
    p /= p.sum(-1, keepdims=True)
    answer = classes[p.argmax(-1)]
    return Figures(
        set=data_set,
        split=split,
        head=head,
        classes=[names[c] for c in classes],
        n=len(kept),
        skipped=len(labels) - len(kept),
        accuracy=round(float(accuracy_score(truth, answer)), 4),
        macro_f1=round(float(f1_score(truth, answer, average="macro")), 4),
        weighted_f1=round(float(f1_score(truth, answer, average="weighted")), 4),
        uar=round(float(recall_score(truth, answer, average="macro")), 4),
        ece=round(expected_calibration_error(p.max(-1), answer == truth), 4),
    )
