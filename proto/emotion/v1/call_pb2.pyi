import datetime

from emotion.v1 import advice_pb2 as _advice_pb2
from emotion.v1 import conversation_pb2 as _conversation_pb2
from emotion.v1 import types_pb2 as _types_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StreamCallConfig(_message.Message):
    __slots__ = ("request_id", "context", "encoding", "sample_rate_hz", "channel_roles", "interim_results", "state_interval", "score_unknown_roles", "config")
    class Encoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ENCODING_UNSPECIFIED: _ClassVar[StreamCallConfig.Encoding]
        LINEAR16: _ClassVar[StreamCallConfig.Encoding]
        MULAW: _ClassVar[StreamCallConfig.Encoding]
        ALAW: _ClassVar[StreamCallConfig.Encoding]
        OGG_OPUS: _ClassVar[StreamCallConfig.Encoding]
        OPUS: _ClassVar[StreamCallConfig.Encoding]
    ENCODING_UNSPECIFIED: StreamCallConfig.Encoding
    LINEAR16: StreamCallConfig.Encoding
    MULAW: StreamCallConfig.Encoding
    ALAW: StreamCallConfig.Encoding
    OGG_OPUS: StreamCallConfig.Encoding
    OPUS: StreamCallConfig.Encoding
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_ROLES_FIELD_NUMBER: _ClassVar[int]
    INTERIM_RESULTS_FIELD_NUMBER: _ClassVar[int]
    STATE_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    SCORE_UNKNOWN_ROLES_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    context: _types_pb2.Context
    encoding: StreamCallConfig.Encoding
    sample_rate_hz: int
    channel_roles: _containers.RepeatedScalarFieldContainer[_types_pb2.Role]
    interim_results: bool
    state_interval: _duration_pb2.Duration
    score_unknown_roles: bool
    config: _types_pb2.AnalysisConfig
    def __init__(self, request_id: _Optional[str] = ..., context: _Optional[_Union[_types_pb2.Context, _Mapping]] = ..., encoding: _Optional[_Union[StreamCallConfig.Encoding, str]] = ..., sample_rate_hz: _Optional[int] = ..., channel_roles: _Optional[_Iterable[_Union[_types_pb2.Role, str]]] = ..., interim_results: _Optional[bool] = ..., state_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., score_unknown_roles: _Optional[bool] = ..., config: _Optional[_Union[_types_pb2.AnalysisConfig, _Mapping]] = ...) -> None: ...

class StreamCallRequest(_message.Message):
    __slots__ = ("config", "audio", "message")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    config: StreamCallConfig
    audio: bytes
    message: _conversation_pb2.Message
    def __init__(self, config: _Optional[_Union[StreamCallConfig, _Mapping]] = ..., audio: _Optional[bytes] = ..., message: _Optional[_Union[_conversation_pb2.Message, _Mapping]] = ...) -> None: ...

class SpeechEvent(_message.Message):
    __slots__ = ("type", "offset", "channel", "role")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[SpeechEvent.Type]
        STARTED: _ClassVar[SpeechEvent.Type]
        ENDED: _ClassVar[SpeechEvent.Type]
    TYPE_UNSPECIFIED: SpeechEvent.Type
    STARTED: SpeechEvent.Type
    ENDED: SpeechEvent.Type
    TYPE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    type: SpeechEvent.Type
    offset: _duration_pb2.Duration
    channel: int
    role: _types_pb2.Role
    def __init__(self, type: _Optional[_Union[SpeechEvent.Type, str]] = ..., offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., channel: _Optional[int] = ..., role: _Optional[_Union[_types_pb2.Role, str]] = ...) -> None: ...

