"""The API as a client calls it; what the command line and the demo use."""

from __future__ import annotations

import grpc
from emotion.v1 import emotion_service_pb2 as emotion
from emotion.v1 import emotion_service_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from modalities.errors import EmotionError

OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class CallError(EmotionError):
    """A call that failed; `refused` where the request was at fault."""

    def __init__(self, error: grpc.RpcError) -> None:
        code = error.code()
        super().__init__(f"{code.name}: {error.details()}")
        self.refused = code is grpc.StatusCode.INVALID_ARGUMENT


def analyze(
    server: str, request: emotion.AnalyzeEmotionRequest, timeout_s: float
) -> emotion.AnalyzeEmotionResponse:
    """AnalyzeEmotion at `server` (host:port, in plain text); raises CallError."""
    with grpc.insecure_channel(server, OPTIONS) as channel:
        stub = emotion_service_pb2_grpc.EmotionServiceStub(channel)
        try:
            return stub.AnalyzeEmotion(request, timeout=timeout_s)
        except grpc.RpcError as error:
            raise CallError(error) from None


def wait_until_serving(server: str, timeout_s: float) -> None:
    """Wait for the health service to say SERVING; raises CallError where it does not."""
    with grpc.insecure_channel(server) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service="emotion.v1.EmotionService")
        try:
            stub.Check(request, timeout=timeout_s, wait_for_ready=True)
        except grpc.RpcError as error:
            raise CallError(error) from None
