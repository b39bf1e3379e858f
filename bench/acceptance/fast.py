"""Issue 'Fast: one encoder pass, full batches, close to the limit': its 'Must show', at full size.

The figures are those of `make bench`, by the same functions; run it on a machine that does
nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from bench.acceptance.service import Outcome, tests
from bench.speed import image, profile, server, text, transcripts, voice
from bench.speed.measure import Section, figure_of
from bench.speed.report import NOT_YET, RESULTS

DIMENSIONS = ("tiny", "base")
TRUE_OVER_OPENAI, FULL_OVER_OPENAI, TRUE_OVER_FASTER = 4.0, 1.7, 1.3
REAL_TIME = 120.0
OVER_PLAIN, P99_NO_WORSE, OVER_PIPELINE = 2.5, 1.0, 1.5
FUSION_PERCENT = 2.0
OVERHEAD, TEXT_OVERHEAD_MS = 0.08, 0.6
KERNELS_PERCENT = {"voice": 85.0, "image": 85.0, "text": 65.0}
GPU_TEXT, GPU_ENCODER, GPU_PATH, GPU_FUSION_MS = 10.0, 0.55, 3.0, 1.0


def voice_with_transcript() -> Outcome:
    """Against faster-whisper with true-length encoding; with full length it is told only."""
    section = transcripts.measure(DIMENSIONS)
    bounds = (
        (transcripts.TRUE_LENGTH, transcripts.OPENAI, TRUE_OVER_OPENAI),
        (transcripts.FULL_LENGTH, transcripts.OPENAI, FULL_OVER_OPENAI),
        (transcripts.TRUE_LENGTH, transcripts.FASTER, TRUE_OVER_FASTER),
    )
    held = [
        figure_of(section, f"{name}, {length}", baseline)["ratio"] >= least
        for name in DIMENSIONS
        for length, baseline, least in bounds
    ]
    return {"rows": section.rows}, all(held)


def voice_emotion_only() -> Outcome:
    section = voice.measure()
    found = figure_of(section, voice.NAME, voice.BASELINE)
    return found, found["ours"] >= REAL_TIME


def text_speed() -> Outcome:
    section = text.measure()
    bounds = (
        (text.THROUGHPUT, text.PLAIN, OVER_PLAIN),
        (text.P99, text.PLAIN, P99_NO_WORSE),
        (text.MANY, text.BEST, OVER_PIPELINE),
    )
    held = [figure_of(section, name, base)["ratio"] >= least for name, base, least in bounds]
    return {"rows": section.rows}, all(held)


def server_and_fusion() -> Outcome:
    """Both are of one run; every sort of request counts for fusion's share."""
    section = server.measure()
    costs = {kind: _cost(section, kind) for kind in server.LOADS}
    shares = {line["request"]: line["share, %"] for line in section.tables[server.FUSION]}
    over = {kind: round(cost["ours"] / cost["theirs"] - 1, 4) for kind, cost in costs.items()}
    text_ms = round(costs["text"]["ours"] - costs["text"]["theirs"], 3)
    figures = {
        "over_in_process": over,
        "text_over_in_process_ms": text_ms,
        "fusion_percent": shares,
        "rows": section.rows,
    }
    held = max(over["voice"], over["image"]) < OVERHEAD and text_ms <= TEXT_OVERHEAD_MS
    return figures, held and max(shares.values()) < FUSION_PERCENT


def _cost(section: Section, kind: str) -> dict[str, Any]:
    return figure_of(section, server.OF_SERVER.format(kind), server.IN_PROCESS)


def image_speed() -> Outcome:
    """The issue sets no bound; it must not cost more than the library's call with its own."""
    found = figure_of(image.measure(), image.NAME, image.BASELINE)
    return found, found["ratio"] >= 1


def kernels() -> Outcome:
    lines = profile.measure().tables[profile.CAPTION]
    shares = {line["load"]: line["kernels and readers"] for line in lines}
    held = all(shares[kind] >= least for kind, least in KERNELS_PERCENT.items())
    return {"percent": shares, "lines": lines}, held


def gpu(*path: str, holds: Callable[[float], bool]) -> Outcome:
    """A figure of the last `python -m bench.gpu`; without one the check fails."""
    files = sorted(RESULTS.glob("gpu-*.json"))
    if not files:
        return {"figure": NOT_YET}, False
    reports = [json.loads(file.read_text()) for file in files]
    found: dict[str, float] = {}
    for report in reports:
        figure: Any = report["figures"]
        for name in path:
            figure = figure[name]
        found[report["device"]] = float(figure)
    return found, all(map(holds, found.values()))


CHECKS: dict[str, Callable[[], Outcome]] = {
    "voice_with_transcript": voice_with_transcript,
    "voice_emotion_only": voice_emotion_only,
    "text": text_speed,
    "image": image_speed,
    "server_and_fusion": server_and_fusion,
    "kernels": kernels,
    "gpu_text": partial(
        gpu, "text", "times_one_by_one_in_fp32", holds=lambda ratio: ratio >= GPU_TEXT
    ),
    "gpu_encoder": partial(
        gpu, "whisper", "encoder", "share_of_matrix_ceiling",
        holds=lambda share: share >= GPU_ENCODER,
    ),
    "gpu_full_path": partial(
        gpu, "whisper", "path", "ratio", holds=lambda ratio: ratio >= GPU_PATH
    ),
    "gpu_fusion": partial(gpu, "fusion", "ms", holds=lambda ms: ms < GPU_FUSION_MS),
    "batch_invariance": partial(tests, "tests/modalities", "tests/fusion", "-k", "batch"),
    "answers_unchanged": partial(tests, "tests/server/test_scores.py"),
}  # fmt: skip
