"""What `emotion score-calls` takes: audio per hour, memory by length, and rows after kills.

The calls are stereo, 8 kHz μ-law, of held-out clips laid end to end: the two sides speak in turn,
so that half of each channel is speech. All is measured on the real command.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq

from bench.calls.compose import LINE_RATE_HZ, SETS, trim
from modalities.reading import Array
from modalities.voice.prepare import decode
from server.calls.journal import utterances_path
from training.data import speech_rows

SHORT_S, LONG_S = 180.0, 3 * 3600.0
N_SPEED, N_KILLED, KILLED_S = 20, 200, 10.0
TOLERANCE = 1e-4  # an answer owes a little to the rest of its batch


def run(only: str | None = None) -> dict[str, Any]:
    """Figures by check; `only` names one of CHECKS."""
    found = {}
    for name, check in CHECKS.items():
        if only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                found[name] = check(Path(folder))
    return found


def speed(folder: Path, n_calls: int = N_SPEED) -> dict[str, float]:
    """Channel-hours an hour, the command's start included and without it."""
    turns = _turns(random.Random(0))
    for index in range(n_calls):
        _write(folder / "calls" / f"{index}.wav", turns, SHORT_S)
    _write(folder / "one" / "call.wav", turns, 1.0)
    start = _score(folder / "one", folder / "one.parquet")
    whole = _score(folder / "calls", folder / "calls.parquet")
    assert whole.status == 0
    rows = pq.read_table(folder / "calls.parquet").to_pylist()
    audio_s = sum(row["duration_s"] * len(row["channels"]) for row in rows)
    talk_s = sum(channel["talk_s"] for row in rows for channel in row["channels"])
    return {
        "channel_hours": audio_s / 3600,
        "speech_share": talk_s / audio_s,
        "wall_s": whole.wall_s,
        "start_s": start.wall_s,
        "channel_hours_an_hour": audio_s / whole.wall_s,
        "channel_hours_an_hour_after_start": audio_s / (whole.wall_s - start.wall_s),
        # What does not depend on what else the machine was doing.
        "cpu_s_a_channel_hour": (whole.cpu_s - start.cpu_s) / audio_s * 3600,
    }


def memory(folder: Path, long_s: float = LONG_S) -> dict[str, float]:
    """Peak memory of the command on one short and on one long recording."""
    turns = _turns(random.Random(0))
    figures: dict[str, float] = {}
    for name, seconds in (("short", SHORT_S), ("long", long_s)):
        path = _write(folder / name / "call.wav", turns, seconds)
        taken = _score(path, folder / f"{name}.parquet")
        assert taken.status == 0
        figures |= {
            f"{name}_s": seconds,
            f"{name}_wall_s": taken.wall_s,
            f"{name}_peak_mib": taken.peak_mib,
        }
    return figures | {"ratio": figures["long_peak_mib"] / figures["short_peak_mib"]}


def killed(folder: Path, n_calls: int = N_KILLED, seed: int = 0) -> dict[str, Any]:
    """The rows of a run that is killed (SIGKILL) again and again, and those of an unbroken one."""
    draw = random.Random(seed)
    turns = _turns(draw)
    for index in range(n_calls):
        path = _write(folder / "calls" / f"{index % 7}" / f"{index}.wav", turns, KILLED_S)
        if index % 40 == 3:
            path.write_bytes(path.read_bytes()[:40])
    unbroken, resumed = folder / "unbroken.parquet", folder / "resumed.parquet"
    whole = _score(folder / "calls", unbroken)
    kills: list[int] = []
    while len(kills) < 20:
        before = _n_scored(resumed)
        wanted = before + draw.randint(1, n_calls // 4)
        again = _score(folder / "calls", resumed, partial(_has, resumed, wanted))
        if again.status != -signal.SIGKILL:
            break
        kills.append(_n_scored(resumed))
    pairs = [(unbroken, resumed), (utterances_path(unbroken), utterances_path(resumed))]
    rows = [[pq.read_table(path).to_pylist() for path in pair] for pair in pairs]
    return {
        "calls": len(rows[0][0]),
        "utterances": len(rows[1][0]),
        "exit_statuses": [whole.status, again.status],
        "scored_at_each_kill": kills,
        "same_rows": all(_same(*pair) for pair in rows),
        "wall_s": whole.wall_s,
    }


CHECKS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "speed": speed,
    "memory": memory,
    "killed": killed,
}


def _turns(draw: random.Random) -> Iterator[Array]:
    """Speech (n,) at 8 kHz without its silences at both ends, for ever."""
    files = [row["file"] for name in SETS for row in speech_rows(name) if row["split"] == "test"]
    kept = []
    for file in draw.sample(files, 200):
        clip = trim(decode(Path(file).read_bytes(), max_duration_s=60).samples)
        kept.append(clip[::2] * np.float32(0.3 / np.abs(clip).max()))
    return itertools.cycle(kept)


def _write(path: Path, turns: Iterator[Array], seconds: float) -> Path:
    """A recording in which the two sides speak in turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise, left = np.random.default_rng(0), round(seconds * LINE_RATE_HZ)
    with av.open(str(path), "w", "wav") as file:
        stream: Any = file.add_stream("pcm_mulaw", rate=LINE_RATE_HZ, layout="stereo")
        for channel in itertools.cycle((0, 1)):
            turn = next(turns)[:left]
            pcm = noise.normal(0, 10.0, (len(turn), 2))
            pcm[:, channel] += turn * 32767
            interleaved = np.ascontiguousarray(pcm.clip(-32768, 32767).astype("<i2").reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(interleaved, "s16", "stereo")
            frame.sample_rate = LINE_RATE_HZ
            file.mux(stream.encode(frame))
            left -= len(turn)
            if not left:
                break
        file.mux(stream.encode(None))
    return path


@dataclass(frozen=True)
class _Run:
    status: int
    wall_s: float
    cpu_s: float
    peak_mib: float


def _score(calls: Path, out: Path, kill_when: Callable[[], bool] = lambda: False) -> _Run:
    """What the command takes, killed as soon as asked."""
    command = [sys.executable, "-m", "server.cli", "score-calls", str(calls), "--out", str(out)]
    started = time.monotonic()
    process = subprocess.Popen([*command, "--channels", "customer,agent"], stdout=sys.stderr)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return _Run(
                process.returncode,
                time.monotonic() - started,
                usage.ru_utime + usage.ru_stime,
                usage.ru_maxrss / 1024,
            )
        if kill_when():
            process.kill()
        time.sleep(0.02)


def _n_scored(out: Path) -> int:
    return len(list(out.with_name(f"{out.name}.parts").glob("*.arrow")))


def _has(out: Path, wanted: int) -> bool:
    return _n_scored(out) >= wanted


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= TOLERANCE or one != one != other != other
    return bool(one == other)
