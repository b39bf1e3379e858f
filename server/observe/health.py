"""The question after a server's health. Imports no torch: a probe asks it every few seconds."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

EMOTION = "emotion.v1.EmotionService"


def state_of(channel: grpc.Channel, timeout_s: float) -> str:
    """Of EmotionService, such as SERVING; raises grpc.RpcError."""
    request = health_pb2.HealthCheckRequest(service=EMOTION)
    answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout_s)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
