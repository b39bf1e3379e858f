"""What is said in a conversation, message by message, and what it comes to for the customer.

A picture of a chat is no message of its own: each line that someone says in it is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fusion.satisfaction import Turn
from modalities.image.prepare import PreparedImage
from modalities.image.sides import Side
from modalities.reading import Modality, Reading, Source
from server.analysis import Analysis, Content, Outcome, Role, SpokenWord, State
from server.moments import Moment


def course(
    contents: Sequence[Content], analyses: Sequence[Analysis], offsets_s: Sequence[float | None]
) -> list[Moment]:
    """All messages that could be scored, in order; `offsets_s` says when each began."""
    return [
        moment
        for index, (content, analysis, offset_s) in enumerate(
            zip(contents, analyses, offsets_s, strict=True)
        )
        for moment in _moments(index, content, analysis, offset_s)
    ]


def customer_scores(moments: Sequence[Moment]) -> list[float]:
    """The customer's, in order, each in [-1, 1]."""
    return [
        moment.score
        for moment in moments
        if moment.role is Role.CUSTOMER and moment.score is not None
    ]


def turns(moments: Sequence[Moment]) -> list[Turn]:
    """What the satisfaction head reads: the words alone, as it learned from words alone."""
    return [
        Turn.of(moment.words, moment.text, from_customer=moment.role is Role.CUSTOMER)
        for moment in moments
        if moment.words is not None
    ]


def whole(
    index: int, content: Content, analysis: Analysis, offset_s: float | None = None
) -> Moment:
    """A message as one, whatever it consists of."""
    by_modality = {outcome.modality: outcome for outcome in analysis.outcomes}
    text, words = _words(content, by_modality)
    return Moment(
        index,
        content.sender,
        analysis.readings,
        analysis.fused,
        text,
        words,
        offset_s,
        content=_content(content, by_modality),
        spoken=_spoken(by_modality[Modality.VOICE]),
    )


def _moments(
    index: int, content: Content, analysis: Analysis, offset_s: float | None
) -> Iterator[Moment]:
    lines = [line for outcome in analysis.outcomes for line in outcome.lines if line.reading]
    is_chat = any(line.read.side is not Side.NONE for line in lines)
    if content.text is None and content.audio is None and is_chat:
        for line in lines:
            if line.role is not None and line.pooled is not None:
                text = line.read.text
                yield Moment(
                    index,
                    line.role,
                    line.readings,
                    line.pooled,
                    text,
                    line.reading,
                    offset_s,
                    content={Source.TEXT: text.encode()},
                )
    elif analysis.fused is not None:
        yield whole(index, content, analysis, offset_s)


def _content(content: Content, outcomes: dict[Modality, Outcome]) -> dict[Source, bytes]:
    """What each source of a message was read from; what could not be read is left out."""
    is_heard, is_read = (
        outcomes[one].state is State.USED for one in (Modality.VOICE, Modality.TEXT)
    )
    pictures = zip(content.images, outcomes[Modality.IMAGE].pictures, strict=False)
    seen = [image.content for image, found in pictures if isinstance(found, PreparedImage)]
    made = {
        Source.TEXT: content.text.content.encode() if content.text and is_read else b"",
        Source.TRANSCRIPT: _transcript(outcomes[Modality.VOICE]).encode(),
        Source.VOICE: content.audio.content if content.audio and is_heard else b"",
        Source.IMAGE_TEXT: _in_pictures(outcomes[Modality.IMAGE]).encode(),
        Source.VISION: b"".join(seen),
    }
    return {source: part for source, part in made.items() if part}


def _transcript(voice: Outcome) -> str:
    segments = voice.transcript.segments if voice.transcript else []
    return " ".join(speech.text for speech in segments if speech.text)


def _spoken(voice: Outcome) -> tuple[SpokenWord, ...]:
    segments = voice.transcript.segments if voice.transcript else []
    return tuple(word for speech in segments for word in speech.words)


def _in_pictures(image: Outcome) -> str:
    return "\n".join(line.read.text for line in image.lines if line.reading)


def _words(content: Content, outcomes: dict[Modality, Outcome]) -> tuple[str, Reading | None]:
    """A message's own text, else its recording's, else what its picture says."""
    candidates = (
        (Modality.TEXT, content.text.content if content.text else ""),
        (Modality.VOICE, _transcript(outcomes[Modality.VOICE])),
        (Modality.IMAGE, _in_pictures(outcomes[Modality.IMAGE])),
    )
    for modality, text in candidates:
        for reading in outcomes[modality].readings:
            if reading.source.is_words:
                return text, reading
    return "", None
