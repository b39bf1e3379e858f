"""The wide path of the voice model: judges of an utterance's functionals, beside the encoder.

A network; for each training set an expert, a linear discriminant of its own, believed as far as
the clip sounds like that set; and a linear discriminant of vocal effort alone, which means the
same in a language and a room that were never heard. The less the clip sounds like any of the
sets, the more the last is believed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modalities.voice.prosody import N_ROBUST

Logits = tuple[Tensor, Tensor]  # sentiment (b, 3) and emotions (b, 7)
FAR = 2.5  # squared distance from the nearest set at which a clip is half familiar
BLUR = 3.0  # by how much more alike the sets are taken to be than their training clips are


class WidePath(nn.Module):
    """Functionals (b, n) → logits of the network, each set's expert and the robust judge, in this
    order (2 + n_sets), and how familiar (b,) the clip sounds, in (0, 1).

    n       functionals
    width   of the network
    n_sets  training sets
    sizes   classes of the two heads
    """

    mean: Tensor
    deviation: Tensor
    directions: Tensor
    centres: Tensor

    def __init__(
        self, n: int, width: int, n_sets: int, sizes: tuple[int, int], dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.width, self.n_sets, self.sizes, self.dropout = width, n_sets, sizes, dropout
        self.register_buffer("mean", torch.zeros(n))
        self.register_buffer("deviation", torch.ones(n))
        # What tells the sets apart, at a clip's deviation of 1 within its set; the sets' means.
        self.register_buffer("directions", torch.zeros(n_sets - 1, n))
        self.register_buffer("centres", torch.zeros(n_sets, n_sets - 1))
        self.layers = nn.Sequential(
            nn.Dropout(0.4 * dropout),
            nn.Linear(n, width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Dropout(dropout),
        )
        self.network = nn.ModuleList(nn.Linear(width, size) for size in sizes)
        self.experts = nn.ModuleList(nn.Linear(n, n_sets * size) for size in sizes)
        self.robust = nn.ModuleList(nn.Linear(N_ROBUST, size) for size in sizes)

    def forward(self, functionals: Tensor) -> tuple[list[Logits], Tensor]:
        x = self.standard(functionals)
        distances = self.distances(x)
        sets = (distances * -(self.n_sets - 1) / (2 * BLUR)).softmax(-1)  # (b, s)
        sentiment, emotions = (
            (sets.unsqueeze(-1) * head(x).unflatten(-1, (self.n_sets, -1))).unbind(1)
            for head in self.experts
        )
        robust = self.robust[0](x[:, -N_ROBUST:]), self.robust[1](x[:, -N_ROBUST:])
        familiar = torch.sigmoid(FAR - distances.amin(-1))
        return [self.judged(x), *zip(sentiment, emotions, strict=True), robust], familiar

    def standard(self, functionals: Tensor) -> Tensor:
        """At the training's mean 0 and deviation 1, outliers held back."""
        return ((functionals - self.mean) / self.deviation).clamp(-4, 4)

    def distances(self, x: Tensor) -> Tensor:
        """Standard functionals (b, n) → (b, s) mean squared distances from the sets; of a clip of
        the set itself about 1."""
        place = x @ self.directions.T  # (b, s − 1)
        away = (place.unsqueeze(1) - self.centres).square().sum(-1)
        return away / max(1, self.n_sets - 1)

    def judged(self, x: Tensor) -> Logits:
        """The network's logits of standard functionals (b, n)."""
        if self.layers.training:
            x = x + 0.1 * torch.randn_like(x)
        x = self.layers(x)
        return self.network[0](x), self.network[1](x)


def weighed(paths: list[Logits], familiar: Tensor) -> list[Logits]:
    """The last path's logits for what is unfamiliar, the others' for what is."""
    share = familiar.unsqueeze(1)
    shares = [share] * (len(paths) - 1) + [1 - share]
    return [(s * by, e * by) for (s, e), by in zip(paths, shares, strict=True)]
