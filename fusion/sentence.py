"""One line: what each source said, how much it counts, and what came out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modalities.reading import Source

NAMES = {
    Source.TEXT: "text",
    Source.TRANSCRIPT: "words heard",
    Source.VOICE: "voice",
    Source.IMAGE_TEXT: "words in pictures",
    Source.VISION: "pictures",
}
WEAK = {  # by the field of Quality
    "characters": "short",
    "unknown_share": "partly illegible",
    "speech_s": "brief",
    "snr_db": "noisy",
    "asr_confidence": "poorly heard",
    "ocr_confidence": "poorly legible",
    "face": "no face",
    "sharpness": "blurred",
}


@dataclass(frozen=True)
class Said:
    """What one source said, and its part in the answer."""

    source: Source
    score: float  # its own, in [−1, 1]
    share: float  # of the answer, [0, 1]
    weakness: str  # the field of its Quality that lowers its weight most; "" where none does


def sentence(said: Sequence[Said], score: float) -> str:
    """``text −.71, voice +.20 (noisy, counts 9 %) → −.62``: all sources, the weightiest first, and
    the fused `score`; where they agree, which takes it further out than any of theirs, it says so.
    The score of one alone is its own. Raises ValueError where there is none.
    """
    if not said:
        raise ValueError("no source said anything")
    ordered = sorted(said, key=lambda one: -one.share)
    parts = ", ".join(_part(one, is_main=one is ordered[0]) for one in ordered)
    if len(said) == 1:
        return f"{parts} alone"
    agree = all(one.score * score > 0 for one in said)
    further = abs(score) > max(abs(one.score) for one in said)
    return f"{parts} → {_signed(score)}{', for they agree' if agree and further else ''}"


def _part(one: Said, *, is_main: bool) -> str:
    notes = [WEAK[one.weakness]] if one.weakness else []
    if not is_main:
        notes.append(f"counts {100 * one.share:.0f} %")
    told = f" ({', '.join(notes)})" if notes else ""
    return f"{NAMES[one.source]} {_signed(one.score)}{told}"


def _signed(score: float) -> str:
    """``−.71``, ``+1.00``, ``.00``."""
    digits = f"{abs(score):.2f}".removeprefix("0")
    return digits if digits == ".00" else f"{'−' if score < 0 else '+'}{digits}"
