"""How satisfied the customer is at the end: one small head over a conversation's messages.

A ridge regression on what the messages feel like (estimates and text embeddings of the first, the
last and all of the customer's, and of the agent's) and on hashed character n-grams of what either
side says: courtesy and promises are told by words that no emotion carries.

Two kinds of rater taught it, and each has weights of its own, for they use the scale differently:
the mean of a panel on a helpdesk's public posts seldom leaves the middle, one reader of a chat
often does. A third row of weights tells which kind of conversation it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize

from modalities import checkpoint
from modalities.reading import EMOTIONS, SENTIMENTS, Array, Reading, score_of

N_GRAMS = (1, 4)
N_ESTIMATE = len(SENTIMENTS) + len(EMOTIONS)
N_COUNTS = 12
PANEL, READER, KIND = range(3)  # rows of the weights


@dataclass(frozen=True, eq=False)
class Turn:
    """One message's words. `estimate` (10,) is the text model's log-sentiment and log-emotions,
    `embedding` (d,) its pooled state."""

    from_customer: bool
    text: str
    estimate: Array
    embedding: Array

    @classmethod
    def of(cls, reading: Reading, text: str, *, from_customer: bool) -> Turn:
        """The turn of a text that the text model has read."""
        estimate = np.concatenate([reading.log_sentiment, reading.log_emotions])
        return cls(from_customer, text, estimate, reading.embedding)


@dataclass(frozen=True)
class SatisfactionDimensions:
    """Saved with the weights."""

    n_embedding: int
    n_buckets: int  # of the hashed n-grams of one slot
    n_slots: int = 3  # all the customer says, the customer's last message, all the agent says

    @property
    def n_dense(self) -> int:
        """Customer: mean, last, first; agent: mean, last."""
        return 5 * (self.n_embedding + N_ESTIMATE) + N_COUNTS

    @property
    def is_embedding(self) -> NDArray[np.bool_]:
        """Which of the dense features are (n_dense,)."""
        of_slot = np.arange(self.n_embedding + N_ESTIMATE) < self.n_embedding
        return np.concatenate([np.tile(of_slot, 5), np.zeros(N_COUNTS, bool)])


def dense_features(turns: Sequence[Turn], dims: SatisfactionDimensions) -> NDArray[np.float64]:
    """(n_dense,); raises ValueError where the customer says nothing. A silent agent is zeros."""
    customer = [turn for turn in turns if turn.from_customer]
    agent = [turn for turn in turns if not turn.from_customer]
    if not customer:
        raise ValueError("no message of the customer's")
    nothing = np.zeros(dims.n_embedding + N_ESTIMATE)
    said = np.stack([_vector(turn) for turn in customer])
    answered = np.stack([_vector(turn) for turn in agent]) if agent else nothing[None]
    ours, theirs = (
        score_of(side[:, dims.n_embedding : dims.n_embedding + len(SENTIMENTS)])
        for side in (said, answered)
    )
    counts = [
        ours.mean(),
        ours.min(),
        ours.max(),
        ours[-1],
        ours[0],
        theirs.mean(),
        theirs[-1],
        np.log1p(len(customer)),
        np.log1p(len(agent)),
        np.log1p(np.mean([len(turn.text) for turn in customer])),
        np.log1p(len(customer[-1].text)),
        float(turns[-1].from_customer),
    ]
    parts = [said.mean(0), said[-1], said[0], answered.mean(0), answered[-1], np.array(counts)]
    return np.concatenate(parts)


def n_gram_features(
    conversations: Sequence[Sequence[Turn]], dims: SatisfactionDimensions
) -> sp.csr_matrix:
    """(n, n_slots · n_buckets): signed hashed counts (Weinberger et al. 2009), log-damped, each
    slot of length 1."""
    hashing = HashingVectorizer(
        analyzer="char", ngram_range=N_GRAMS, n_features=dims.n_buckets, norm=None
    )
    slots = []
    for texts in zip(*(_slots(turns) for turns in conversations), strict=True):
        counts = hashing.transform(texts)
        counts.data = np.sign(counts.data) * np.log1p(np.abs(counts.data))
        slots.append(normalize(counts))
    return sp.hstack(slots).tocsr()


class SatisfactionHead:
    """Predicts the raters' mean, brought to [−1, 1]: the panel's or the reader's, by how much the
    conversation is of the kind that each has rated."""

    name = "satisfaction"

    def __init__(
        self,
        dims: SatisfactionDimensions,
        dense: NDArray[np.float64],
        n_grams: NDArray[np.float64],
        bias: NDArray[np.float64],
        *,
        text_revision: str,
        revision: str = "",
    ) -> None:
        """Weights (3, n_dense) and (3, n_slots, n_buckets) of the two kinds of feature and the
        bias (3,), for the embeddings of the text model `text_revision`. The rows are PANEL, READER
        and KIND, which is −1 for what a panel rates, 1 for what a reader does."""
        self.dims, self.text_revision, self.revision = dims, text_revision, revision
        self.dense, self.n_grams, self.bias = dense, n_grams, bias

    @classmethod
    def load(cls, path: Path) -> SatisfactionHead:
        """Read the checkpoint at `path`; raises UnavailableError where it cannot be read."""
        saved = checkpoint.load(path)
        state = {name: tensor.double().numpy() for name, tensor in saved.state.items()}
        return cls(
            SatisfactionDimensions(**saved.dims),
            state["dense"],
            state["n_grams"],
            state["bias"],
            text_revision=saved.extra["text_revision"],
            revision=saved.revision,
        )

    def save(self, path: Path, **extra: Any) -> None:
        """Write the head as a checkpoint."""
        state = {
            "dense": torch.from_numpy(self.dense),
            "n_grams": torch.from_numpy(self.n_grams),
            "bias": torch.from_numpy(self.bias),
        }
        checkpoint.save(path, self.dims, state, text_revision=self.text_revision, **extra)

    def predict(self, conversations: Sequence[Sequence[Turn]]) -> NDArray[np.float64]:
        """(n,) in [−1, 1]; each conversation needs a message of the customer's."""
        dense = np.stack([dense_features(turns, self.dims) for turns in conversations])
        n_grams = n_gram_features(conversations, self.dims)
        answers = dense @ self.dense.T + n_grams @ self.n_grams.reshape(3, -1).T + self.bias
        share = ((answers[:, KIND] + 1) / 2).clip(0, 1)  # of the reader
        of_both: NDArray[np.float64] = answers[:, PANEL] * (1 - share) + answers[:, READER] * share
        return of_both.clip(-1, 1)


def _vector(turn: Turn) -> NDArray[np.float64]:
    return np.concatenate([turn.embedding, turn.estimate]).astype(np.float64)


def _slots(turns: Sequence[Turn]) -> tuple[str, str, str]:
    customer = [turn.text for turn in turns if turn.from_customer]
    agent = [turn.text for turn in turns if not turn.from_customer]
    return "\n".join(customer), customer[-1], "\n".join(agent)
