import datetime

from emotion.v1 import advice_pb2 as _advice_pb2
from emotion.v1 import conversation_pb2 as _conversation_pb2
from emotion.v1 import types_pb2 as _types_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ConversationMoment(_message.Message):
    __slots__ = ("number", "role", "start_offset", "end_offset", "score", "emotion", "advice", "text")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    START_OFFSET_FIELD_NUMBER: _ClassVar[int]
    END_OFFSET_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    EMOTION_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    number: int
    role: _types_pb2.Role
    start_offset: _duration_pb2.Duration
    end_offset: _duration_pb2.Duration
    score: float
    emotion: str
    advice: _containers.RepeatedCompositeFieldContainer[_advice_pb2.Advice]
    text: str
    def __init__(self, number: _Optional[int] = ..., role: _Optional[_Union[_types_pb2.Role, str]] = ..., start_offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., end_offset: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., score: _Optional[float] = ..., emotion: _Optional[str] = ..., advice: _Optional[_Iterable[_Union[_advice_pb2.Advice, _Mapping]]] = ..., text: _Optional[str] = ...) -> None: ...

class Conversation(_message.Message):
    __slots__ = ("name", "request_id", "method", "start_time", "end_time", "conversation_id", "channel", "language", "tags", "customer", "moments")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    MOMENTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    method: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    conversation_id: str
    channel: str
    language: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    customer: _conversation_pb2.ConversationSummary
    moments: _containers.RepeatedCompositeFieldContainer[ConversationMoment]
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ..., method: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., conversation_id: _Optional[str] = ..., channel: _Optional[str] = ..., language: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., customer: _Optional[_Union[_conversation_pb2.ConversationSummary, _Mapping]] = ..., moments: _Optional[_Iterable[_Union[ConversationMoment, _Mapping]]] = ...) -> None: ...

class ListConversationsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListConversationsResponse(_message.Message):
    __slots__ = ("conversations", "next_page_token")
    CONVERSATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    conversations: _containers.RepeatedCompositeFieldContainer[Conversation]
    next_page_token: str
    def __init__(self, conversations: _Optional[_Iterable[_Union[Conversation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetConversationRequest(_message.Message):
    __slots__ = ("name", "language")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    language: str
    def __init__(self, name: _Optional[str] = ..., language: _Optional[str] = ...) -> None: ...

class Trend(_message.Message):
    __slots__ = ("group", "conversation_count", "unscored_count", "score", "negative_share", "negative_share_low", "negative_share_high")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNSCORED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_SHARE_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_SHARE_LOW_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_SHARE_HIGH_FIELD_NUMBER: _ClassVar[int]
    group: str
    conversation_count: int
    unscored_count: int
    score: float
    negative_share: float
    negative_share_low: float
    negative_share_high: float
    def __init__(self, group: _Optional[str] = ..., conversation_count: _Optional[int] = ..., unscored_count: _Optional[int] = ..., score: _Optional[float] = ..., negative_share: _Optional[float] = ..., negative_share_low: _Optional[float] = ..., negative_share_high: _Optional[float] = ...) -> None: ...

class ListTrendsRequest(_message.Message):
    __slots__ = ("group_by", "start_time", "end_time", "page_size", "page_token")
    class GroupBy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        GROUP_BY_UNSPECIFIED: _ClassVar[ListTrendsRequest.GroupBy]
        HOUR: _ClassVar[ListTrendsRequest.GroupBy]
        DAY: _ClassVar[ListTrendsRequest.GroupBy]
        CHANNEL: _ClassVar[ListTrendsRequest.GroupBy]
        TAG: _ClassVar[ListTrendsRequest.GroupBy]
    GROUP_BY_UNSPECIFIED: ListTrendsRequest.GroupBy
    HOUR: ListTrendsRequest.GroupBy
    DAY: ListTrendsRequest.GroupBy
    CHANNEL: ListTrendsRequest.GroupBy
    TAG: ListTrendsRequest.GroupBy
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    group_by: ListTrendsRequest.GroupBy
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    def __init__(self, group_by: _Optional[_Union[ListTrendsRequest.GroupBy, str]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTrendsResponse(_message.Message):
    __slots__ = ("trends", "next_page_token")
    TRENDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    trends: _containers.RepeatedCompositeFieldContainer[Trend]
    next_page_token: str
    def __init__(self, trends: _Optional[_Iterable[_Union[Trend, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class StreamConversationsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StreamConversationsResponse(_message.Message):
    __slots__ = ("conversation", "lost_count")
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    LOST_COUNT_FIELD_NUMBER: _ClassVar[int]
    conversation: Conversation
    lost_count: int
    def __init__(self, conversation: _Optional[_Union[Conversation, _Mapping]] = ..., lost_count: _Optional[int] = ...) -> None: ...
