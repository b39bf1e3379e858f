import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Modality(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODALITY_UNSPECIFIED: _ClassVar[Modality]
    TEXT: _ClassVar[Modality]
    VOICE: _ClassVar[Modality]
    IMAGE: _ClassVar[Modality]

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    CUSTOMER: _ClassVar[Role]
    AGENT: _ClassVar[Role]
    SYSTEM: _ClassVar[Role]
MODALITY_UNSPECIFIED: Modality
TEXT: Modality
VOICE: Modality
IMAGE: Modality
ROLE_UNSPECIFIED: Role
CUSTOMER: Role
AGENT: Role
SYSTEM: Role

class Context(_message.Message):
    __slots__ = ("conversation_id", "customer_id", "agent_id", "channel", "language", "tags")
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    customer_id: str
    agent_id: str
    channel: str
    language: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, conversation_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., agent_id: _Optional[str] = ..., channel: _Optional[str] = ..., language: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class Text(_message.Message):
    __slots__ = ("content",)
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    content: str
    def __init__(self, content: _Optional[str] = ...) -> None: ...

class Audio(_message.Message):
    __slots__ = ("content",)
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    def __init__(self, content: _Optional[bytes] = ...) -> None: ...

class Image(_message.Message):
    __slots__ = ("content",)
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    def __init__(self, content: _Optional[bytes] = ...) -> None: ...

class AnalysisConfig(_message.Message):
    __slots__ = ("customer_side", "explain", "words")
    class CustomerSide(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CUSTOMER_SIDE_UNSPECIFIED: _ClassVar[AnalysisConfig.CustomerSide]
        AUTO: _ClassVar[AnalysisConfig.CustomerSide]
        LEFT: _ClassVar[AnalysisConfig.CustomerSide]
        RIGHT: _ClassVar[AnalysisConfig.CustomerSide]
    CUSTOMER_SIDE_UNSPECIFIED: AnalysisConfig.CustomerSide
    AUTO: AnalysisConfig.CustomerSide
    LEFT: AnalysisConfig.CustomerSide
    RIGHT: AnalysisConfig.CustomerSide
    CUSTOMER_SIDE_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    customer_side: AnalysisConfig.CustomerSide
    explain: bool
    words: bool
    def __init__(self, customer_side: _Optional[_Union[AnalysisConfig.CustomerSide, str]] = ..., explain: _Optional[bool] = ..., words: _Optional[bool] = ...) -> None: ...

class Sentiment(_message.Message):
    __slots__ = ("positive", "neutral", "negative")
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    NEUTRAL_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_FIELD_NUMBER: _ClassVar[int]
    positive: float
    neutral: float
    negative: float
    def __init__(self, positive: _Optional[float] = ..., neutral: _Optional[float] = ..., negative: _Optional[float] = ...) -> None: ...

class Emotion(_message.Message):
    __slots__ = ("label", "probability")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    label: str
    probability: float
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...

class Estimate(_message.Message):
    __slots__ = ("score", "sentiment", "emotions", "valence", "arousal", "confidence", "abstained")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SENTIMENT_FIELD_NUMBER: _ClassVar[int]
    EMOTIONS_FIELD_NUMBER: _ClassVar[int]
    VALENCE_FIELD_NUMBER: _ClassVar[int]
    AROUSAL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    ABSTAINED_FIELD_NUMBER: _ClassVar[int]
    score: float
    sentiment: Sentiment
    emotions: _containers.RepeatedCompositeFieldContainer[Emotion]
    valence: float
    arousal: float
    confidence: float
    abstained: bool
    def __init__(self, score: _Optional[float] = ..., sentiment: _Optional[_Union[Sentiment, _Mapping]] = ..., emotions: _Optional[_Iterable[_Union[Emotion, _Mapping]]] = ..., valence: _Optional[float] = ..., arousal: _Optional[float] = ..., confidence: _Optional[float] = ..., abstained: _Optional[bool] = ...) -> None: ...

class ModalityResult(_message.Message):
    __slots__ = ("modality", "state", "reason", "remedy", "estimate", "share", "sides")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[ModalityResult.State]
        USED: _ClassVar[ModalityResult.State]
        ABSENT: _ClassVar[ModalityResult.State]
        REJECTED: _ClassVar[ModalityResult.State]
        FAILED: _ClassVar[ModalityResult.State]
        UNAVAILABLE: _ClassVar[ModalityResult.State]
    STATE_UNSPECIFIED: ModalityResult.State
    USED: ModalityResult.State
    ABSENT: ModalityResult.State
    REJECTED: ModalityResult.State
    FAILED: ModalityResult.State
    UNAVAILABLE: ModalityResult.State
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    SIDES_FIELD_NUMBER: _ClassVar[int]
    modality: Modality
    state: ModalityResult.State
    reason: str
    remedy: str
    estimate: Estimate
    share: float
    sides: _containers.RepeatedCompositeFieldContainer[SideResult]
    def __init__(self, modality: _Optional[_Union[Modality, str]] = ..., state: _Optional[_Union[ModalityResult.State, str]] = ..., reason: _Optional[str] = ..., remedy: _Optional[str] = ..., estimate: _Optional[_Union[Estimate, _Mapping]] = ..., share: _Optional[float] = ..., sides: _Optional[_Iterable[_Union[SideResult, _Mapping]]] = ...) -> None: ...

class SourceResult(_message.Message):
    __slots__ = ("source", "modality", "estimate", "weight", "contribution", "share", "weakness", "speaker_known")
    class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SOURCE_UNSPECIFIED: _ClassVar[SourceResult.Source]
        TEXT: _ClassVar[SourceResult.Source]
        TRANSCRIPT: _ClassVar[SourceResult.Source]
        VOICE: _ClassVar[SourceResult.Source]
        IMAGE_TEXT: _ClassVar[SourceResult.Source]
        VISION: _ClassVar[SourceResult.Source]
    SOURCE_UNSPECIFIED: SourceResult.Source
    TEXT: SourceResult.Source
    TRANSCRIPT: SourceResult.Source
    VOICE: SourceResult.Source
    IMAGE_TEXT: SourceResult.Source
    VISION: SourceResult.Source
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    WEAKNESS_FIELD_NUMBER: _ClassVar[int]
    SPEAKER_KNOWN_FIELD_NUMBER: _ClassVar[int]
    source: SourceResult.Source
    modality: Modality
    estimate: Estimate
    weight: float
    contribution: float
    share: float
    weakness: str
    speaker_known: float
    def __init__(self, source: _Optional[_Union[SourceResult.Source, str]] = ..., modality: _Optional[_Union[Modality, str]] = ..., estimate: _Optional[_Union[Estimate, _Mapping]] = ..., weight: _Optional[float] = ..., contribution: _Optional[float] = ..., share: _Optional[float] = ..., weakness: _Optional[str] = ..., speaker_known: _Optional[float] = ...) -> None: ...

class Word(_message.Message):
    __slots__ = ("text", "start_offset", "end_offset")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_OFFSET_FIELD_NUMBER: _ClassVar[int]
    END_OFFSET_FIELD_NUMBER: _ClassVar[int]
    text: str
    start_offset: _duration_pb2.Duration
    end_offset: _duration_pb2.Duration
    def __init__(self, text: _Optional[str] = ..., start_offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., end_offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class TranscriptSegment(_message.Message):
    __slots__ = ("start_offset", "end_offset", "text", "confidence", "words", "estimate", "language", "loudness_dbfs")
    START_OFFSET_FIELD_NUMBER: _ClassVar[int]
    END_OFFSET_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    LOUDNESS_DBFS_FIELD_NUMBER: _ClassVar[int]
    start_offset: _duration_pb2.Duration
    end_offset: _duration_pb2.Duration
    text: str
    confidence: float
    words: _containers.RepeatedCompositeFieldContainer[Word]
    estimate: Estimate
    language: str
    loudness_dbfs: float
    def __init__(self, start_offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., end_offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., text: _Optional[str] = ..., confidence: _Optional[float] = ..., words: _Optional[_Iterable[_Union[Word, _Mapping]]] = ..., estimate: _Optional[_Union[Estimate, _Mapping]] = ..., language: _Optional[str] = ..., loudness_dbfs: _Optional[float] = ...) -> None: ...

class Transcript(_message.Message):
    __slots__ = ("state", "reason", "remedy", "text", "language", "segments")
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    state: ModalityResult.State
    reason: str
    remedy: str
    text: str
    language: str
    segments: _containers.RepeatedCompositeFieldContainer[TranscriptSegment]
    def __init__(self, state: _Optional[_Union[ModalityResult.State, str]] = ..., reason: _Optional[str] = ..., remedy: _Optional[str] = ..., text: _Optional[str] = ..., language: _Optional[str] = ..., segments: _Optional[_Iterable[_Union[TranscriptSegment, _Mapping]]] = ...) -> None: ...

class Box(_message.Message):
    __slots__ = ("left", "top", "right", "bottom")
    LEFT_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    BOTTOM_FIELD_NUMBER: _ClassVar[int]
    left: int
    top: int
    right: int
    bottom: int
    def __init__(self, left: _Optional[int] = ..., top: _Optional[int] = ..., right: _Optional[int] = ..., bottom: _Optional[int] = ...) -> None: ...

class ReadMessage(_message.Message):
    __slots__ = ("kind", "text", "page", "box", "side", "role", "ocr_confidence", "time_text", "estimate", "quoted_text", "sender_name")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[ReadMessage.Kind]
        MESSAGE: _ClassVar[ReadMessage.Kind]
        TIMESTAMP: _ClassVar[ReadMessage.Kind]
        SYSTEM: _ClassVar[ReadMessage.Kind]
        NAME: _ClassVar[ReadMessage.Kind]
        TEXT: _ClassVar[ReadMessage.Kind]
    KIND_UNSPECIFIED: ReadMessage.Kind
    MESSAGE: ReadMessage.Kind
    TIMESTAMP: ReadMessage.Kind
    SYSTEM: ReadMessage.Kind
    NAME: ReadMessage.Kind
    TEXT: ReadMessage.Kind
    class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SIDE_UNSPECIFIED: _ClassVar[ReadMessage.Side]
        LEFT: _ClassVar[ReadMessage.Side]
        RIGHT: _ClassVar[ReadMessage.Side]
    SIDE_UNSPECIFIED: ReadMessage.Side
    LEFT: ReadMessage.Side
    RIGHT: ReadMessage.Side
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    OCR_CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_TEXT_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    QUOTED_TEXT_FIELD_NUMBER: _ClassVar[int]
    SENDER_NAME_FIELD_NUMBER: _ClassVar[int]
    kind: ReadMessage.Kind
    text: str
    page: int
    box: Box
    side: ReadMessage.Side
    role: Role
    ocr_confidence: float
    time_text: str
    estimate: Estimate
    quoted_text: str
    sender_name: str
    def __init__(self, kind: _Optional[_Union[ReadMessage.Kind, str]] = ..., text: _Optional[str] = ..., page: _Optional[int] = ..., box: _Optional[_Union[Box, _Mapping]] = ..., side: _Optional[_Union[ReadMessage.Side, str]] = ..., role: _Optional[_Union[Role, str]] = ..., ocr_confidence: _Optional[float] = ..., time_text: _Optional[str] = ..., estimate: _Optional[_Union[Estimate, _Mapping]] = ..., quoted_text: _Optional[str] = ..., sender_name: _Optional[str] = ...) -> None: ...

class PictureResult(_message.Message):
    __slots__ = ("kind", "confidence", "reason", "width", "height", "faces")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[PictureResult.Kind]
        SCREENSHOT: _ClassVar[PictureResult.Kind]
        FACE: _ClassVar[PictureResult.Kind]
        STICKER: _ClassVar[PictureResult.Kind]
        PHOTO: _ClassVar[PictureResult.Kind]
        DOCUMENT: _ClassVar[PictureResult.Kind]
    KIND_UNSPECIFIED: PictureResult.Kind
    SCREENSHOT: PictureResult.Kind
    FACE: PictureResult.Kind
    STICKER: PictureResult.Kind
    PHOTO: PictureResult.Kind
    DOCUMENT: PictureResult.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FACES_FIELD_NUMBER: _ClassVar[int]
    kind: PictureResult.Kind
    confidence: float
    reason: str
    width: int
    height: int
    faces: _containers.RepeatedCompositeFieldContainer[Box]
    def __init__(self, kind: _Optional[_Union[PictureResult.Kind, str]] = ..., confidence: _Optional[float] = ..., reason: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., faces: _Optional[_Iterable[_Union[Box, _Mapping]]] = ...) -> None: ...

class SideResult(_message.Message):
    __slots__ = ("side", "role", "estimate", "scores", "shift")
    SIDE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    side: ReadMessage.Side
    role: Role
    estimate: Estimate
    scores: _containers.RepeatedScalarFieldContainer[float]
    shift: float
    def __init__(self, side: _Optional[_Union[ReadMessage.Side, str]] = ..., role: _Optional[_Union[Role, str]] = ..., estimate: _Optional[_Union[Estimate, _Mapping]] = ..., scores: _Optional[_Iterable[float]] = ..., shift: _Optional[float] = ...) -> None: ...

class ModelUse(_message.Message):
    __slots__ = ("name", "revision")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: str
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[str] = ...) -> None: ...

class StageTiming(_message.Message):
    __slots__ = ("stage", "duration")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    stage: str
    duration: _duration_pb2.Duration
    def __init__(self, stage: _Optional[str] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Metadata(_message.Message):
    __slots__ = ("models", "timings", "encoder_passes")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    ENCODER_PASSES_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelUse]
    timings: _containers.RepeatedCompositeFieldContainer[StageTiming]
    encoder_passes: int
    def __init__(self, models: _Optional[_Iterable[_Union[ModelUse, _Mapping]]] = ..., timings: _Optional[_Iterable[_Union[StageTiming, _Mapping]]] = ..., encoder_passes: _Optional[int] = ...) -> None: ...
