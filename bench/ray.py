"""Speech and texts through the Ray engine with one replica and with two, and without Ray.

Writes bench/results/ray.json. On few cores, the front end and Ray itself take their share of them:
the number of cores and the load are in the file.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modalities.voice.prepare import Segment
from modalities.voice.stream import SAMPLE_RATE_HZ
from server.analysis import Call
from server.models import load
from server.runner import Runner
from server.settings import Settings

RESULTS = Path(__file__).parent / "results" / "ray.json"
SECONDS = 6.0  # of a segment
N_SEGMENTS, N_TEXTS, AT_ONCE, RUNS = 64, 512, 32, 3


def settings_of(replicas: int) -> Settings:
    """0 is the local engine; torch has one thread everywhere."""
    if not replicas:
        return Settings(cpu_threads=1, whisper="none")
    return Settings(
        cpu_threads=1,
        whisper="none",
        engine="ray",
        ray_text_replicas=replicas,
        ray_voice_replicas=replicas,
    )


async def items_a_second(runner: Runner, name: str, items: Sequence[Any]) -> float:
    """Of so many callers, each with one item at a time; the best of RUNS after a first one."""
    gate, rates = asyncio.Semaphore(AT_ONCE), []

    async def one(item: Any) -> None:
        async with gate:
            await runner.infer(Call("bench"), name, [item])

    for _ in range(RUNS + 1):
        started = time.perf_counter()
        await asyncio.gather(*map(one, items))
        rates.append(len(items) / (time.perf_counter() - started))
    return max(rates[1:])


def main() -> None:
    models = load(settings_of(0), pictures=False)
    assert models.text is not None and models.voice is not None
    draw = np.random.default_rng(0)
    noise = draw.normal(0, 0.05, int(SECONDS * SAMPLE_RATE_HZ)).astype(np.float32)
    segments = [Segment(noise, 0.0, SECONDS, 20.0)] * N_SEGMENTS
    texts = [models.text.prepare(f"order {n} is late and nobody answers") for n in range(N_TEXTS)]

    async def measure(replicas: int) -> dict[str, float]:
        runner = Runner(models, settings_of(replicas))
        try:
            await runner.ready(text=models.text, voice=models.voice)
            return {
                "segments_a_second": round(await items_a_second(runner, "voice", segments), 1),
                "texts_a_second": round(await items_a_second(runner, "text", texts), 1),
            }
        finally:
            await runner.close()

    found = {str(n): asyncio.run(measure(n)) for n in (0, 1, 2)}
    ratio = {name: round(found["2"][name] / rate, 2) for name, rate in found["1"].items()}
    report = {
        "command": "python -m bench.ray",
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "by_replicas": found,  # 0: the local engine
        "two_over_one": ratio,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
