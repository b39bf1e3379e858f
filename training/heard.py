"""What was heard in the voice sets, as one table that heads train on, and who spoke before.

In a call a head also knows how this speaker sounded so far. Here that is drawn: clips of the same
speaker, of any mood as in a call that turns, or of the one mood of a call that does not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalities.voice.head import EmotionHead, known_of
from training.labelled import Labelled
from training.states import Heard

Draw = NDArray[np.intp]
N_BEFORE = (1, 2, 3, 5, 8, 12, 20)  # utterances of the speaker, drawn evenly
NOTHING_BEFORE, ONE_MOOD = 0.35, 0.25  # shares of what is shown
LEAST_MOODS = 3  # of a speaker who tells what a mood adds
CHUNK = 1024  # rows


@dataclass(frozen=True, eq=False)
class Table:
    """n clips and copies of clips: statistics of the layers (n, layers, 2, d) in fp16, functionals
    (n, f), SNR, level and highs in dB (n, 3), and of each whether it is a damaged copy."""

    items: list[Labelled]
    layers: Tensor
    tones: Tensor
    quality: Tensor
    is_copy: NDArray[np.bool_]

    @classmethod
    def of(cls, heard: Sequence[Heard], held: Mapping[str, list[bool]]) -> Table:
        """Make a table; `held` says which emotions each set can have."""
        items = [
            Labelled(
                one.row.data_set,
                f"{one.row.data_set}/{one.row.speaker or one.row.content}",
                tuple(held[one.row.data_set]),
                one.row.emotion_index,
                one.row.sentiment_index,
            )
            for one in heard
        ]
        return cls(
            items,
            torch.stack([one.states for one in heard]),
            torch.stack([one.tone for one in heard]),
            torch.stack([one.quality for one in heard]),
            np.array([one.copy != "clean" for one in heard]),
        )

    def __getitem__(self, chosen: Draw) -> Table:
        """Take the rows at these places."""
        return Table(
            [self.items[place] for place in chosen],
            self.layers[chosen],
            self.tones[chosen],
            self.quality[chosen],
            self.is_copy[chosen],
        )

    def scaled(self, head: EmotionHead) -> tuple[Tensor, Tensor]:
        """Bring all rows to the head's scale, their statistics in fp16."""
        layers, tones = zip(
            *(head.scaled(*part) for part in zip(
                self.layers.split(CHUNK), self.tones.split(CHUNK), strict=True
            )), strict=True,
        )  # fmt: skip
        return torch.cat([part.half() for part in layers]), torch.cat(tones)

    def moods(self, utterances: Tensor, n_emotions: int) -> Tensor:
        """Take what each emotion adds to a speaker's utterances (n, n_utterance), those without
        it being held against it: (n_emotions, n_utterance). Only speakers of several moods tell."""
        found, n = torch.zeros(n_emotions, utterances.shape[1]), torch.zeros(n_emotions, 1)
        cells: dict[tuple[str, bool], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for place, (item, copy) in enumerate(zip(self.items, self.is_copy, strict=True)):
            cells[item.speaker, bool(copy)][item.emotion].append(place)
        for moods in cells.values():
            if len(moods) >= LEAST_MOODS:
                means = torch.stack([utterances[places].mean(0) for places in moods.values()])
                found[list(moods)] += means - means.mean(0)
                n[list(moods)] += 1
        return found / n.clamp(min=1)

    def weights(self) -> list[float]:
        """Say how often each row is to be drawn: sets and labels are evened out, a cell of n rows
        as √n."""
        cells = Counter((item.data_set, item.emotion) for item in self.items)
        return [cells[item.data_set, item.emotion] ** -0.5 for item in self.items]


class Speakers:
    """Draws what the speaker of a clip said before it, from copies of the same kind."""

    def __init__(self, table: Table) -> None:
        self._any: dict[tuple[str, bool], list[int]] = defaultdict(list)
        self._moods: dict[tuple[str, bool, int], list[int]] = defaultdict(list)
        self._table = table
        for place, (item, copy) in enumerate(zip(table.items, table.is_copy, strict=True)):
            self._any[item.speaker, bool(copy)].append(place)
            self._moods[item.speaker, bool(copy), item.emotion].append(place)

    def before(self, place: int, n: int, one_mood: bool, rng: np.random.Generator) -> list[int]:
        """Draw n other clips of the speaker, fewer where there are not as many."""
        item, copy = self._table.items[place], bool(self._table.is_copy[place])
        if one_mood:
            pool = self._moods[item.speaker, copy, item.emotion]
        else:
            pool = self._any[item.speaker, copy]
        others = [other for other in pool if other != place]
        if len(others) <= n:
            return others
        return [others[i] for i in rng.choice(len(others), n, replace=False)]

    def drawn(
        self, chosen: Sequence[int], voices: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw what was said before each of the clips chosen, as training shows it; see
        `means`."""
        before = []
        for place in chosen:
            n = 0 if rng.random() < NOTHING_BEFORE else int(rng.choice(N_BEFORE))
            before.append(self.before(place, n, rng.random() < ONE_MOOD, rng) if n else [])
        return means(before, voices)

    def after(
        self, chosen: Sequence[int], n: int, one_mood: bool, voices: Tensor, seed: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Draw n utterances before each clip, as evaluation asks; see `means`."""
        rng = np.random.default_rng(seed)
        before = [self.before(place, n, one_mood, rng) if n else [] for place in chosen]
        return means(before, voices)


def means(before: Sequence[Sequence[int]], voices: Tensor) -> tuple[Tensor, Tensor]:
    """Take the shrunk means (b, n_utterance) of the voices at the places before each clip, and
    how much of each speaker is known (b,)."""
    n = torch.tensor([len(places) for places in before], dtype=torch.float32)
    rows = torch.tensor([row for row, places in enumerate(before) for _ in places])
    summed = torch.zeros(len(before), voices.shape[1])
    if len(rows):
        flat = torch.tensor([place for places in before for place in places])
        summed.index_add_(0, rows, voices[flat])
    known = known_of(n)
    return summed / n.clamp(min=1).unsqueeze(1) * known.unsqueeze(1), known
