"""The emotion head: from what an utterance comes to, and how its speaker sounds otherwise.

Two views of an utterance are read: as it is, and relative to the speaker, less the mean of what
this speaker said before. Who is loud by nature is then not angry; and as the head was taught with
speakers of one mood, too, who is angry throughout stays angry. Two layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modalities.reading import EMOTIONS, SENTIMENT_GROUPS, SENTIMENTS
from modalities.voice.prosody import N_FUNCTIONALS

WEIGHT = 3.0  # utterances that everybody's mean counts as against the speaker's
CLEAR_DB = 25.0  # SNR from which on noise takes nothing away
OUTLIER = 4.0  # deviations from everybody's mean beyond which nothing more is told


@dataclass(frozen=True)
class VoiceDimensions:
    """Saved with the weights; enough to build the model again."""

    n_mels: int
    n_ctx: int  # encoder positions
    n_state: int
    n_head: int
    n_layer: int  # blocks whose states are read, the first ones
    n_hidden: int
    n_tones: int = N_FUNCTIONALS
    n_sentiments: int = len(SENTIMENTS)
    n_emotions: int = len(EMOTIONS)

    @property
    def n_utterance(self) -> int:
        """Numbers that an utterance comes to."""
        return 2 * self.n_state + self.n_tones


class EmotionHead(nn.Module):
    """Statistics of the layers and functionals of the tone → logits of sentiments and emotions."""

    mean: Tensor
    deviation: Tensor
    tone_mean: Tensor
    tone_deviation: Tensor
    moods: Tensor

    def __init__(self, dims: VoiceDimensions, dropout: float = 0.0) -> None:
        super().__init__()
        self.dims = dims
        n_layers, d = dims.n_layer + 1, dims.n_state
        self.register_buffer("mean", torch.zeros(n_layers, 2, d))
        self.register_buffer("deviation", torch.ones(n_layers, 2, d))
        self.register_buffer("tone_mean", torch.zeros(dims.n_tones))
        self.register_buffer("tone_deviation", torch.ones(dims.n_tones))
        # What an emotion adds to whoever has it, on the scale of `utterance`.
        self.register_buffer("moods", torch.zeros(dims.n_emotions, dims.n_utterance))
        self.layer_weights = nn.Parameter(torch.zeros(n_layers))
        self.dropout = nn.Dropout(dropout)
        self.plain = nn.Linear(dims.n_utterance, dims.n_hidden)
        self.relative = nn.Linear(dims.n_utterance, dims.n_hidden, bias=False)
        self.known = nn.Linear(1, dims.n_hidden, bias=False)
        self.sentiment = nn.Linear(dims.n_hidden, dims.n_sentiments)
        self.emotions = nn.Linear(dims.n_hidden, dims.n_emotions)

    def scaled(self, layers: Tensor, tones: Tensor) -> tuple[Tensor, Tensor]:
        """Bring statistics (b, layers, 2, d) and functionals (b, f) to one scale: everybody's mean
        is 0, their deviation 1."""
        return (
            ((layers - self.mean) / self.deviation).clamp(-OUTLIER, OUTLIER),
            ((tones - self.tone_mean) / self.tone_deviation).clamp(-OUTLIER, OUTLIER),
        )

    def mixed(self, layers: Tensor, tones: Tensor) -> Tensor:
        """Mix the layers of what is `scaled` as the head learned to: utterances (b, n)."""
        weighed = torch.einsum("l,blsd->bsd", self.layer_weights.softmax(0), layers)
        return torch.cat([weighed.flatten(1), tones], 1)

    def utterance(self, layers: Tensor, tones: Tensor) -> Tensor:
        """Bring statistics (b, layers, 2, d) and functionals (b, f) to an utterance (b, n)."""
        return self.mixed(*self.scaled(layers, tones))

    def voice(self, utterance: Tensor) -> Tensor:
        """Take out of utterances (b, n) the mood that each is heard in by itself: what is left is
        the speaker's, in whatever mood they are."""
        nobody = torch.zeros_like(utterance)
        _, emotions, _ = self(utterance, nobody, nobody[:, 0])
        left: Tensor = utterance - emotions.softmax(-1) @ self.moods
        return left

    def forward(
        self, utterance: Tensor, speaker: Tensor, known: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Read utterances (b, n) as `utterance` has them.

        speaker  (b, n) the shrunk mean of each one's speaker so far, of `voice`, 0 if nothing
        known    (b,) share of the speaker in it, [0, 1)
        Returns logits of sentiments (b, 3) and of emotions (b, 7), and the hidden state (b, h).
        """
        relative = self.dropout(utterance - speaker)
        hidden = F.gelu(
            self.plain(self.dropout(utterance))
            + self.relative(relative)
            + self.known(known.unsqueeze(1))
        )
        felt = self.dropout(hidden)
        return self.sentiment(felt), self.emotions(felt), hidden


def known_of(n_heard: Tensor) -> Tensor:
    """Say how much of a speaker is known after so many utterances (b,): a share in [0, 1)."""
    return n_heard / (n_heard + WEIGHT)


def pooled_sentiment(sentiment: Tensor, emotions: Tensor) -> Tensor:
    """Join the sentiment head's logits (b, 3) and those that the emotions' (b, 7) imply.

    The two heads err apart (loud anger sounds positive to the one, faint joy sad to the other):
    on `dev` their product is better than either. Surprise implies no sentiment.
    """
    groups = torch.from_numpy(SENTIMENT_GROUPS).to(emotions)  # (3, 7)
    implied = emotions.softmax(-1) @ groups.T  # (b, 3)
    return sentiment.log_softmax(-1) + implied.clamp_min(1e-6).log()


def doubt_of(snr_db: Tensor) -> Tensor:
    """Say how much an SNR (b,) is to be doubted: 0 from CLEAR_DB on, 1 at 0 dB, more below."""
    return (CLEAR_DB - snr_db).clamp(min=0) / CLEAR_DB


def calibrated(
    sentiment: Tensor, emotions: Tensor, doubt: Tensor, temperature: dict[str, float]
) -> tuple[Tensor, Tensor]:
    """Turn a head's logits (b, 3) and (b, 7) into log-probabilities; the more doubt (b,) there is
    of what was heard, the evener they are."""
    sentiment = pooled_sentiment(sentiment, emotions).float()
    evener = (1 + temperature["doubt"] * doubt).unsqueeze(1)
    return (
        (sentiment / (temperature["sentiment"] * evener)).log_softmax(-1),
        (emotions.float() / (temperature["emotion"] * evener)).log_softmax(-1),
    )
