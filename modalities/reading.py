"""Reading: what one source says of one utterance, and all that fusion knows of a modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

SENTIMENTS = ("positive", "neutral", "negative")
EMOTIONS = ("neutral", "happy", "angry", "sad", "fear", "disgust", "surprise")

# Which sentiment an emotion belongs to. Surprise has none of its own: it goes either way.
SENTIMENT_OF: Mapping[str, str] = {
    "neutral": "neutral",
    "happy": "positive",
    "angry": "negative",
    "sad": "negative",
    "fear": "negative",
    "disgust": "negative",
}

POSITIVE, NEGATIVE = SENTIMENTS.index("positive"), SENTIMENTS.index("negative")

Array = NDArray[np.float32]

# (3, 7) one-hot: the sentiment of each emotion; surprise has none of its own.
SENTIMENT_GROUPS: Array = np.array(
    [[SENTIMENT_OF.get(emotion) == sentiment for emotion in EMOTIONS] for sentiment in SENTIMENTS],
    np.float32,
)


class Modality(StrEnum):
    """What a caller sends."""

    TEXT = "text"
    VOICE = "voice"
    IMAGE = "image"


class Source(StrEnum):
    """What fusion weighs; a modality may hold two (its picture or sound, and its words)."""

    TEXT = "text"
    TRANSCRIPT = "transcript"
    VOICE = "voice"
    IMAGE_TEXT = "image_text"
    VISION = "vision"

    @property
    def modality(self) -> Modality:
        return _MODALITY_OF[self]

    @property
    def is_words(self) -> bool:
        """Whether the text model reads it."""
        return self in (Source.TEXT, Source.TRANSCRIPT, Source.IMAGE_TEXT)


_MODALITY_OF = {
    Source.TEXT: Modality.TEXT,
    Source.TRANSCRIPT: Modality.VOICE,
    Source.VOICE: Modality.VOICE,
    Source.IMAGE_TEXT: Modality.IMAGE,
    Source.VISION: Modality.IMAGE,
}


@dataclass(frozen=True)
class Quality:
    """How good the evidence is, in physical units; zero where a feature does not apply.

    characters      characters of text read
    unknown_share   share of them the tokenizer does not know, [0, 1]
    speech_s        seconds of speech heard
    snr_db          speech level over the level between speech, decibels
    asr_confidence  mean token probability of the transcript, [0, 1]
    ocr_confidence  mean line confidence of the OCR, [0, 1]
    face            1 when a face was found and read
    sharpness       picture detail: variance of the Laplacian mapped to [0, 1]
    """

    characters: float = 0.0
    unknown_share: float = 0.0
    speech_s: float = 0.0
    snr_db: float = 0.0
    asr_confidence: float = 0.0
    ocr_confidence: float = 0.0
    face: float = 0.0
    sharpness: float = 0.0


@dataclass(frozen=True, eq=False)
class Reading:
    """One source's calibrated distributions over the taxonomy, with the evidence's quality.

    log_sentiment   (3,) log-probabilities in the order of SENTIMENTS
    log_emotions    (7,) log-probabilities in the order of EMOTIONS
    embedding       (d,) the model's pooled state
    speaker_known   how much was known of how this speaker sounds otherwise, [0, 1); of a voice
    """

    source: Source
    log_sentiment: Array
    log_emotions: Array
    embedding: Array
    quality: Quality = field(default_factory=Quality)
    speaker_known: float = 0.0

    @property
    def score(self) -> float:
        """P(positive) − P(negative), in [−1, 1]."""
        return float(score_of(self.log_sentiment))


def score_of(log_sentiment: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log-probabilities (…, 3) → P(positive) − P(negative) (…), in [−1, 1]."""
    p = np.exp(log_sentiment.astype(np.float64))
    score: NDArray[np.float64] = p[..., POSITIVE] - p[..., NEGATIVE]
    return score


def stacked(readings: Sequence[Reading]) -> tuple[Array, Array]:
    """Log-sentiments (n, 3) and log-emotions (n, 7) of readings."""
    log_sentiment = np.array([r.log_sentiment for r in readings]).reshape(-1, len(SENTIMENTS))
    log_emotions = np.array([r.log_emotions for r in readings]).reshape(-1, len(EMOTIONS))
    return log_sentiment, log_emotions
