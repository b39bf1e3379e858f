"""Composed items for fusion: readings of one label from several sources, damaged at random.

No set at hand pairs text, voice and face of one person, so items are composed: a label is drawn,
and each source gives an item of it, often damaged (typos, OCR and ASR errors, noise, blur), so
that there is something to learn about which evidence to trust; in some the second source is of
another class, and the first is the truth. The pairs are synthetic: whoever quotes a figure on them
says so.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from fusion.combine import combine
from fusion.pool import stack
from modalities.errors import InputError, UnavailableError
from modalities.image.infer import VisionItem, VisionReader
from modalities.image.prepare import sharpness
from modalities.reading import EMOTIONS, SENTIMENT_OF, SENTIMENTS, Reading, Source
from modalities.text.infer import TextReader
from modalities.text.prepare import PreparedText
from modalities.voice.infer import VoiceReader
from modalities.voice.prepare import decode, segment
from training.image import items_of
from training.rows import Row, load, read_bytes

SEED = 20261124
PER_LABEL = 120  # clips or faces of one label and set
TEXTS_PER_LABEL = 80  # each of them read three times
TEXT_SETS = ("ewect", "goemotions", "meld", "shopping", "airline")
VOICE_SETS = ("casia", "ravdess", "nemo", "urdu")
DAMAGE = (0.0, 0.15, 0.4)  # of characters, or of the way to a blur
TYPOS = (0.0, 0.0, 0.05)  # of the characters of a typed text, which no feature tells
SNR_DB = (None, 15.0, 5.0)
BATCH = 256  # texts, of which those of similar length are read together


@dataclass(frozen=True, eq=False)
class Labelled:
    reading: Reading
    emotion: int  # index in EMOTIONS, −1 where only the sentiment is known
    sentiment: int  # index in SENTIMENTS, −1 for surprise
    origin: str  # the speaker, or else the very item: readings of one belong to one fold


def readings(split: str, weights: Path) -> list[Labelled]:
    """Readings of a split's items by the modality checkpoints in `weights`, damaged and not."""
    return [
        *_texts(split, TextReader.load(weights / "text.safetensors"), _draws("text", split)),
        *_voices(split, VoiceReader.load(weights / "voice.safetensors"), _draws("voice", split)),
        *_faces(split, VisionReader.load(weights / "image.safetensors"), _draws("image", split)),
    ]


def _draws(part: str, split: str) -> random.Random:
    """Of one part alone, so that its readings hang on no other's."""
    return random.Random(f"{SEED}/{part}/{split}")


class Composer:
    """Draws items from known readings; the same for the same seed."""

    def __init__(self, known: Sequence[Labelled], seed: int) -> None:
        self._rng = random.Random(seed)
        self._by_emotion: dict[tuple[Source, int], list[Labelled]] = {}
        self._by_sentiment: dict[tuple[Source, int], list[Labelled]] = {}
        for item in known:
            source = item.reading.source
            if item.emotion >= 0:
                self._by_emotion.setdefault((source, item.emotion), []).append(item)
            self._by_sentiment.setdefault((source, item.sentiment), []).append(item)

    def any(self, n_items: int, contradictory: float) -> list[list[Labelled]]:
        """Items of two to five sources drawn anew for each: modality dropout. Of one alone there
        is nothing to learn."""
        counts = self._rng.choices((2, 3, 4, 5), (2, 1, 1, 1), k=n_items)
        return [
            self._item(self._rng.sample(tuple(Source), count), contradictory) for count in counts
        ]

    def of(
        self, sources: Sequence[Source], n_items: int, contradictory: float
    ) -> list[list[Labelled]]:
        """Items of exactly `sources`, each time in another order."""
        return [
            self._item(self._rng.sample(sources, len(sources)), contradictory)
            for _ in range(n_items)
        ]

    def _item(self, sources: Sequence[Source], contradictory: float) -> list[Labelled]:
        """One reading a source, the first being the truth; in a share `contradictory` of the items
        the second is of another sentiment."""
        rng = self._rng
        label = self._draw_label()
        labels = [label] * len(sources)
        if len(sources) > 1 and rng.random() < contradictory:
            while _sentiment_of(labels[1]) == _sentiment_of(label):
                labels[1] = self._draw_label()
        return [self._draw(source, of) for source, of in zip(sources, labels, strict=True)]

    def _draw_label(self) -> int:
        """Sentiments evenly, so that the pool learns to favour none, and an emotion within it; and,
        as often as an emotion by chance, surprise, which has no sentiment of its own."""
        if self._rng.random() < 1 / len(EMOTIONS):
            return EMOTIONS.index("surprise")
        sentiment = self._rng.choice(SENTIMENTS)
        names = [name for name in EMOTIONS if _sentiment_of(EMOTIONS.index(name)) == sentiment]
        return EMOTIONS.index(self._rng.choice(names))

    def _draw(self, source: Source, label: int) -> Labelled:
        # Reviews and tweets have no emotion: they stand for any of their sentiment.
        known = self._by_emotion.get((source, label), [])
        if not known or self._rng.random() < 0.3:
            sentiment = _sentiment_of(label)
            known = self._by_sentiment[source, SENTIMENTS.index(sentiment)] if sentiment else known
        return self._rng.choice(known)


