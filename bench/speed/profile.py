"""The limit: what share of the server's CPU time is spent inside model kernels and the libraries
that read pictures and sound, and what share in Python between them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from multiprocessing.pool import Pool
from pathlib import Path

import psutil

from bench.speed.generator import closed_loop
from bench.speed.measure import Figures, Section
from bench.speed.processes import Server, another_process, serving
from bench.speed.server import payloads_of
from bench.speed.sizes import BERT_BASE, weights_with_text_of

CAPTION = "Share of the server's CPU time in saturation, %"
LOADS = {"text": (64, 0.6), "voice": (8, 1.0), "image": (4, 1.0)}  # clients, share of `seconds`
RATE_HZ = 25
LARGER = "text, BERT-base sizes"
PARTS = ("kernels and readers", "numpy", "gRPC and messages", "Python")

# A frame is written "function (module)" or "function (file.py:line)"; the first that says where it
# is, from the innermost outwards, decides. What libc does, it does for its caller.
KERNELS = (
    "libtorch_cpu", "libtorch_cuda", "libgomp", "libmkl", "libc10", "onnxruntime", "cv2",
    "tokenizers.", "libav", "libsw", "libopus", "av/",
)  # fmt: skip
READERS = ("rapidocr/",)  # their Python, too: it is the OCR library's own
NUMERIC = ("numpy", "scipy")
WIRE = ("grpc", "_message.", "google/")
OF_CALLER = ("libc.so", "libstdc++", "vdso", "ld-linux", "libm.so", "libgcc", "libpthread")
# A thread without work waits for a lock, one that has asked a decoder reads from its pipe.
WAITS = (
    "wait", "pthread_mutex_lock", "futex", "epoll", "select", "take_gil", "PyThread_acquire_lock",
    "os_read",
)  # fmt: skip
JIT = "(?)"  # code in no file: oneDNN's kernels, made when they are first wanted
NATIVE_WIRE = ("grpc", "event_engine", "timer", "resolver")

HOW = (
    "py-spy samples the native and Python stacks of the server's threads while the load generator "
    "saturates it. The operating system says how much CPU time each thread took; the samples only "
    "divide that of the threads that run Python, waiting left out. The pools of torch and "
    "onnxruntime run nothing but kernels. 'Kernels and readers' is torch, onnxruntime, OpenCV, "
    "FFmpeg, the tokenizer and the OCR library; numpy's own loops stand apart and do not count. "
    f"'{LARGER}' is the same server with a text model of that size, its weights random: what "
    "remains to Python hangs on the model, and the embedded one is a hundredth of a BERT."
)


def measure(kinds: tuple[str, ...] = ("text", "voice", "image"), seconds: float = 15.0) -> Section:
    section = Section("The limit", HOW)
    with another_process() as generator:
        with serving() as server:
            lines = [_profiled(kind, kind, generator, server, seconds) for kind in kinds]
        if "text" in kinds:
            with weights_with_text_of(**BERT_BASE) as folder, serving(weights=folder) as server:
                lines.append(_profiled(LARGER, "text", generator, server, seconds))
    section.tables[CAPTION] = lines
    return section


def _profiled(name: str, kind: str, generator: Pool, server: Server, seconds: float) -> Figures:
    clients, share = LOADS[kind]
    payloads, pid = payloads_of(kind), server.process.pid
    warm = generator.apply(closed_loop, (server.address, payloads, clients, 2 * clients))
    n = max(2 * clients, round(warm.good / warm.wall_s * seconds * 1.5))
    asked = generator.apply_async(closed_loop, (server.address, payloads, clients, n))
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "stacks.txt"
        before = cpu_by_thread(pid)
        command = [
            str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid),
            "--native", "--threads", "--format", "raw", "--rate", str(RATE_HZ),
            "--duration", str(max(2, round(seconds * share))), "--output", str(raw),
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        taken = {tid: cpu - before.get(tid, 0.0) for tid, cpu in cpu_by_thread(pid).items()}
        stacks = raw.read_text()
    asked.get()
    shares = divided(stacks, taken, names_of(pid))
    line = {
        "load": name,
        **{part: round(100 * shares.get(part, 0.0), 1) for part in PARTS},
        "samples": sum(count for *_, count in samples(stacks)),
    }
    print(f"  {line}", flush=True)
    return line


def divided(stacks: str, taken: dict[int, float], names: dict[int, str]) -> dict[str, float]:
    """Share of the CPU seconds `taken` by each thread that each of PARTS has.

    stacks  py-spy's raw format with threads
    names   of all threads, as the operating system has them
    """
    found: dict[int, Counter[str]] = {}
    for tid, frames, count in samples(stacks):
        if (part := part_of(frames)) is not None:
            found.setdefault(tid, Counter())[part] += count
    sums = dict.fromkeys(PARTS, 0.0)
    in_python = {tid for tid, _, _ in samples(stacks)}
    for tid, seconds in taken.items():
        counts = found.get(tid)
        if counts:
            for part, count in counts.items():
                sums[part] += seconds * count / counts.total()
        elif tid in in_python:
            sums["Python"] += seconds
        else:
            wire = names.get(tid, "").startswith(NATIVE_WIRE)
            sums["gRPC and messages" if wire else "kernels and readers"] += seconds
    total = sum(sums.values()) or 1.0
    return {part: seconds / total for part, seconds in sums.items()}


def part_of(frames: list[str]) -> str | None:
    """One of PARTS for a stack, outermost first; None where it waits."""
    if any(wait in frame for frame in frames[-4:] for wait in WAITS if ".py:" not in frame):
        return None
    if frames[-1].endswith(JIT):
        return PARTS[0]
    if any(reader in frame for frame in frames for reader in READERS):
        return PARTS[0]
    for frame in reversed(frames):
        place = frame.rpartition("(")[2]
        if any(name in place for name in OF_CALLER):
            continue
        if ".py:" not in place:
            for part, names in zip(PARTS, (KERNELS, NUMERIC, WIRE), strict=False):
                if any(name in place for name in names):
                    return part
        return PARTS[-1]
    return PARTS[-1]


def samples(stacks: str) -> Iterator[tuple[int, list[str], int]]:
    """Thread id, frames from the outermost in, and how often."""
    for line in stacks.splitlines():
        thread, *frames = line.split(";")
        if not frames or not thread.startswith("thread ("):
            continue
        frames[-1], _, count = frames[-1].rpartition(" ")
        yield int(thread[len("thread (") :].partition(")")[0]), frames, int(count)


def cpu_by_thread(pid: int) -> dict[int, float]:
    """Seconds, user and system."""
    return {t.id: t.user_time + t.system_time for t in psutil.Process(pid).threads()}


def names_of(pid: int) -> dict[int, str]:
    return {
        int(task.name): (task / "comm").read_text().strip()
        for task in Path(f"/proc/{pid}/task").iterdir()
    }
