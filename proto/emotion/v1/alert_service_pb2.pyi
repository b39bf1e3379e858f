import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NegativeCount(_message.Message):
    __slots__ = ("conversation_count", "negative_count", "share")
    CONVERSATION_COUNT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    conversation_count: int
    negative_count: int
    share: float
    def __init__(self, conversation_count: _Optional[int] = ..., negative_count: _Optional[int] = ..., share: _Optional[float] = ...) -> None: ...

class Alert(_message.Message):
    __slots__ = ("id", "kind", "episode_id", "scope", "name", "create_time", "since_time", "before", "after", "p_value")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Alert.Kind]
        SPIKE: _ClassVar[Alert.Kind]
        RECOVERED: _ClassVar[Alert.Kind]
        SETTLED: _ClassVar[Alert.Kind]
    KIND_UNSPECIFIED: Alert.Kind
    SPIKE: Alert.Kind
    RECOVERED: Alert.Kind
    SETTLED: Alert.Kind
    class Scope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SCOPE_UNSPECIFIED: _ClassVar[Alert.Scope]
        OVERALL: _ClassVar[Alert.Scope]
        CHANNEL: _ClassVar[Alert.Scope]
        TAG: _ClassVar[Alert.Scope]
    SCOPE_UNSPECIFIED: Alert.Scope
    OVERALL: Alert.Scope
    CHANNEL: Alert.Scope
    TAG: Alert.Scope
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EPISODE_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    SINCE_TIME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    P_VALUE_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: Alert.Kind
    episode_id: str
    scope: Alert.Scope
    name: str
    create_time: _timestamp_pb2.Timestamp
    since_time: _timestamp_pb2.Timestamp
    before: NegativeCount
    after: NegativeCount
    p_value: float
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[_Union[Alert.Kind, str]] = ..., episode_id: _Optional[str] = ..., scope: _Optional[_Union[Alert.Scope, str]] = ..., name: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., since_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., before: _Optional[_Union[NegativeCount, _Mapping]] = ..., after: _Optional[_Union[NegativeCount, _Mapping]] = ..., p_value: _Optional[float] = ...) -> None: ...

class AlertFilter(_message.Message):
    __slots__ = ("kinds", "scopes", "names")
    KINDS_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    kinds: _containers.RepeatedScalarFieldContainer[Alert.Kind]
    scopes: _containers.RepeatedScalarFieldContainer[Alert.Scope]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, kinds: _Optional[_Iterable[_Union[Alert.Kind, str]]] = ..., scopes: _Optional[_Iterable[_Union[Alert.Scope, str]]] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class StreamAlertsRequest(_message.Message):
    __slots__ = ("filter",)
    FILTER_FIELD_NUMBER: _ClassVar[int]
    filter: AlertFilter
    def __init__(self, filter: _Optional[_Union[AlertFilter, _Mapping]] = ...) -> None: ...

class ListAlertsRequest(_message.Message):
    __slots__ = ("filter", "page_size", "page_token")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    filter: AlertFilter
    page_size: int
    page_token: str
    def __init__(self, filter: _Optional[_Union[AlertFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAlertsResponse(_message.Message):
    __slots__ = ("alerts", "next_page_token")
    ALERTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    alerts: _containers.RepeatedCompositeFieldContainer[Alert]
    next_page_token: str
    def __init__(self, alerts: _Optional[_Iterable[_Union[Alert, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