def tensors(items: Sequence[Sequence[Labelled]]) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """The pool's inputs with the truth: emotion (b,) and sentiment (b,), −1 where unknown."""
    inputs = stack([[item.reading for item in drawn] for drawn in items])
    emotion = torch.tensor([drawn[0].emotion for drawn in items])
    sentiment = torch.tensor([drawn[0].sentiment for drawn in items])
    return inputs, emotion, sentiment


def _sentiment_of(emotion: int) -> str | None:
    return SENTIMENT_OF.get(EMOTIONS[emotion])


def _labelled(row: Row, reading: Reading) -> Labelled:
    origin = f"{row.data_set}/{row.speaker}" if row.part == "voice" else row.content
    return Labelled(reading, row.emotion_index, row.sentiment_index, origin)


def _sample(rows: Iterable[Row], most: int, rng: random.Random) -> list[Row]:
    """At most `most` rows of each label of ours."""
    by_label: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        if row.emotion or row.sentiment:
            by_label.setdefault((row.emotion_index, row.sentiment_index), []).append(row)
    return [
        row
        for _, alike in sorted(by_label.items())
        for row in rng.sample(alike, min(most, len(alike)))
    ]


def _texts(split: str, reader: TextReader, rng: random.Random) -> Iterator[Labelled]:
    """Text as typed, as transcribed and as read by OCR; the two latter lose characters, and
    their confidence tells roughly how many."""
    drawn: list[tuple[Row, Source, float, PreparedText]] = []
    for name in TEXT_SETS:
        for row in _sample(load("text", name, split), TEXTS_PER_LABEL, rng):
            for source in (Source.TEXT, Source.TRANSCRIPT, Source.IMAGE_TEXT):
                rate = rng.choice(TYPOS if source is Source.TEXT else DAMAGE)
                kept = "".join(c for c in row.content if rng.random() >= rate).strip()
                # The service would not read what is refused here, either.
                with suppress(InputError, UnavailableError):
                    prepared = reader.prepare(kept or row.content, row.before)
                    drawn.append((row, source, rate, prepared))
    for start in range(0, len(drawn), BATCH):
        chunk = drawn[start : start + BATCH]
        found = reader.infer([prepared for *_, prepared in chunk])
        for (row, source, rate, _), reading in zip(chunk, found, strict=True):
            confidence = min(1.0, max(0.0, 1 - rate + rng.gauss(0, 0.05)))
            quality = reading.quality
            if source is Source.TRANSCRIPT:
                quality = replace(quality, asr_confidence=confidence)
            elif source is Source.IMAGE_TEXT:
                quality = replace(quality, ocr_confidence=confidence)
            yield _labelled(row, replace(reading, source=source, quality=quality))


def _voices(split: str, reader: VoiceReader, rng: random.Random) -> Iterator[Labelled]:
    """Clips through the service's own segmentation, clean and in white noise."""
    noise = np.random.default_rng(rng.randrange(2**32))
    for name in VOICE_SETS:
        for row in _sample(load("voice", name, split), PER_LABEL, rng):
            wave = decode(read_bytes(row.content), max_duration_s=60).samples
            snr_db = rng.choice(SNR_DB)
            if snr_db is not None:
                power = float(np.square(wave).mean()) / 10 ** (snr_db / 10)
                wave = wave + noise.normal(0, power**0.5, len(wave)).astype(np.float32)
            segments = segment(wave)
            felt = [
                (result.emotion, one.duration_s)
                for one, result in zip(segments, reader.infer(segments), strict=True)
                if result.emotion
            ]
            if felt:
                yield _labelled(row, combine(*map(list, zip(*felt, strict=True))))


def _faces(split: str, reader: VisionReader, rng: random.Random) -> Iterator[Labelled]:
    rows = _sample(load("image", "fer", split), PER_LABEL, rng)
    for row, item in zip(rows, items_of(rows, reader.dims.size), strict=True):
        pixels = _blur(item.pixels, rng.choice(DAMAGE))
        quality = replace(item.quality, sharpness=sharpness(pixels))
        (reading,) = reader.infer([VisionItem(pixels, quality)])
        yield _labelled(row, reading)


def _blur(pixels: np.ndarray, rate: float) -> np.ndarray:
    """Gaussian blur of up to 2.5 px and a JPEG to match; 0 leaves the picture alone."""
    if rate == 0:
        return pixels
    picture = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(6 * rate))
    packed = io.BytesIO()
    picture.save(packed, "JPEG", quality=max(10, round(90 - 180 * rate)))
    return np.asarray(Image.open(packed).convert("RGB"))
