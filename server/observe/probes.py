"""Health on a port of its own, for probes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2_grpc

from server.errors import AddressError
from server.logs import LOG

if TYPE_CHECKING:
    from server.settings import Settings


async def serve(servicer: Any, settings: Settings) -> grpc.aio.Server | None:
    """The health service alone, where the setting health_port asks for it: Kubernetes' own gRPC
    probes speak no TLS. Raises AddressError."""
    if settings.health_port is None:
        return None
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    address = f"{settings.observe_host}:{settings.health_port}"
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        raise AddressError(
            f"{address} cannot be bound for probes: it is in use, or not ours"
        ) from None
    await server.start()
    LOG.info("health", extra={"address": f"{settings.observe_host}:{port}"})
    return server
