"""What the text recipe learns from: token windows with their labels, drawn and batched."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from modalities.errors import InputError, UnavailableError
from modalities.reading import EMOTIONS, SENTIMENTS
from modalities.text.model import TextDimensions
from modalities.text.prepare import Window, prepare
from training.rows import Row

BATCH_TOKENS = 2048
ALONE = 0.35  # of the turns of dialogues are learned without what was said before them
BALANCE = 0.5  # a class weighs as its frequency to the power −BALANCE: 1 weighs classes alike


@dataclass(frozen=True)
class Example:
    """A row with a label of ours; long texts by their first window alone: one row, one share of
    the time."""

    data_set: str
    alone: Window
    after: Window | None  # the same behind the turns before it, where there are any
    possible: tuple[tuple[bool, ...], tuple[bool, ...]]  # (3,) and (7,) that its set's labels say
    sentiment: int  # index in SENTIMENTS, −1 where the row has none
    emotion: int  # index in EMOTIONS, −1 where the row has none


@dataclass(frozen=True)
class Batch:
    items: list[Example]
    windows: list[Window]
    weights: tuple[Tensor, Tensor]  # (b,) of each head, sentiment first


def examples(
    rows: Sequence[Row],
    said: Mapping[str, tuple[tuple[bool, ...], tuple[bool, ...]]],
    tokenizer: Tokenizer,
    dims: TextDimensions,
) -> list[Example]:
    """The rows that have a label of ours and can be read; `said` is of `labels_said`."""
    made = []
    for row in rows:
        if not (row.emotion or row.sentiment):
            continue
        try:
            alone = prepare(row.content, tokenizer, dims).windows[0]
        except (InputError, UnavailableError):
            continue
        after = None
        if row.before and dims.same_id >= 0:
            after = prepare(row.content, tokenizer, dims, row.before).windows[0]
        made.append(
            Example(
                row.data_set,
                alone,
                after,
                said[row.data_set],
                row.sentiment_index,
                row.emotion_index,
            )
        )
    return made


def labels_said(rows: Sequence[Row]) -> dict[str, tuple[tuple[bool, ...], tuple[bool, ...]]]:
    """For each set which of SENTIMENTS and EMOTIONS its labels can say: EWECT has no disgust, and
    must not teach that nothing is. All of a head that a set says nothing of."""
    found: dict[str, set[str | None]] = defaultdict(set)
    for row in rows:
        found[row.data_set] |= {row.sentiment and f"sentiment/{row.sentiment}", row.emotion}
    made = {}
    for name, labels in found.items():
        sentiments = tuple(f"sentiment/{one}" in labels for one in SENTIMENTS)
        emotions = tuple(one in labels for one in EMOTIONS)
        made[name] = (
            sentiments if any(sentiments) else (True,) * len(SENTIMENTS),
            emotions if any(emotions) else (True,) * len(EMOTIONS),
        )
    return made


def class_weights(items: Sequence[Example]) -> dict[tuple[str, str, int], float]:
    """(set, head, label) → what such an example counts, 1 on average over the set."""
    made = {}
    for head in ("sentiment", "emotion"):
        count = Counter((item.data_set, getattr(item, head)) for item in items)
        for name in {item.data_set for item in items}:
            of_set = {
                label: n for (where, label), n in count.items() if where == name and label >= 0
            }
            total = sum(n ** (1 - BALANCE) for n in of_set.values())
            for label, n in of_set.items():
                made[name, head, label] = n**-BALANCE * sum(of_set.values()) / total
    return made


def draw(items: Sequence[Example], counts: Mapping[str, int], turn: int, seed: int) -> list[int]:
    """Places of what round `turn` learns: `counts` of each set, all of one that it does not name;
    a set is drawn whole before any of it comes again."""
    by_set: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        by_set[item.data_set].append(place)
    drawn = []
    for name, places in sorted(by_set.items()):
        n = counts.get(name, len(places))
        for k in range(turn * n, (turn + 1) * n):
            time, at = divmod(k, len(places))
            drawn.append(places[_order(len(places), f"{seed}/{name}/{time}")[at]])
    return drawn


_orders: dict[tuple[int, str], list[int]] = {}


def _order(n: int, seed: str) -> list[int]:
    if (n, seed) not in _orders:
        _orders[n, seed] = random.Random(seed).sample(range(n), n)
    return _orders[n, seed]


def batches(
    items: Sequence[Example],
    weights: Mapping[tuple[str, str, int], float],
    counts: Mapping[str, int],
    turn: int,
    seed: int,
) -> list[Batch]:
    """Batches of similar length and at most BATCH_TOKENS padded tokens, in random order."""
    rng = random.Random(f"{seed}/{turn}")
    drawn = [items[place] for place in draw(items, counts, turn, seed)]
    windows = [
        item.alone if item.after is None or rng.random() < ALONE else item.after for item in drawn
    ]
    made = []
    for places in length_buckets([len(window.ids) for window in windows], BATCH_TOKENS, rng):
        group = [drawn[place] for place in places]
        of_heads = [
            torch.tensor(
                [weights.get((i.data_set, head, getattr(i, head)), 0.0) for i in group],
                dtype=torch.float32,
            )
            for head in ("sentiment", "emotion")
        ]
        made.append(Batch(group, [windows[p] for p in places], (of_heads[0], of_heads[1])))
    return made


def length_buckets(lengths: Sequence[int], max_tokens: int, rng: random.Random) -> list[list[int]]:
    """Places in `lengths`, in batches of at most `max_tokens` padded tokens and in random order."""
    made: list[list[int]] = [[]]
    for place in sorted(range(len(lengths)), key=lambda place: (lengths[place], rng.random())):
        if made[-1] and (len(made[-1]) + 1) * lengths[place] > max_tokens:
            made.append([])
        made[-1].append(place)
    rng.shuffle(made)
    return made


def sample(items: Sequence[Example], most: int, seed: int) -> list[Example]:
    """At most so many of each set, for figures that are asked for often."""
    by_set: dict[str, list[Example]] = defaultdict(list)
    for item in items:
        by_set[item.data_set].append(item)
    rng = random.Random(seed)
    kept = []
    for _, found in sorted(by_set.items()):
        kept += rng.sample(found, min(most, len(found)))
    return kept


def labels(items: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Targets (n,) of both heads, −1 for none, and what is possible (n, 3) and (n, 7)."""
    return (
        torch.tensor([item.sentiment for item in items]),
        torch.tensor([item.emotion for item in items]),
        torch.from_numpy(np.array([item.possible[0] for item in items])),
        torch.from_numpy(np.array([item.possible[1] for item in items])),
    )
