"""What is measured on: texts, recordings and pictures made of this project's own examples."""

from __future__ import annotations

import csv
import io
import itertools
import wave
from functools import cache
from pathlib import Path

import numpy as np
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest
from emotion.v1.types_pb2 import Audio, Image, Text
from PIL import Image as Pictures

from modalities.reading import Array
from modalities.voice.prepare import Segment, decode
from modalities.voice.stream import SAMPLE_RATE_HZ

EXAMPLES = Path(__file__).parents[2] / "examples"
PICTURE_SIZE = (1080, 2400)
REPEATED_FROM, REPEATED_TO = 1316, 1568  # rows of the example in which one message stands
# Chat and service messages (dev splits of airline, cped, goemotions, meld, waimai, all alike) have
# about 15 of our tokens, a tenth of them fewer than 7 and a tenth more than 37.
MEDIAN_WORDS, SIGMA = 13.5, 0.79
MOST_WORDS = 160
LANGUAGES = {"zh": "", "en": " "}  # what stands between two words


def texts(n: int, seed: int = 0) -> list[str]:
    """Half Chinese, half English, of natural lengths."""
    rng = np.random.default_rng(seed)
    with (EXAMPLES / "messages.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = {lang: [row["text"] for row in rows if row["language"] == lang] for lang in LANGUAGES}
    words = {"zh": list("".join(lines["zh"])), "en": " ".join(lines["en"]).split()}
    made = []
    for lang, joint in itertools.islice(itertools.cycle(LANGUAGES.items()), n):
        length = min(MOST_WORDS, max(1, round(rng.lognormal(np.log(MEDIAN_WORDS), SIGMA))))
        start = int(rng.integers(len(words[lang])))
        made.append(
            joint.join(itertools.islice(itertools.cycle(words[lang]), start, start + length))
        )
    return made


def segments(n_windows: int, seed: int = 0, language: str | None = None) -> list[Segment]:
    """Noise of 2 to 10 s; five after one another are 30 s together."""
    rng = np.random.default_rng(seed)
    seconds: list[float] = []
    for x, y in rng.uniform(0, 2, (n_windows, 2)):
        seconds += [2 + x, 4 + y, 6, 8 - y, 10 - x]
    return [noise(one, rng, language) for one in seconds]


def noise(seconds: float, rng: np.random.Generator, language: str | None = None) -> Segment:
    samples = rng.normal(0, 0.05, round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)
    return Segment(samples, 0.0, seconds, 20.0, language)


@cache
def speech() -> Array:
    """Spoken words at 16 kHz."""
    return decode((EXAMPLES / "recording.ogg").read_bytes(), max_duration_s=60).samples


def half_speech(seconds: float, seed: int = 0) -> Array:
    """Turns of 2 to 8 s and as much faint noise after each."""
    rng = np.random.default_rng(seed)
    spoken, parts, left = speech(), [], round(seconds * SAMPLE_RATE_HZ)
    while left > 0:
        n = int(rng.uniform(2, 8) * SAMPLE_RATE_HZ)
        start = int(rng.integers(len(spoken) - n))
        parts += [spoken[start : start + n], np.zeros(n, np.float32)]
        left -= 2 * n
    whole = np.concatenate(parts)[: round(seconds * SAMPLE_RATE_HZ)]
    return (whole + rng.normal(0, 0.0005, len(whole))).astype(np.float32)


def wav(samples: Array) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()


@cache
def picture() -> bytes:
    """The example's chat with one of its messages twice, so that it is PICTURE_SIZE."""
    with Pictures.open(EXAMPLES / "screenshot.png") as image:
        whole = image.convert("RGB")
    tall = Pictures.new("RGB", PICTURE_SIZE)
    tall.paste(whole, (0, REPEATED_TO - REPEATED_FROM))
    tall.paste(whole.crop((0, 0, whole.width, REPEATED_TO)), (0, 0))
    file = io.BytesIO()
    tall.save(file, "PNG")
    return file.getvalue()


def text_request(text: str) -> AnalyzeEmotionRequest:
    return AnalyzeEmotionRequest(text=Text(content=text))


def voice_request(seconds: float, seed: int = 0) -> AnalyzeEmotionRequest:
    return AnalyzeEmotionRequest(audio=Audio(content=wav(half_speech(seconds, seed))))


def image_request() -> AnalyzeEmotionRequest:
    return AnalyzeEmotionRequest(images=[Image(content=picture())])
