"""A server process to do harm to: where it listens, what it takes, what its log says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.speed.processes import address_of
from server import client

STOP_S = 60.0
TICKS_A_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running `emotion serve`."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pids(self) -> list[int]:
        """Its own, and its decoders'."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = [int(pid) for path in tasks for pid in path.read_text().split()]
        return [self.process.pid, *children]

    def memory_mib(self) -> float:
        """Of all its processes; what they share counts once."""
        return sum(_pss_kib(pid) for pid in self.pids) / 1024

    def cpu_s(self) -> float:
        return sum(cpu_s(pid) for pid in self.pids)

    def n_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def n_threads(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def lines(self) -> list[dict[str, Any]]:
        """Of its log, as far as it is written; what is no JSON is an event of its own."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                found.append({"event": line, "level": "error"})
        return found

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)


@contextmanager
def serving(folder: Path, *settings: str) -> Iterator[Server]:
    """With `settings` as name=value; its log goes to `folder`. It is ended, whatever it does."""
    log = folder / "log"
    chosen = ("whisper=none", *settings)
    options = [part for setting in chosen for part in ("--set", setting)]
    command = [sys.executable, "-m", "server.cli", "serve", "--port", "0", *options]
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, stderr=stderr)
    try:
        address = address_of(process, log)
        client.wait_until_serving(address, timeout_s=10)
        yield Server(address, process, log)
    finally:
        process.kill()
        process.wait()


def cpu_s(pid: int | str) -> float:
    """That a process has used; 0 where it is gone. `self` is this one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_A_S


def _pss_kib(pid: int) -> int:
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return sum(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
