"""Servers in processes of their own, and work that is sent to another one."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path

import psutil

from server import client

ADDRESS = re.compile(r'"serving", "address": "([^"]+)"')
START_S = 180.0
STOP_S = 60.0
GIVES_WAY = 10  # the niceness of a load that in earnest comes from elsewhere


@dataclass(frozen=True)
class Server:
    address: str
    process: psutil.Process

    def cpu_s(self) -> float:
        return cpu_s(self.process)

    def rss_mib(self) -> float:
        return float(sum(one.memory_info().rss for one in _family(self.process)) / 2**20)


@contextmanager
def running(module: str, *arguments: str, **environment: str) -> Iterator[Server]:
    """`python -m module`, which logs its address as `emotion serve` does, until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env={**os.environ, **environment},
                stdout=stderr,
                stderr=stderr,
            )
        try:
            yield Server(address_of(process, log), psutil.Process(process.pid))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def serving(**settings: object) -> Iterator[Server]:
    """`emotion serve` with these settings, unless they say otherwise without transcripts, and
    with one torch thread a model: with more, many short batches of voice and images wait for one
    another."""
    environment = {"cpu_threads": 1, "whisper": "none", **settings}
    named = {f"EMOTION_{name.upper()}": str(value) for name, value in environment.items()}
    with running("server.cli", "serve", "--port", "0", **named) as server:
        client.wait_until_serving(server.address, timeout_s=START_S)
        yield server


@contextmanager
def another_process(*, yields: bool = False) -> Iterator[Pool]:
    """A fresh one, for a load generator or a measurement of memory; lives until the block ends.
    With `yields` it gives way to the server, from whose cores one elsewhere would take nothing."""
    niceness = GIVES_WAY if yields else 0
    with multiprocessing.get_context("spawn").Pool(1, os.nice, (niceness,)) as pool:
        yield pool


def cpu_s(process: psutil.Process) -> float:
    """User and system time of all its threads so far, its children's too."""
    return float(sum(sum(one.cpu_times()[:2]) for one in _family(process)))


def peak_mib() -> float:
    """Most memory that this process has held; `ru_maxrss` would count its parent's, too."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def address_of(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, once its log says so; raises RuntimeError where it does not start."""
    given_up = time.monotonic() + START_S
    while time.monotonic() < given_up:
        if found := ADDRESS.search(log.read_text(errors="replace")):
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-2000:]}")