class Utterance(_message.Message):
    __slots__ = ("index", "channel", "role", "start_offset", "end_offset", "is_final", "loudness_dbfs", "text", "confidence", "language", "estimate", "sources", "not_scored")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    START_OFFSET_FIELD_NUMBER: _ClassVar[int]
    END_OFFSET_FIELD_NUMBER: _ClassVar[int]
    IS_FINAL_FIELD_NUMBER: _ClassVar[int]
    LOUDNESS_DBFS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    NOT_SCORED_FIELD_NUMBER: _ClassVar[int]
    index: int
    channel: int
    role: _types_pb2.Role
    start_offset: _duration_pb2.Duration
    end_offset: _duration_pb2.Duration
    is_final: bool
    loudness_dbfs: float
    text: str
    confidence: float
    language: str
    estimate: _types_pb2.Estimate
    sources: _containers.RepeatedCompositeFieldContainer[_types_pb2.SourceResult]
    not_scored: str
    def __init__(self, index: _Optional[int] = ..., channel: _Optional[int] = ..., role: _Optional[_Union[_types_pb2.Role, str]] = ..., start_offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., end_offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., is_final: _Optional[bool] = ..., loudness_dbfs: _Optional[float] = ..., text: _Optional[str] = ..., confidence: _Optional[float] = ..., language: _Optional[str] = ..., estimate: _Optional[_Union[_types_pb2.Estimate, _Mapping]] = ..., sources: _Optional[_Iterable[_Union[_types_pb2.SourceResult, _Mapping]]] = ..., not_scored: _Optional[str] = ...) -> None: ...

class ChannelShape(_message.Message):
    __slots__ = ("channel", "role", "utterance_count", "talk_time", "interruption_count", "loudness_dbfs", "speaking_rate_per_minute", "course")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    UTTERANCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    TALK_TIME_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    LOUDNESS_DBFS_FIELD_NUMBER: _ClassVar[int]
    SPEAKING_RATE_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    COURSE_FIELD_NUMBER: _ClassVar[int]
    channel: int
    role: _types_pb2.Role
    utterance_count: int
    talk_time: _duration_pb2.Duration
    interruption_count: int
    loudness_dbfs: float
    speaking_rate_per_minute: float
    course: ScoreCourse
    def __init__(self, channel: _Optional[int] = ..., role: _Optional[_Union[_types_pb2.Role, str]] = ..., utterance_count: _Optional[int] = ..., talk_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., interruption_count: _Optional[int] = ..., loudness_dbfs: _Optional[float] = ..., speaking_rate_per_minute: _Optional[float] = ..., course: _Optional[_Union[ScoreCourse, _Mapping]] = ...) -> None: ...

class Peak(_message.Message):
    __slots__ = ("start_offset", "end_offset", "score")
    START_OFFSET_FIELD_NUMBER: _ClassVar[int]
    END_OFFSET_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    start_offset: _duration_pb2.Duration
    end_offset: _duration_pb2.Duration
    score: float
    def __init__(self, start_offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., end_offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., score: _Optional[float] = ...) -> None: ...

class ScoreCourse(_message.Message):
    __slots__ = ("utterance_count", "score", "start", "end", "lowest", "shift", "quarters", "lowest_moments", "highest_moments")
    UTTERANCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    LOWEST_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    QUARTERS_FIELD_NUMBER: _ClassVar[int]
    LOWEST_MOMENTS_FIELD_NUMBER: _ClassVar[int]
    HIGHEST_MOMENTS_FIELD_NUMBER: _ClassVar[int]
    utterance_count: int
    score: float
    start: float
    end: float
    lowest: float
    shift: float
    quarters: _containers.RepeatedScalarFieldContainer[float]
    lowest_moments: _containers.RepeatedCompositeFieldContainer[Peak]
    highest_moments: _containers.RepeatedCompositeFieldContainer[Peak]
    def __init__(self, utterance_count: _Optional[int] = ..., score: _Optional[float] = ..., start: _Optional[float] = ..., end: _Optional[float] = ..., lowest: _Optional[float] = ..., shift: _Optional[float] = ..., quarters: _Optional[_Iterable[float]] = ..., lowest_moments: _Optional[_Iterable[_Union[Peak, _Mapping]]] = ..., highest_moments: _Optional[_Iterable[_Union[Peak, _Mapping]]] = ...) -> None: ...

class CallShape(_message.Message):
    __slots__ = ("duration", "silence", "non_talk", "overlap", "channels")
    DURATION_FIELD_NUMBER: _ClassVar[int]
    SILENCE_FIELD_NUMBER: _ClassVar[int]
    NON_TALK_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    duration: _duration_pb2.Duration
    silence: _duration_pb2.Duration
    non_talk: _duration_pb2.Duration
    overlap: _duration_pb2.Duration
    channels: _containers.RepeatedCompositeFieldContainer[ChannelShape]
    def __init__(self, duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., silence: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., non_talk: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., overlap: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., channels: _Optional[_Iterable[_Union[ChannelShape, _Mapping]]] = ...) -> None: ...

