"""What the text recipe learns from: token windows with their labels, weighed and batched."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from modalities.reading import EMOTIONS
from modalities.text.model import TextDimensions
from modalities.text.prepare import prepare
from training.pretrain import length_buckets
from training.rows import Row

BATCH_TOKENS = 2048
# How much a set counts where several are learned at once: noisy labels less, few rows more.
EMOTION_WEIGHT = {"ewect": 2.0, "weibo_moods": 0.3, "cped": 0.3, "meld": 1.5}
SENTIMENT_WEIGHT = {
    "ewect": 0.3, "weibo_moods": 0.1, "cped": 0.3, "goemotions": 0.2, "meld": 0.3,
    "shopping": 2.0, "airline": 3.0, "waimai": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class Example:
    windows: tuple[tuple[int, ...], ...]
    data_set: str
    allowed: tuple[bool, ...]  # (7,) emotions its set can hold; all where it holds none
    emotion: int  # index in EMOTIONS, −1 where the row has none
    sentiment: int  # index in SENTIMENTS, −1 where the row has none

    @property
    def window(self) -> tuple[int, ...]:
        """The first one, all that the deep path learns from: one row, one share of its time."""
        return self.windows[0]


@dataclass(frozen=True, eq=False)
class Weights:
    """What each example counts, (n,) a head, mean 1 over a set's labelled ones times its own."""

    emotion: NDArray[np.float64]
    sentiment: NDArray[np.float64]


def examples(
    rows: Sequence[Row],
    held: Mapping[str, Sequence[bool]],
    tokenizer: Tokenizer,
    dims: TextDimensions,
) -> list[Example]:
    """Windows and labels of the rows that have a label of ours; `held` is of `held_emotions`."""
    made = []
    for row in rows:
        if row.emotion is None and row.sentiment is None:
            continue
        allowed = tuple(held[row.data_set])
        made.append(
            Example(
                prepare(row.content, tokenizer, dims.n_ctx, dims.unk_id).windows,
                row.data_set,
                allowed if any(allowed) else (True,) * len(EMOTIONS),
                row.emotion_index,
                row.sentiment_index,
            )
        )
    return made


def weigh(items: Sequence[Example], balance: float, of_sentiment: Mapping[str, float]) -> Weights:
    """A class's weight goes with its frequency to the power −`balance`: 1 weighs classes alike."""
    sets = {item.data_set for item in items}
    found = []
    for head, of_set in (("emotion", EMOTION_WEIGHT), ("sentiment", of_sentiment)):
        labels = [(item.data_set, getattr(item, head)) for item in items]
        count = Counter(labels)
        mean: dict[str, float] = {}
        for name in sets:
            counts = [n for (where, label), n in count.items() if where == name and label >= 0]
            mean[name] = sum(n ** (1 - balance) for n in counts) / max(1, sum(counts))
        found.append(
            np.array(
                [
                    (of_set.get(name, 1.0) if len(sets) > 1 else 1.0)
                    * count[name, label] ** -balance
                    / mean[name]
                    if label >= 0
                    else 0.0
                    for name, label in labels
                ]
            )
        )
    return Weights(*found)


@dataclass(frozen=True)
class Batch:
    items: list[Example]
    emotion_weight: Tensor  # (b,)
    sentiment_weight: Tensor  # (b,)


def batches(items: Sequence[Example], weights: Weights, seed: int) -> list[Batch]:
    """Batches of similar length and at most BATCH_TOKENS padded tokens, in random order.

    A row that counts for less than 1 comes as seldom instead: that spares its computation.
    """
    rng = random.Random(seed)
    greatest = np.maximum(weights.emotion, weights.sentiment)  # (n,)
    drawn = [i for i, weight in enumerate(greatest) if rng.random() < weight]
    groups = length_buckets([len(items[i].window) for i in drawn], BATCH_TOKENS, rng)
    share = np.minimum(1.0, np.maximum(greatest, 1e-9))
    return [
        Batch(
            [items[i] for i in group],
            torch.tensor((weights.emotion / share)[group], dtype=torch.float32),
            torch.tensor((weights.sentiment / share)[group], dtype=torch.float32),
        )
        for group in ([drawn[place] for place in places] for places in groups)
    ]
