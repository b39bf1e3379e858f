"""A real server process on a real port, and a pipeline in this process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub
from emotion.v1.model_service_pb2_grpc import ModelServiceStub

from server import client
from server.models import Models
from server.pipeline import Pipeline
from server.settings import Settings

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Server:
    """A running `emotion serve`."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path
    channel: grpc.Channel

    @property
    def emotion(self) -> EmotionServiceStub:
        return EmotionServiceStub(self.channel)

    @property
    def models(self) -> ModelServiceStub:
        return ModelServiceStub(self.channel)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def start(log: Path, *options: str, **access: Any) -> Server:
    """`access` is how a client speaks to it, as `server.client.channel` takes it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "server.cli", "serve", "--port", str(port), *options]
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, stderr=stderr, env={**os.environ})
    address = f"127.0.0.1:{port}"
    try:
        for _ in range(120):
            assert process.poll() is None, log.read_text()
            try:
                client.wait_until_serving(address, timeout_s=1.0, **access)
                break
            except client.CallError:
                continue
        else:
            raise AssertionError(f"not serving: {log.read_text()}")
    except BaseException:
        process.kill()
        raise
    return Server(address, process, log, client.channel(address, **access))


def in_process(
    loaded: Models,
    work: Callable[[Pipeline], Awaitable[Answer]],
    settings: Settings | None = None,
) -> Answer:
    """What `work` gives of a pipeline over `loaded`."""

    async def main() -> Answer:
        pipeline = Pipeline(loaded, settings or Settings())
        try:
            return await work(pipeline)
        finally:
            await pipeline.close()

    return asyncio.run(main())
