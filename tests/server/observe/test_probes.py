"""The port for probes: health alone, beside a server that speaks TLS."""

from __future__ import annotations

import asyncio
import socket

import grpc
import pytest
from grpc_health.v1 import health, health_pb2

from server.errors import AddressError
from server.observe import probes
from server.observe.health import EMOTION, state_of
from server.settings import Settings


def ask(port: int) -> str:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return state_of(channel, 10)


def test_health_follows_the_service_and_the_port_is_its_own() -> None:
    async def main() -> None:
        servicer = health.aio.HealthServicer()
        assert await probes.serve(servicer, Settings()) is None
        await servicer.set(EMOTION, health_pb2.HealthCheckResponse.SERVING)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            settings = Settings(health_port=free.getsockname()[1])
        server = await probes.serve(servicer, settings)
        assert server is not None
        assert settings.health_port is not None
        try:
            assert await asyncio.to_thread(ask, settings.health_port) == "SERVING"
            with pytest.raises(AddressError, match="for probes"):
                await probes.serve(servicer, settings)
            await servicer.enter_graceful_shutdown()
            assert await asyncio.to_thread(ask, settings.health_port) == "NOT_SERVING"
        finally:
            await server.stop(0)

    asyncio.run(main())
