"""Before the first request: every model and every CPU step is run once.

Lazily loaded parts (the OCR, the VAD) are then in memory, and the engine has measured what a
small and a larger batch of each model take.
"""

from __future__ import annotations

import io
import wave
from dataclasses import replace

import numpy as np
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest
from PIL import Image, ImageDraw

from modalities.voice.prepare import SAMPLE_RATE_HZ, Segment
from server.analysis import Call
from server.pipeline import Pipeline


async def warm_up(pipeline: Pipeline) -> None:
    """Analyse a short text, a second of silence and a blank picture; then the larger batches."""
    request = AnalyzeEmotionRequest(request_id="warm-up")
    request.text.content = "hello"
    request.audio.content = _silence()
    request.images.add(content=_picture())
    await pipeline.analyze(request)
    request = AnalyzeEmotionRequest(request_id="warm-up")
    request.text.content = "hello " * min(1000, pipeline.settings.max_text_characters // 6)
    await pipeline.analyze(request)
    if pipeline.models.voice is not None:
        rng = np.random.default_rng(0)
        noise = rng.normal(0, 0.01, 10 * SAMPLE_RATE_HZ).astype(np.float32)
        long = Segment(noise, 0.0, 10.0, 0.0)
        for segment in (replace(long, samples=noise[:SAMPLE_RATE_HZ], end_s=1.0), long):
            await pipeline.runner.infer(Call("warm-up"), "voice", [segment])


def _silence() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes(bytes(2 * SAMPLE_RATE_HZ))
    return file.getvalue()


def _picture() -> bytes:
    picture = Image.new("RGB", (320, 96), "white")
    ImageDraw.Draw(picture).text((20, 30), "hello", fill="black", font_size=32)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