class CallState(_message.Message):
    __slots__ = ("offset", "score", "trend_per_minute", "shift", "shape")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    TREND_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    offset: _duration_pb2.Duration
    score: float
    trend_per_minute: float
    shift: float
    shape: CallShape
    def __init__(self, offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., score: _Optional[float] = ..., trend_per_minute: _Optional[float] = ..., shift: _Optional[float] = ..., shape: _Optional[_Union[CallShape, _Mapping]] = ...) -> None: ...

class CallSummary(_message.Message):
    __slots__ = ("shape", "customer", "notes", "metadata", "request_id")
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    shape: CallShape
    customer: _conversation_pb2.ConversationSummary
    notes: _containers.RepeatedScalarFieldContainer[str]
    metadata: _types_pb2.Metadata
    request_id: str
    def __init__(self, shape: _Optional[_Union[CallShape, _Mapping]] = ..., customer: _Optional[_Union[_conversation_pb2.ConversationSummary, _Mapping]] = ..., notes: _Optional[_Iterable[str]] = ..., metadata: _Optional[_Union[_types_pb2.Metadata, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class StreamCallResponse(_message.Message):
    __slots__ = ("speech", "utterance", "message", "state", "summary", "advice")
    SPEECH_FIELD_NUMBER: _ClassVar[int]
    UTTERANCE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    speech: SpeechEvent
    utterance: Utterance
    message: _conversation_pb2.MessageResult
    state: CallState
    summary: CallSummary
    advice: _advice_pb2.Advice
    def __init__(self, speech: _Optional[_Union[SpeechEvent, _Mapping]] = ..., utterance: _Optional[_Union[Utterance, _Mapping]] = ..., message: _Optional[_Union[_conversation_pb2.MessageResult, _Mapping]] = ..., state: _Optional[_Union[CallState, _Mapping]] = ..., summary: _Optional[_Union[CallSummary, _Mapping]] = ..., advice: _Optional[_Union[_advice_pb2.Advice, _Mapping]] = ...) -> None: ...

class BatchAnalyzeCallsRequest(_message.Message):
    __slots__ = ("request_id", "paths", "output", "channel_roles", "single_speaker", "score_unknown_roles")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_ROLES_FIELD_NUMBER: _ClassVar[int]
    SINGLE_SPEAKER_FIELD_NUMBER: _ClassVar[int]
    SCORE_UNKNOWN_ROLES_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    paths: _containers.RepeatedScalarFieldContainer[str]
    output: str
    channel_roles: _containers.RepeatedScalarFieldContainer[_types_pb2.Role]
    single_speaker: _types_pb2.Role
    score_unknown_roles: bool
    def __init__(self, request_id: _Optional[str] = ..., paths: _Optional[_Iterable[str]] = ..., output: _Optional[str] = ..., channel_roles: _Optional[_Iterable[_Union[_types_pb2.Role, str]]] = ..., single_speaker: _Optional[_Union[_types_pb2.Role, str]] = ..., score_unknown_roles: _Optional[bool] = ...) -> None: ...

class BatchAnalyzeCallsMetadata(_message.Message):
    __slots__ = ("total_count", "done_count", "failed_count", "scored_audio")
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    DONE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SCORED_AUDIO_FIELD_NUMBER: _ClassVar[int]
    total_count: int
    done_count: int
    failed_count: int
    scored_audio: _duration_pb2.Duration
    def __init__(self, total_count: _Optional[int] = ..., done_count: _Optional[int] = ..., failed_count: _Optional[int] = ..., scored_audio: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CallResult(_message.Message):
    __slots__ = ("path", "status", "summary")
    PATH_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    path: str
    status: _status_pb2.Status
    summary: CallSummary
    def __init__(self, path: _Optional[str] = ..., status: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., summary: _Optional[_Union[CallSummary, _Mapping]] = ...) -> None: ...

class BatchAnalyzeCallsResponse(_message.Message):
    __slots__ = ("calls",)
    CALLS_FIELD_NUMBER: _ClassVar[int]
    calls: _containers.RepeatedCompositeFieldContainer[CallResult]
    def __init__(self, calls: _Optional[_Iterable[_Union[CallResult, _Mapping]]] = ...) -> None: ...
