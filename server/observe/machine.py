"""The doctor on the machine: Python, cores, memory, disks, torch, codecs, the device, the clock."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from server.observe.finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from server.settings import Settings

GIB = 1024**3
MEMORY_GIB = 2.0  # with the OCR in use; a Whisper checkpoint comes on top
DISK_GIB = 1.0  # free, where the service writes
CODECS = ("opus", "mp3", "aac", "flac", "vorbis", "pcm_mulaw", "pcm_alaw", "pcm_s16le")
UNSYNCHRONISED = 5  # TIME_ERROR of ntp_gettime(3)
CGROUP = Path("/sys/fs/cgroup")


def python(_: Settings) -> Iterator[Finding]:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield ok("python", found)


def cores(settings: Settings) -> Iterator[Finding]:
    n = usable_cores()
    threads = settings.cpu_threads or "as many as torch likes"
    found = f"{n:g} usable, cpu_threads: {threads}"
    if n < 2:
        yield warn("cores", found, "give it 2 or more: a long batch then holds up no decoding")
    elif settings.cpu_threads > n:
        yield warn("cores", found, f"set cpu_threads to {n:g} or less: more threads wait in turns")
    else:
        yield ok("cores", found)


def usable_cores() -> float:
    """That this process may use: by affinity, and by its container's quota (cgroup v2)."""
    n = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
    except OSError:
        return n
    return n if quota == "max" else min(n, int(quota) / int(period))


def memory(_: Settings) -> Iterator[Finding]:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        total = total if limit == "max" else min(total, int(limit))
    except OSError:
        pass
    found = f"{total / GIB:.1f} GiB in all"
    if total < MEMORY_GIB * GIB:
        yield warn("memory", found, f"give it {MEMORY_GIB:g} GiB or more")
    else:
        yield ok("memory", found)


def disk(settings: Settings) -> Iterator[Finding]:
    """Free space, and the right to write, wherever the service writes."""
    store = settings.store or ""
    written = {
        "store": Path(store.removeprefix("sqlite:///")).parent
        if store and not store.startswith("postgresql")
        else None,
        "alerts": settings.alerts,
        "call_output_root": settings.call_output_root,
    }
    for name, folder in written.items():
        if folder is None:
            continue
        there = folder.absolute()
        while not there.exists():
            there = there.parent
        part, free = f"disk of {name}", shutil.disk_usage(there).free / GIB
        found = f"{folder}: {free:.1f} GiB free"
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            yield fail(
                part, f"{folder} cannot be written", f"chown or chmod {there}, or set {name}"
            )
        elif free < DISK_GIB:
            yield warn(part, found, "make room, or set store_retention_days")
        else:
            yield ok(part, found)


def torch(_: Settings) -> Iterator[Finding]:
    import torch

    from modalities import torchaudio_cpu

    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
    found = f"torch {torch.__version__} ({build}), torchaudio {version('torchaudio')}"
    torchaudio_cpu.install()
    try:
        import torchaudio  # noqa: F401
    except (OSError, ImportError) as error:
        yield fail(
            "torch",
            f"{found}: torchaudio cannot be imported ({type(error).__name__})",
            "install torch and torchaudio from the same index, the CPU or the CUDA one",
        )
    else:
        yield ok("torch", found)


def codecs(_: Settings) -> Iterator[Finding]:
    import av
    from PIL import features

    missing = [name for name in CODECS if name not in av.codecs_available]
    missing += [name for name in ("jpg", "zlib", "webp") if not features.check(name)]
    found = (
        f"PyAV {av.__version__}, FFmpeg {'.'.join(map(str, av.ffmpeg_version_info.split()[:1]))}"
    )
    if missing:
        yield fail(
            "codecs",
            f"{found}: no {', '.join(missing)}",
            "install the wheels of av and pillow, not builds of your own",
        )
    else:
        yield ok("codecs", found)


def device(settings: Settings) -> Iterator[Finding]:
    import torch

    chosen = settings.resolved_device()
    if chosen == "cuda":
        n = int(torch.ones(64, device="cuda").sum().item())  # it computes, and not only exists
        free, total = torch.cuda.mem_get_info()
        found = f"{torch.cuda.get_device_name()}, {free / GIB:.1f} of {total / GIB:.1f} GiB free"
        if n == 64 and free >= MEMORY_GIB * GIB:
            yield ok("device", found)
        else:
            yield warn("device", found, "end what else runs on it: see nvidia-smi")
    elif Path("/proc/driver/nvidia/version").exists() and settings.device == "auto":
        yield warn(
            "device",
            "cpu, though there is an NVIDIA driver",
            "install torch from PyTorch's CUDA index, or set device=cpu",
        )
    else:
        yield ok("device", chosen)


def clock(_: Settings) -> Iterator[Finding]:
    """Tokens and certificates are judged by it."""
    installed = (Path(__file__).parent / "__init__.py").stat().st_mtime
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    remedy = "let an NTP client set it: timedatectl set-ntp true"
    if time.time() < installed - 86_400:
        yield fail("clock", f"{now} is before this program was installed", remedy)
    elif _unsynchronised():
        yield warn("clock", f"{now}; the kernel does not know it to be synchronised", remedy)
    else:
        yield ok("clock", now)


def _unsynchronised() -> bool:
    try:
        return ctypes.CDLL(None).ntp_gettime(ctypes.create_string_buffer(512)) == UNSYNCHRONISED
    except (OSError, AttributeError):  # not Linux
        return False


CHECKS = (
    ("python", python),
    ("cores", cores),
    ("memory", memory),
    ("disk", disk),
    ("torch", torch),
    ("codecs", codecs),
    ("device", device),
    ("clock", clock),
)
