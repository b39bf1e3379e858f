"""Before the first request: every model and every CPU step is run once.

Lazily loaded parts (the OCR, the VAD) are then in memory, the engine has measured what a small and
a larger batch of each model take, and each model has the batches that this machine runs best.
"""

from __future__ import annotations

import asyncio
import io
import time
import wave
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from modalities.model import BatchModel
from modalities.reading import Modality
from modalities.voice.prepare import Segment
from modalities.voice.prepare import prepare as prepare_audio
from modalities.voice.stream import SAMPLE_RATE_HZ
from server.analysis import Call, Role, TextPart
from server.pipeline import guard
from server.read_text import read_text
from server.runner import Runner
from server.turns import Place

TUNING_S = 0.6  # of one model
FACTORS = (1.0, 2.0, 4.0)  # of its usual largest batch
SLOWER = 1.05  # that a smaller batch may be and still be better: its answers come sooner


async def warm_up(runner: Runner) -> None:
    """Read a short and a long text, a second of silence, two noises and a picture."""
    call, typical = Call("warm-up"), list[tuple[BatchModel[Any, Any], Any]]()
    for words in (1, 1000):
        part = TextPart("", "hello " * words)
        work = read_text(part, Role.CUSTOMER, Place(), call, runner)
        outcome = await guard(Modality.TEXT, work, call)
        if outcome.readings:
            await runner.infer(call, "fusion", [outcome.readings])
    await runner.prepare(
        call, Modality.VOICE, partial(prepare_audio, _silence(), max_duration_s=2.0)
    )
    if runner.models.voice is not None:
        rng = np.random.default_rng(0)
        for seconds in (1, 10):
            noise = rng.normal(0, 0.01, seconds * SAMPLE_RATE_HZ).astype(np.float32)
            segment = Segment(noise, 0.0, float(seconds), 0.0)
            await runner.infer(call, "voice", [segment])
        if runner.models.voice.whisper is None:  # how long a text is decoded, nobody knows
            typical.append((runner.models.voice, segment))
    if runner.models.preparer is not None:
        look = partial(runner.models.preparer.prepare, _picture())
        seen = await runner.prepare(call, Modality.IMAGE, look)
        if seen.vision is not None and runner.models.image is not None:
            await runner.infer(call, "image", [seen.vision])
            typical.append((runner.models.image, seen.vision))
    if runner.models.text is not None:
        typical.append((runner.models.text, runner.models.text.prepare("hello " * 30)))
    if runner.settings.engine == "local":
        for model, item in typical:
            await asyncio.to_thread(tune, model, item)


def tune(model: BatchModel[Any, Any], item: Any) -> None:
    """Set `max_batch_cost` to the least of FACTORS times it that is within SLOWER of the fastest,
    by the time that a batch of a typical item takes; in about TUNING_S."""
    usual, until = model.max_batch_cost, time.monotonic() + TUNING_S
    paces: dict[float, float] = {}  # largest cost → seconds an item
    for factor in FACTORS:
        model.max_batch_cost = usual * factor
        batch = [item] * max(1, int(model.max_batch_cost // model.cost(item)))
        seconds = min(_seconds(model, batch) for _ in range(2))
        paces[model.max_batch_cost] = seconds / len(batch)
        if time.monotonic() + 4 * seconds > until:
            break
    fastest = min(paces.values())
    model.max_batch_cost = min(cost for cost, pace in paces.items() if pace <= SLOWER * fastest)


def _seconds(model: BatchModel[Any, Any], batch: list[Any]) -> float:
    started = time.perf_counter()
    model.infer(batch)
    return time.perf_counter() - started


def _silence() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes(bytes(2 * SAMPLE_RATE_HZ))
    return file.getvalue()


def _picture() -> bytes:
    """A word and a pattern, so that nothing of what reads a picture is left out."""
    picture = Image.new("RGB", (320, 192), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((20, 20), "hello", fill="black", font_size=32)
    picture.paste(Image.effect_noise((280, 80), 60), (20, 100))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
