import datetime

from emotion.v1 import types_pb2 as _types_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Message(_message.Message):
    __slots__ = ("role", "offset", "text", "audio", "image")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    role: _types_pb2.Role
    offset: _duration_pb2.Duration
    text: _types_pb2.Text
    audio: _types_pb2.Audio
    image: _types_pb2.Image
    def __init__(self, role: _Optional[_Union[_types_pb2.Role, str]] = ..., offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., text: _Optional[_Union[_types_pb2.Text, _Mapping]] = ..., audio: _Optional[_Union[_types_pb2.Audio, _Mapping]] = ..., image: _Optional[_Union[_types_pb2.Image, _Mapping]] = ...) -> None: ...

class MessageResult(_message.Message):
    __slots__ = ("index", "role", "offset", "estimate", "modalities", "transcript", "messages", "pictures")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    MODALITIES_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    index: int
    role: _types_pb2.Role
    offset: _duration_pb2.Duration
    estimate: _types_pb2.Estimate
    modalities: _containers.RepeatedCompositeFieldContainer[_types_pb2.ModalityResult]
    transcript: _types_pb2.Transcript
    messages: _containers.RepeatedCompositeFieldContainer[_types_pb2.ReadMessage]
    pictures: _containers.RepeatedCompositeFieldContainer[_types_pb2.PictureResult]
    def __init__(self, index: _Optional[int] = ..., role: _Optional[_Union[_types_pb2.Role, str]] = ..., offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., estimate: _Optional[_Union[_types_pb2.Estimate, _Mapping]] = ..., modalities: _Optional[_Iterable[_Union[_types_pb2.ModalityResult, _Mapping]]] = ..., transcript: _Optional[_Union[_types_pb2.Transcript, _Mapping]] = ..., messages: _Optional[_Iterable[_Union[_types_pb2.ReadMessage, _Mapping]]] = ..., pictures: _Optional[_Iterable[_Union[_types_pb2.PictureResult, _Mapping]]] = ...) -> None: ...

class ConversationSummary(_message.Message):
    __slots__ = ("message_count", "score", "start", "end", "lowest", "shift", "satisfaction")
    MESSAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    LOWEST_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    SATISFACTION_FIELD_NUMBER: _ClassVar[int]
    message_count: int
    score: float
    start: float
    end: float
    lowest: float
    shift: float
    satisfaction: float
    def __init__(self, message_count: _Optional[int] = ..., score: _Optional[float] = ..., start: _Optional[float] = ..., end: _Optional[float] = ..., lowest: _Optional[float] = ..., shift: _Optional[float] = ..., satisfaction: _Optional[float] = ...) -> None: ...
