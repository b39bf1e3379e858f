"""Before the first request: every model and every CPU step is run once.

Lazily loaded parts (the OCR, the VAD) are then in memory, and the engine has measured what a
small and a larger batch of each model take.
"""

from __future__ import annotations

import io
import wave
from functools import partial

import numpy as np
from PIL import Image, ImageDraw

from modalities.reading import Modality
from modalities.voice.prepare import Segment
from modalities.voice.prepare import prepare as prepare_audio
from modalities.voice.stream import SAMPLE_RATE_HZ
from server.analysis import Call, TextPart
from server.pipeline import guard
from server.read_text import read_text
from server.runner import Runner


async def warm_up(runner: Runner) -> None:
    """Read a short and a long text, a second of silence, two noises and a picture."""
    call = Call("warm-up")
    for words in (1, 1000):
        part = TextPart("", "hello " * words)
        outcome = await guard(Modality.TEXT, read_text(part, call, runner), call)
        if outcome.readings:
            await runner.infer(call, "fusion", [outcome.readings])
    await runner.prepare(
        call, Modality.VOICE, partial(prepare_audio, _silence(), max_duration_s=2.0)
    )
    if runner.models.voice is not None:
        rng = np.random.default_rng(0)
        for seconds in (1, 10):
            noise = rng.normal(0, 0.01, seconds * SAMPLE_RATE_HZ).astype(np.float32)
            await runner.infer(call, "voice", [Segment(noise, 0.0, float(seconds), 0.0)])
    if runner.models.preparer is not None:
        look = partial(runner.models.preparer.prepare, _picture())
        seen = await runner.prepare(call, Modality.IMAGE, look)
        if seen.vision is not None and runner.models.image is not None:
            await runner.infer(call, "image", [seen.vision])


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
