"""What is said in a conversation, message by message, and what it comes to for the customer.

A picture of a chat is no message of its own: each line that someone says in it is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fusion.pool import Fused
from fusion.satisfaction import Turn
from modalities.image.sides import Side
from modalities.reading import Modality, Reading, score_of
from server.analysis import Analysis, Content, Outcome, Role


@dataclass(frozen=True, eq=False)
class Said:
    """One message; `words` is the text model's reading of `text`, where there is any."""

    role: Role
    fused: Fused
    text: str = ""
    words: Reading | None = None

    @property
    def score(self) -> float:
        return float(score_of(self.fused.log_sentiment))


def course(contents: Sequence[Content], analyses: Sequence[Analysis]) -> list[Said]:
    """All messages that could be scored, in order."""
    return [
        said
        for content, analysis in zip(contents, analyses, strict=True)
        for said in _said(content, analysis)
    ]


def turns(said: Sequence[Said]) -> list[Turn]:
    """What the satisfaction head reads: the words alone, as it learned from words alone."""
    return [
        Turn.of(one.words, one.text, from_customer=one.role is Role.CUSTOMER)
        for one in said
        if one.words is not None
    ]


def _said(content: Content, analysis: Analysis) -> Iterator[Said]:
    lines = [line for outcome in analysis.outcomes for line in outcome.lines if line.reading]
    is_chat = any(line.read.side is not Side.NONE for line in lines)
    if content.text is None and content.audio is None and is_chat:
        for line in lines:
            if line.role is not None and line.pooled is not None:
                yield Said(line.role, line.pooled, line.read.text, line.reading)
    elif analysis.fused is not None:
        by_modality = {outcome.modality: outcome for outcome in analysis.outcomes}
        text, words = _words(content, by_modality)
        yield Said(content.sender, analysis.fused, text, words)


def _words(content: Content, outcomes: dict[Modality, Outcome]) -> tuple[str, Reading | None]:
    """A message's own text, else its recording's, else what its picture says."""
    image, voice = outcomes[Modality.IMAGE], outcomes[Modality.VOICE]
    candidates = (
        (Modality.TEXT, content.text.content if content.text else ""),
        (
            Modality.VOICE,
            " ".join(speech.text for speech in voice.transcript.segments)
            if voice.transcript
            else "",
        ),
        (Modality.IMAGE, "\n".join(line.read.text for line in image.lines if line.reading)),
    )
    for modality, text in candidates:
        for reading in outcomes[modality].readings:
            if reading.source.is_words:
                return text, reading
    return "", None
