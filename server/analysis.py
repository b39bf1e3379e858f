"""What the pipeline makes of a request, before it becomes a message of the API."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING

from fusion.pool import Fused
from modalities.errors import InputError, LanguageError, UnavailableError
from modalities.image.chat import ReadMessage
from modalities.image.prepare import PreparedImage
from modalities.image.sides import Side
from modalities.reading import Modality, Reading
from server.observe import metrics, tracing

if TYPE_CHECKING:
    from server.runner import Generation

AT_ONCE = 200  # characters, which take about as long as the way to a thread and back


class State(StrEnum):
    """What became of a modality; the names are the API's."""

    USED = "USED"
    ABSENT = "ABSENT"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    UNAVAILABLE = "UNAVAILABLE"


class Role(StrEnum):
    """Who speaks; the names are the API's."""

    CUSTOMER = "CUSTOMER"
    AGENT = "AGENT"
    SYSTEM = "SYSTEM"


@dataclass(frozen=True)
class TextPart:
    """A text and the request's field that it came in."""

    field: str
    content: str


@dataclass(frozen=True)
class BytesPart:
    """A recording or a picture and the request's field that it came in."""

    field: str
    content: bytes


@dataclass(frozen=True)
class Content:
    """What is analysed as one: a whole request, or one message of a conversation."""

    text: TextPart | None = None
    audio: BytesPart | None = None
    images: tuple[BytesPart, ...] = ()
    sender: Role = Role.CUSTOMER

    @property
    def modalities(self) -> list[Modality]:
        """Those that it holds."""
        parts = zip(Modality, (self.text, self.audio, self.images), strict=True)
        return [modality for modality, part in parts if part]


@dataclass
class Call:
    """One request on its way: what it asks for, and what is noted about it as it goes."""

    request_id: str
    deadline: float | None = None  # time.monotonic()
    customer_side: str = "AUTO"
    words: bool = False
    audio_s: float = 0.0
    encoder_passes: int = 0
    characters_at_once: int = 0  # tokenized in the event loop, or too many for that
    models: dict[str, str] = field(default_factory=dict)  # name → revision
    stages: dict[str, tuple[float, float]] = field(default_factory=dict)  # first start, last end
    generation: Generation | None = field(default=None, repr=False)  # the models that answer it

    def stage(self, name: str) -> Stage:
        """Note how long it takes, in the answer's metadata, in the metrics and as a span."""
        return Stage(self, name)

    def at_once(self, n_characters: int) -> bool:
        """Whether so many may be tokenized in the event loop: of one call AT_ONCE, however many
        messages it has."""
        self.characters_at_once += n_characters
        return self.characters_at_once <= AT_ONCE


class Stage:
    """The context in which a stage of a call runs, see `Call.stage`."""

    def __init__(self, call: Call, name: str) -> None:
        self._call, self._name = call, name

    def __enter__(self) -> None:
        self._started = time.monotonic()
        self._span = tracing.span(self._name)
        self._span.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._span.__exit__(kind, error, trace)
        started, ended = self._started, time.monotonic()
        first, last = self._call.stages.get(self._name, (started, started))
        self._call.stages[self._name] = (min(first, started), max(last, ended))
        metrics.stage_ended(self._name, ended - started)


@dataclass(frozen=True)
class SpokenWord:
    """A word of a transcript, offsets from the recording's start."""

    text: str
    start_s: float
    end_s: float


@dataclass
class Speech:
    """A stretch of speech; `readings` holds its sound's and, where it has a text, its words'."""

    start_s: float
    end_s: float
    loudness_dbfs: float
    readings: list[Reading]
    text: str = ""
    confidence: float | None = None
    words: tuple[SpokenWord, ...] = ()
    language: str = ""
    unread: InputError | UnavailableError | None = None  # why `text` has no reading
    pooled: Fused | None = None  # set where there are two readings


@dataclass
class Transcript:
    """What is said in a recording, and whether that could be known."""

    segments: list[Speech]
    state: State = State.USED
    reason: str = ""
    remedy: str = ""


@dataclass
class Line:
    """A line read from a picture, who says it, and what the text model makes of it."""

    read: ReadMessage
    role: Role | None = None
    reading: Reading | None = None  # of source IMAGE_TEXT, its quality that of the OCR
    words: Reading | None = None  # the same words as a text
    unread: InputError | UnavailableError | None = None  # why its words have no reading
    pooled: Fused | None = None  # of `words`: the same as if they were sent as a text

    @property
    def readings(self) -> list[Reading]:
        return [self.words] if self.words else []


@dataclass
class ChatSide:
    """One side of a chat in pictures: its messages that could be read, and one reading of all."""

    side: Side
    role: Role | None
    lines: list[Line]
    reading: Reading
    pooled: Fused | None = None

    @property
    def readings(self) -> list[Reading]:
        return [self.reading]


@dataclass
class Outcome:
    """What became of one modality; `readings` holds at most one a source."""

    modality: Modality
    state: State = State.USED
    reason: str = ""
    remedy: str = ""
    readings: list[Reading] = field(default_factory=list)
    broken: list[InputError] = field(default_factory=list)  # content that cannot be decoded
    unread: LanguageError | None = None  # where it is unavailable for its language or script
    transcript: Transcript | None = None
    pictures: list[PreparedImage | InputError] = field(default_factory=list)  # why it is broken
    lines: list[Line] = field(default_factory=list)
    sides: list[ChatSide] = field(default_factory=list)  # left first
    pooled: Fused | None = None  # set where there are two readings


@dataclass
class Analysis:
    """One utterance: its modalities, always all three, and the fused answer, if any."""

    outcomes: list[Outcome]
    fused: Fused | None = None

    @property
    def readings(self) -> list[Reading]:
        return [reading for outcome in self.outcomes for reading in outcome.readings]
