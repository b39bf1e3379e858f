import datetime

from emotion.v1 import types_pb2 as _types_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Explanation(_message.Message):
    __slots__ = ("reason", "language", "log_odds", "terms", "modalities", "texts", "stretches", "messages", "regions", "rules", "left_out")
    REASON_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    LOG_ODDS_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    MODALITIES_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    STRETCHES_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    reason: str
    language: str
    log_odds: float
    terms: _containers.RepeatedCompositeFieldContainer[TermExplanation]
    modalities: _containers.RepeatedCompositeFieldContainer[ModalityExplanation]
    texts: _containers.RepeatedCompositeFieldContainer[TextExplanation]
    stretches: _containers.RepeatedCompositeFieldContainer[SpeechExplanation]
    messages: _containers.RepeatedCompositeFieldContainer[MessageExplanation]
    regions: _containers.RepeatedCompositeFieldContainer[RegionExplanation]
    rules: _containers.RepeatedCompositeFieldContainer[RuleExplanation]
    left_out: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, reason: _Optional[str] = ..., language: _Optional[str] = ..., log_odds: _Optional[float] = ..., terms: _Optional[_Iterable[_Union[TermExplanation, _Mapping]]] = ..., modalities: _Optional[_Iterable[_Union[ModalityExplanation, _Mapping]]] = ..., texts: _Optional[_Iterable[_Union[TextExplanation, _Mapping]]] = ..., stretches: _Optional[_Iterable[_Union[SpeechExplanation, _Mapping]]] = ..., messages: _Optional[_Iterable[_Union[MessageExplanation, _Mapping]]] = ..., regions: _Optional[_Iterable[_Union[RegionExplanation, _Mapping]]] = ..., rules: _Optional[_Iterable[_Union[RuleExplanation, _Mapping]]] = ..., left_out: _Optional[_Iterable[str]] = ...) -> None: ...

class TermExplanation(_message.Message):
    __slots__ = ("source", "contribution", "share", "description")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    source: _types_pb2.SourceResult.Source
    contribution: float
    share: float
    description: str
    def __init__(self, source: _Optional[_Union[_types_pb2.SourceResult.Source, str]] = ..., contribution: _Optional[float] = ..., share: _Optional[float] = ..., description: _Optional[str] = ...) -> None: ...

class ModalityExplanation(_message.Message):
    __slots__ = ("modality", "state", "contribution", "share", "description")
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    modality: _types_pb2.Modality
    state: _types_pb2.ModalityResult.State
    contribution: float
    share: float
    description: str
    def __init__(self, modality: _Optional[_Union[_types_pb2.Modality, str]] = ..., state: _Optional[_Union[_types_pb2.ModalityResult.State, str]] = ..., contribution: _Optional[float] = ..., share: _Optional[float] = ..., description: _Optional[str] = ...) -> None: ...

class TextExplanation(_message.Message):
    __slots__ = ("source", "index", "log_odds", "base", "completeness_error", "words", "omitted_tokens")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    LOG_ODDS_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_ERROR_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    OMITTED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    source: _types_pb2.SourceResult.Source
    index: int
    log_odds: float
    base: float
    completeness_error: float
    words: _containers.RepeatedCompositeFieldContainer[WordContribution]
    omitted_tokens: int
    def __init__(self, source: _Optional[_Union[_types_pb2.SourceResult.Source, str]] = ..., index: _Optional[int] = ..., log_odds: _Optional[float] = ..., base: _Optional[float] = ..., completeness_error: _Optional[float] = ..., words: _Optional[_Iterable[_Union[WordContribution, _Mapping]]] = ..., omitted_tokens: _Optional[int] = ...) -> None: ...

class WordContribution(_message.Message):
    __slots__ = ("text", "start", "end", "contribution")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    text: str
    start: int
    end: int
    contribution: float
    def __init__(self, text: _Optional[str] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., contribution: _Optional[float] = ...) -> None: ...

class SpeechExplanation(_message.Message):
    __slots__ = ("index", "start_offset", "end_offset", "sound_effect", "words_effect")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    START_OFFSET_FIELD_NUMBER: _ClassVar[int]
    END_OFFSET_FIELD_NUMBER: _ClassVar[int]
    SOUND_EFFECT_FIELD_NUMBER: _ClassVar[int]
    WORDS_EFFECT_FIELD_NUMBER: _ClassVar[int]
    index: int
    start_offset: _duration_pb2.Duration
    end_offset: _duration_pb2.Duration
    sound_effect: float
    words_effect: float
    def __init__(self, index: _Optional[int] = ..., start_offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., end_offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., sound_effect: _Optional[float] = ..., words_effect: _Optional[float] = ...) -> None: ...

class MessageExplanation(_message.Message):
    __slots__ = ("index", "page", "box", "role", "effect")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    index: int
    page: int
    box: _types_pb2.Box
    role: _types_pb2.Role
    effect: float
    def __init__(self, index: _Optional[int] = ..., page: _Optional[int] = ..., box: _Optional[_Union[_types_pb2.Box, _Mapping]] = ..., role: _Optional[_Union[_types_pb2.Role, str]] = ..., effect: _Optional[float] = ...) -> None: ...

class RegionExplanation(_message.Message):
    __slots__ = ("page", "box", "effect")
    PAGE_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    page: int
    box: _types_pb2.Box
    effect: float
    def __init__(self, page: _Optional[int] = ..., box: _Optional[_Union[_types_pb2.Box, _Mapping]] = ..., effect: _Optional[float] = ...) -> None: ...

class RuleExplanation(_message.Message):
    __slots__ = ("rule", "facts")
    RULE_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    rule: str
    facts: _struct_pb2.Struct
    def __init__(self, rule: _Optional[str] = ..., facts: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...
