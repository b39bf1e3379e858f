"""What the service makes of lines on which nobody speaks: nothing, it should be.

Hold music, keys, ring-back, silence and noise of several levels, each a recording of the
customer's channel over 8 kHz μ-law; more kinds than the composer lays into its calls.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.calls import compose, sounds
from modalities.reading import Array
from modalities.voice.stream import SAMPLE_RATE_HZ
from server import models
from server.analysis import Role
from server.calls.recorded import CallOptions, score
from server.pipeline import Pipeline
from server.settings import Settings

N_EACH = 10
SECONDS = 20.0
CUSTOMER = CallOptions(single_speaker=Role.CUSTOMER)


@dataclass(frozen=True)
class Invented:
    """Of `minutes` without speech: stretches taken for speech, how many of them have a text, and
    how many an emotion of which the service is sure (it does not abstain)."""

    minutes: float
    utterances: int
    texts: int
    sure: int


def run(seed: int = 0) -> dict[str, Invented]:
    """By kind of sound, with the embedded models."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        paths = {
            kind: [_write(Path(folder) / f"{kind}{i}.wav", make(draw), draw) for i in range(N_EACH)]
            for kind, make in KINDS.items()
        }
        return asyncio.run(_score(paths))


async def _score(paths: Mapping[str, list[Path]]) -> dict[str, Invented]:
    settings = Settings(whisper="none")
    found = {}
    async with Pipeline(models.load(settings), settings) as pipeline:
        for kind, recordings in paths.items():
            calls = [await score(path, pipeline, CUSTOMER, lambda _: None) for path in recordings]
            heard = [utterance for call in calls for utterance in call.utterances]
            found[kind] = Invented(
                minutes=round(sum(call.summary.shape.duration_s for call in calls) / 60, 1),
                utterances=len(heard),
                texts=sum(bool(one.text) for one in heard),
                sure=sum(one.fused is not None and not one.fused.abstained for one in heard),
            )
    return found


def _write(path: Path, sound: Array, draw: random.Random) -> Path:
    """With faint line noise under it."""
    noise = np.random.default_rng(draw.randrange(2**32)).normal(0, 1e-3, len(sound))
    path.write_bytes(compose.encode((sound + noise).clip(-1, 1).astype(np.float32)[np.newaxis]))
    return path


def _noise(draw: random.Random) -> Array:
    """From white to brown (power ~ 1/f^0…2), at −50 to −20 dB of full scale."""
    n = round(SECONDS * SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(draw.randrange(2**32)).normal(size=n))
    noise = np.fft.irfft(spectrum * np.arange(1, len(spectrum) + 1) ** -draw.uniform(0, 1), n)
    level = 10 ** (draw.uniform(-50, -20) / 20)
    return (noise * level / np.sqrt(np.square(noise).mean())).astype(np.float32)


def _level(draw: random.Random) -> np.float32:
    return np.float32(10 ** (draw.uniform(-24, -6) / 20))


KINDS: Mapping[str, Callable[[random.Random], Array]] = {
    "hold_music": lambda draw: sounds.hold_music(SECONDS, draw) * _level(draw),
    "keys": lambda draw: sounds.keys("".join(draw.choices("0123456789*#", k=40))) * _level(draw),
    "ring_back": lambda draw: sounds.ring_back(4) * _level(draw),
    "silence": lambda _: np.zeros(round(SECONDS * SAMPLE_RATE_HZ), np.float32),
    "noise": _noise,
}
