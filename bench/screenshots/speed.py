"""What reading a screenshot costs in time and memory, beside the OCR library's own call."""

from __future__ import annotations

import multiprocessing
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import rapidocr
from PIL import Image

from bench.screenshots.readers import LIMITS, THREADS, pixels_of
from modalities.image.prepare import ImagePreparer

SIZE = (1080, 2400)
PICTURES = 5
REPEATS = 3


def measure(folder: Path) -> dict[str, Any]:
    """Latency on pictures of SIZE, and peak memory on one of them and on the tallest one.

    `latency_ratio` is the median over pictures of our time, from the file's bytes to messages,
    over that of `RapidOCR()(pixels)` as it comes, on the same number of threads, each the best of
    REPEATS taken in turn. Peaks are of a fresh process with the models loaded, MiB.
    """
    clean = [
        path
        for path in sorted(folder.glob("*.png"))
        if not path.stem.endswith(("half", "blur", "jpeg40"))
    ]
    sizes = {path: _size(path) for path in clean}
    usual = [path for path in clean if sizes[path] == SIZE and "_empty_" not in path.name]
    usual = usual[:: max(1, len(usual) // PICTURES)][:PICTURES]
    tallest = max(clean, key=lambda path: sizes[path][1])
    preparer = ImagePreparer(THREADS)
    library = rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": THREADS,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
    ours_s, library_s = [], []
    for path in usual:
        content = path.read_bytes()
        pixels = cv2.cvtColor(pixels_of(path), cv2.COLOR_RGB2BGR)
        ours, theirs = _best_of_each(
            lambda content=content: preparer.prepare(content, LIMITS),  # type: ignore[misc]
            lambda pixels=pixels: library(pixels),  # type: ignore[misc]
        )
        ours_s.append(ours)
        library_s.append(theirs)
    return {
        "pictures": len(usual),
        "size": f"{SIZE[0]} × {SIZE[1]}",
        "threads": THREADS,
        "ours_s": round(statistics.median(ours_s), 3),
        "library_s": round(statistics.median(library_s), 3),
        "latency_ratio": round(
            statistics.median(a / b for a, b in zip(ours_s, library_s, strict=True)), 3
        ),
        "peak_mib": {
            f"{sizes[path][0]} × {sizes[path][1]}": _in_fresh_process(path)
            for path in (usual[0], tallest)
        },
    }


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def _best_of_each(*work: Callable[[], object]) -> list[float]:
    """Seconds of each, the best of REPEATS rounds in which all take a turn."""
    best = [float("inf")] * len(work)
    for _ in range(REPEATS):
        for index, one in enumerate(work):
            started = time.perf_counter()
            one()
            best[index] = min(best[index], time.perf_counter() - started)
    return best


def _in_fresh_process(path: Path) -> int:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_mib, (path,))


def _peak_mib(path: Path) -> int:
    ImagePreparer(THREADS).prepare(path.read_bytes(), LIMITS)
    # Of this process alone; ru_maxrss would hold what the one that started it had.
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) // 1024
