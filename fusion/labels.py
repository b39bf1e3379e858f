"""The one taxonomy, and how every data set's own labels map to it.

The circumplex places an emotion label at (valence, arousal) in [-1, 1]: Mehrabian & Russell,
"Evidence for a three-factor theory of emotions", J. Research in Personality 11 (1977), table 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modalities.reading import EMOTIONS, SENTIMENT_OF, SENTIMENTS, Array

CIRCUMPLEX: Mapping[str, tuple[float, float]] = {
    "neutral": (0.0, 0.0),
    "happy": (0.81, 0.51),
    "angry": (-0.51, 0.59),
    "sad": (-0.63, -0.27),
    "fear": (-0.64, 0.60),
    "disgust": (-0.60, 0.35),
    "surprise": (0.40, 0.67),
}

# A set's label → ours. A label that is absent here has no emotion of ours (CPED's
# "negative-other", airline's sentiments); such a row can still carry a sentiment.
EMOTION_OF: Mapping[str, Mapping[str, str]] = {
    "ewect": {name: name for name in EMOTIONS if name != "disgust"},
    "weibo_moods": {
        "none": "neutral",
        "like": "happy",
        "happiness": "happy",
        "disgust": "disgust",
        "sadness": "sad",
        "anger": "angry",
        "surprise": "surprise",
        "fear": "fear",
    },
    "cped": {
        "neutral": "neutral",
        "happy": "happy",
        "grateful": "happy",
        "anger": "angry",
        "sadness": "sad",
        "depress": "sad",
        "fear": "fear",
        "worried": "fear",
        "disgust": "disgust",
        "astonished": "surprise",
    },
    "goemotions": {
        "neutral": "neutral",
        "joy": "happy",
        "anger": "angry",
        "sadness": "sad",
        "fear": "fear",
        "disgust": "disgust",
        "surprise": "surprise",
    },
    "casia": {name: name for name in EMOTIONS if name != "disgust"},
    "ravdess": {name: name for name in EMOTIONS},
    "nemo": {name: name for name in EMOTIONS if name != "disgust"},
    "urdu": {name: name for name in ("angry", "happy", "neutral", "sad")},
    "fer": {name: name for name in EMOTIONS},
}
EMOTION_OF = {**EMOTION_OF, "meld": EMOTION_OF["goemotions"]}


def emotion_of(data_set: str, label: str) -> str | None:
    """Our emotion for a set's own label; None where it has none (or several at once)."""
    return EMOTION_OF.get(data_set, {}).get(label)


def held_emotions(data_set: str) -> list[bool]:
    """For each of EMOTIONS, whether the set's labels can say it; all False where it has none."""
    held = set(EMOTION_OF.get(data_set, {}).values())
    return [name in held for name in EMOTIONS]


def sentiment_of(data_set: str, label: str, sentiment: str = "") -> str | None:
    """Our sentiment of a row: the set's own where it has one, else that of its emotion."""
    for candidate in (sentiment, label):
        if candidate in SENTIMENTS and data_set not in ("casia", "ravdess", "nemo", "urdu"):
            return candidate
    return SENTIMENT_OF.get(emotion_of(data_set, label) or "")


def valence_arousal(log_emotions: Array) -> tuple[float, float]:
    """Expected (valence, arousal), each in [-1, 1], of log-probabilities (7,) over EMOTIONS."""
    places = np.array([CIRCUMPLEX[name] for name in EMOTIONS])  # (7, 2)
    valence, arousal = np.exp(log_emotions.astype(np.float64)) @ places
    return float(valence), float(arousal)
