"""`make bench`: what the parts cost, each beside a baseline in the same run.

Medians of five after a warm-up, on the embedded models and on content made here, so that no data
is needed. Writes bench/results/<machine>.json and bench/RESULTS.md. Ratios are what counts:
seconds are of this machine on this day.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import weights
from modalities.image.ocr import Ocr
from modalities.image.prepare import ImagePreparer
from modalities.text.infer import TextReader
from modalities.voice.infer import VoiceReader
from modalities.voice.prepare import Segment
from modalities.voice.stream import SAMPLE_RATE_HZ

FOLDER = Path(__file__).parent
EXAMPLES = FOLDER.parent / "examples"
REPEATS = 5


def median_s(work: Callable[[], object]) -> float:
    work()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def row(name: str, baseline: str, ours_s: float, baseline_s: float) -> dict[str, Any]:
    made = {
        "name": name,
        "baseline": baseline,
        "ours_s": round(ours_s, 5),
        "baseline_s": round(baseline_s, 5),
        "ratio": round(baseline_s / ours_s, 2),
    }
    print(f"{name}: {made['ratio']}× {baseline}", flush=True)
    return made


def text_row() -> dict[str, Any]:
    reader = TextReader.load(weights.path_of("text"))
    words = list("退款太慢了") + re.findall(r"\w+", "the parcel is late and nobody answers me")
    rng = np.random.default_rng(0)
    items = [reader.prepare(" ".join(rng.choice(words, rng.integers(4, 40)))) for _ in range(64)]
    return row(
        "64 texts of mixed lengths in one batch",
        "the same one by one",
        median_s(lambda: reader.infer(items)),
        median_s(lambda: [reader.infer([item]) for item in items]),
    )


def voice_rows() -> list[dict[str, Any]]:
    reader = VoiceReader.load(weights.path_of("voice"))
    rng = np.random.default_rng(0)

    def segment(seconds: float) -> Segment:
        samples = rng.normal(0, 0.05, int(seconds * SAMPLE_RATE_HZ)).astype(np.float32)
        return Segment(samples, 0.0, seconds, 20.0)

    short = [segment(seconds) for seconds in rng.uniform(2, 10, 16)]
    padded = [
        Segment(np.pad(s.samples, (0, int(15 * SAMPLE_RATE_HZ) - len(s.samples))), 0, 15, 20)
        for s in short
    ]
    ours = median_s(lambda: reader.infer(short))
    return [
        row(
            "16 segments of 2-10 s encoded at their true length",
            "the same padded to 15 s",
            ours,
            median_s(lambda: reader.infer(padded)),
        ),
        row(
            "16 segments of 2-10 s in one batch",
            "the same one by one",
            ours,
            median_s(lambda: [reader.infer([item]) for item in short]),
        ),
    ]


def screenshot_row() -> dict[str, Any]:
    from PIL import Image

    from modalities.image.decode import ImageLimits

    content = (EXAMPLES / "screenshot.png").read_bytes()
    with Image.open(EXAMPLES / "screenshot.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    limits = ImageLimits(50_000_000, 20_000)
    ocr, preparer = Ocr(), ImagePreparer()
    return row(
        "a 1080 px screenshot: decode, OCR, bubbles, sides",
        "the OCR call alone",
        median_s(lambda: preparer.prepare(content, limits)),
        median_s(lambda: ocr.read(pixels)),
    )


def server_row() -> dict[str, Any]:
    """128 texts, 16 at a time, through the server's pipeline against the same sent one by one."""
    from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest
    from emotion.v1.types_pb2 import Text

    from server.models import load
    from server.pipeline import Pipeline
    from server.settings import Settings

    settings = Settings()
    models = load(settings)

    async def answer(at_once: int) -> None:
        pipeline = Pipeline(models, settings)
        gate = asyncio.Semaphore(at_once)

        async def one(index: int) -> None:
            async with gate:
                text = Text(content=f"order {index} is late and nobody answers")
                await pipeline.analyze(AnalyzeEmotionRequest(text=text))

        await asyncio.gather(*(one(index) for index in range(128)))
        await pipeline.close()

    return row(
        "128 requests with a text, 16 callers at once (engine batches them)",
        "the same with one caller",
        median_s(lambda: asyncio.run(answer(16))),
        median_s(lambda: asyncio.run(answer(1))),
    )


def main() -> None:
    rows = [text_row(), *voice_rows(), screenshot_row(), server_row()]
    machine = f"{platform.machine()}-{os.cpu_count()}cpu"
    versions = {name: version(name) for name in ("torch", "transformers", "rapidocr", "grpcio")}
    report = {
        "command": "make bench",
        "machine": machine,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "versions": versions,
        "rows": rows,
    }
    (FOLDER / "results").mkdir(exist_ok=True)
    path = FOLDER / "results" / f"{machine}.json"
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    lines = [
        "# Results",
        "",
        f"By `make bench` on {machine}, {report['device']}, {report['threads']} threads, "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
        + f". Medians of {REPEATS}.",
        "",
        "| what | baseline | ours, s | baseline, s | baseline / ours |",
        "|---|---|---|---|---|",
        *(
            f"| {r['name']} | {r['baseline']} | {r['ours_s']} | {r['baseline_s']} | {r['ratio']} |"
            for r in rows
        ),
    ]
    (FOLDER / "RESULTS.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
