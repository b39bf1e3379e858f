from emotion.v1 import advice_pb2 as _advice_pb2
from emotion.v1 import call_pb2 as _call_pb2
from emotion.v1 import conversation_pb2 as _conversation_pb2
from emotion.v1 import explanation_pb2 as _explanation_pb2
from emotion.v1 import types_pb2 as _types_pb2
from google.longrunning import operations_pb2 as _operations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AnalyzeEmotionRequest(_message.Message):
    __slots__ = ("context", "text", "audio", "images", "config", "request_id")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    context: _types_pb2.Context
    text: _types_pb2.Text
    audio: _types_pb2.Audio
    images: _containers.RepeatedCompositeFieldContainer[_types_pb2.Image]
    config: _types_pb2.AnalysisConfig
    request_id: str
    def __init__(self, context: _Optional[_Union[_types_pb2.Context, _Mapping]] = ..., text: _Optional[_Union[_types_pb2.Text, _Mapping]] = ..., audio: _Optional[_Union[_types_pb2.Audio, _Mapping]] = ..., images: _Optional[_Iterable[_Union[_types_pb2.Image, _Mapping]]] = ..., config: _Optional[_Union[_types_pb2.AnalysisConfig, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class AnalyzeEmotionResponse(_message.Message):
    __slots__ = ("fused", "modalities", "sources", "transcript", "messages", "metadata", "request_id", "pictures", "advice", "explanation")
    FUSED_FIELD_NUMBER: _ClassVar[int]
    MODALITIES_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    fused: _types_pb2.Estimate
    modalities: _containers.RepeatedCompositeFieldContainer[_types_pb2.ModalityResult]
    sources: _containers.RepeatedCompositeFieldContainer[_types_pb2.SourceResult]
    transcript: _types_pb2.Transcript
    messages: _containers.RepeatedCompositeFieldContainer[_types_pb2.ReadMessage]
    metadata: _types_pb2.Metadata
    request_id: str
    pictures: _containers.RepeatedCompositeFieldContainer[_types_pb2.PictureResult]
    advice: _containers.RepeatedCompositeFieldContainer[_advice_pb2.Advice]
    explanation: _explanation_pb2.Explanation
    def __init__(self, fused: _Optional[_Union[_types_pb2.Estimate, _Mapping]] = ..., modalities: _Optional[_Iterable[_Union[_types_pb2.ModalityResult, _Mapping]]] = ..., sources: _Optional[_Iterable[_Union[_types_pb2.SourceResult, _Mapping]]] = ..., transcript: _Optional[_Union[_types_pb2.Transcript, _Mapping]] = ..., messages: _Optional[_Iterable[_Union[_types_pb2.ReadMessage, _Mapping]]] = ..., metadata: _Optional[_Union[_types_pb2.Metadata, _Mapping]] = ..., request_id: _Optional[str] = ..., pictures: _Optional[_Iterable[_Union[_types_pb2.PictureResult, _Mapping]]] = ..., advice: _Optional[_Iterable[_Union[_advice_pb2.Advice, _Mapping]]] = ..., explanation: _Optional[_Union[_explanation_pb2.Explanation, _Mapping]] = ...) -> None: ...

class AnalyzeConversationRequest(_message.Message):
    __slots__ = ("context", "messages", "config", "request_id")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    context: _types_pb2.Context
    messages: _containers.RepeatedCompositeFieldContainer[_conversation_pb2.Message]
    config: _types_pb2.AnalysisConfig
    request_id: str
    def __init__(self, context: _Optional[_Union[_types_pb2.Context, _Mapping]] = ..., messages: _Optional[_Iterable[_Union[_conversation_pb2.Message, _Mapping]]] = ..., config: _Optional[_Union[_types_pb2.AnalysisConfig, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class AnalyzeConversationResponse(_message.Message):
    __slots__ = ("messages", "customer", "metadata", "request_id", "advice")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[_conversation_pb2.MessageResult]
    customer: _conversation_pb2.ConversationSummary
    metadata: _types_pb2.Metadata
    request_id: str
    advice: _containers.RepeatedCompositeFieldContainer[_advice_pb2.Advice]
    def __init__(self, messages: _Optional[_Iterable[_Union[_conversation_pb2.MessageResult, _Mapping]]] = ..., customer: _Optional[_Union[_conversation_pb2.ConversationSummary, _Mapping]] = ..., metadata: _Optional[_Union[_types_pb2.Metadata, _Mapping]] = ..., request_id: _Optional[str] = ..., advice: _Optional[_Iterable[_Union[_advice_pb2.Advice, _Mapping]]] = ...) -> None: ...
