"""What a recording of the voice sets is known to be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Labelled:
    """What a clip is known to be."""

    data_set: str
    speaker: str  # of this set; the file itself where none is named
    held: tuple[bool, ...]  # which of EMOTIONS its set can have
    emotion: int  # index in EMOTIONS
    sentiment: int  # index in SENTIMENTS, −1 where the emotion has none
