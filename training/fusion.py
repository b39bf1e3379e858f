"""The fusion recipe: what the pool learns from, and how it is judged.

No set at hand pairs text, voice and face of one person, so items are composed: a sentiment is
drawn, an emotion within it, and each source gives an item of that label, often damaged (typos, OCR
and ASR errors, noise, blur), so that the gate can learn which evidence to trust; in some the
second source is of another class. The pairs are synthetic: the cards say so. The pool learns on
readings of `dev` items, which trained no modality, and is judged on pairs of `test` items.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from sklearn.metrics import f1_score
from torch import Tensor
from torch.nn import functional as F

from fusion.combine import combine
from fusion.labels import emotion_of, sentiment_of
from fusion.pool import FusionDimensions, FusionModel, FusionPool, save, stack
from modalities.image.infer import VisionItem, VisionReader
from modalities.image.prepare import sharpness
from modalities.reading import EMOTIONS, SENTIMENT_OF, SENTIMENTS, Quality, Reading, Source
from modalities.text.infer import TextReader
from modalities.voice.infer import VoiceReader
from modalities.voice.prepare import decode, segment
from training import image
from training.calibrate import fit_temperature
from training.data import speech_rows, text_rows
from training.evaluate import expected_calibration_error

SEED = 20261124
PER_LABEL = 120  # items of one label and set
TEXT_SETS = ("ewect", "goemotions", "meld", "shopping", "airline")
VOICE_SETS = ("casia", "ravdess", "nemo", "urdu")
DAMAGE = (0.0, 0.15, 0.4)  # of characters, or of the way to 0 dB, or of the way to a blur
TYPOS = (0.0, 0.0, 0.05)  # of the characters of a typed text, which no feature tells
CONTRADICTORY = 0.15  # share of items of several sources whose second is of another class


@dataclass(frozen=True, eq=False)
class Labelled:
    reading: Reading
    emotion: int  # index in EMOTIONS, −1 where only the sentiment is known
    sentiment: int  # index in SENTIMENTS, −1 for surprise


def readings(split: str, weights: Path) -> list[Labelled]:
    """Readings of a split's items by the modality checkpoints in `weights`, damaged and not."""
    rng = random.Random(f"{SEED}/{split}")
    return [
        *_texts(split, TextReader.load(weights / "text.safetensors"), rng),
        *_voices(split, VoiceReader.load(weights / "voice.safetensors"), rng),
        *_faces(split, VisionReader.load(weights / "image.safetensors"), rng),
    ]


def train(weights: Path, out: Path, n_items: int = 30_000, steps: int = 1_500) -> None:
    """Fit gate and biases on one half of the dev readings, the temperature on the other."""
    known = readings("dev", weights)
    first, second = known[::2], known[1::2]
    torch.manual_seed(SEED)
    model = FusionModel(FusionDimensions()).double()
    inputs, emotion, sentiment = tensors(compose(first, n_items, SEED))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-2)
    for step in range(steps):
        rows = torch.randint(len(emotion), (512,))
        log_sentiment, log_emotions, _ = model(*(x[rows] for x in inputs))
        loss = nll(log_sentiment, sentiment[rows]) + nll(log_emotions, emotion[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 250 == 0:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    model.eval()
    inputs, _, sentiment = tensors(compose(second, n_items // 3, SEED + 1))
    with torch.inference_mode():
        log_sentiment, _, _ = model(*inputs)
    model.temperature.fill_(fit_temperature(log_sentiment.clone(), sentiment))
    print(f"temperature {float(model.temperature):.3f}")
    # Below one half the most probable sentiment is more likely wrong than right.
    save(out, model, abstain_below=0.5, recipe={"pairs": "synthetic", "seed": SEED})


def compose(known: Sequence[Labelled], n_items: int, seed: int) -> list[list[Labelled]]:
    """Items of one to five sources; the first source's label is the truth."""
    rng = random.Random(seed)
    by_emotion: dict[tuple[Source, int], list[Labelled]] = {}
    by_sentiment: dict[tuple[Source, int], list[Labelled]] = {}
    for item in known:
        if item.emotion >= 0:
            by_emotion.setdefault((item.reading.source, item.emotion), []).append(item)
        by_sentiment.setdefault((item.reading.source, item.sentiment), []).append(item)
    items: list[list[Labelled]] = []
    while len(items) < n_items:
        emotion = _draw_emotion(rng)
        sources = rng.sample(tuple(Source), rng.choice((1, 1, 2, 2, 3, 4, 5)))
        drawn = []
        for place, source in enumerate(sources):
            label = emotion
            if place == 1 and rng.random() < CONTRADICTORY:
                label = rng.choice([e for e in range(len(EMOTIONS)) if e != emotion])
            sentiment = SENTIMENT_OF.get(EMOTIONS[label])
            pool = by_emotion.get((source, label), [])
            # Reviews and tweets have no emotion label: they stand for any of their sentiment.
            if sentiment and rng.random() < 0.3:
                pool = by_sentiment.get((source, SENTIMENTS.index(sentiment)), pool)
            if pool:
                drawn.append(rng.choice(pool))
        if drawn and drawn[0].reading.source is sources[0]:
            items.append(drawn)
    return items


def tensors(items: Sequence[Sequence[Labelled]]) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """The pool's inputs with the truth: emotion (b,) and sentiment (b,), −1 where unknown."""
    inputs = stack([[item.reading for item in drawn] for drawn in items])
    emotion = torch.tensor([drawn[0].emotion for drawn in items])
    sentiment = torch.tensor([drawn[0].sentiment for drawn in items])
    return inputs, emotion, sentiment


def nll(log_p: Tensor, target: Tensor) -> Tensor:
    return F.nll_loss(log_p, target, ignore_index=-1)


def evaluate(weights: Path, split: str = "test", n_items: int = 6_000) -> dict[str, object]:
    """Sentiment macro-F1 of the pool on composed items of `split` that have two or more sources,
    beside the best single source, the plain mean and the majority vote on the same items."""
    items = [
        drawn
        for drawn in compose(readings(split, weights), n_items, SEED + 2)
        if len(drawn) >= 2 and drawn[0].sentiment >= 0
    ]
    truth = np.array([drawn[0].sentiment for drawn in items])
    fused = FusionPool.load(weights / "fusion.safetensors").infer(
        [[item.reading for item in drawn] for drawn in items]
    )
    p = [np.exp(np.stack([item.reading.log_sentiment for item in drawn])) for drawn in items]
    answers = {
        "fusion": np.array([f.log_sentiment.argmax() for f in fused]),
        "most_certain_source": np.array([x[x.max(1).argmax()].argmax() for x in p]),
        "plain_mean": np.array([x.mean(0).argmax() for x in p]),
        "majority": np.array([np.bincount(x.argmax(1), minlength=3).argmax() for x in p]),
    }
    confidence = np.array([f.confidence for f in fused])
    return {
        "set": "pairs",
        "split": split,
        "head": "sentiment",
        "n": len(items),
        "macro_f1": {
            name: round(float(f1_score(truth, answer, average="macro")), 4)
            for name, answer in answers.items()
        },
        "ece": round(expected_calibration_error(confidence, answers["fusion"] == truth), 4),
        "abstained": round(float(np.mean([f.abstained for f in fused])), 4),
    }


def _draw_emotion(rng: random.Random) -> int:
    """Sentiments evenly, so that the pool's bias favours none, and surprise beside them."""
    sentiment = rng.choice((*SENTIMENTS, "surprise"))
    names = [name for name in EMOTIONS if SENTIMENT_OF.get(name, "surprise") == sentiment]
    return EMOTIONS.index(rng.choice(names))


def _labelled(name: str, row: dict[str, str], reading: Reading) -> Labelled:
    emotion = emotion_of(name, row["label"])
    sentiment = sentiment_of(name, row["label"], row.get("sentiment", ""))
    return Labelled(
        reading,
        EMOTIONS.index(emotion) if emotion else -1,
        SENTIMENTS.index(sentiment) if sentiment else -1,
    )


def _sample(rows: Iterable[dict[str, str]], rng: random.Random) -> list[dict[str, str]]:
    by_label: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_label.setdefault(row["label"], []).append(row)
    return [
        row
        for label in sorted(by_label)
        for row in rng.sample(by_label[label], min(PER_LABEL, len(by_label[label])))
    ]


def _texts(split: str, reader: TextReader, rng: random.Random) -> Iterable[Labelled]:
    """Text as typed, as transcribed and as read by OCR; the two latter lose characters, and
    their confidence tells roughly how many."""
    for name in TEXT_SETS:
        rows = [row for row in text_rows(name) if row["split"] == split and "|" not in row["label"]]
        for row in _sample(rows, rng):
            for source in (Source.TEXT, Source.TRANSCRIPT, Source.IMAGE_TEXT):
                rate = rng.choice(TYPOS if source is Source.TEXT else DAMAGE)
                text = (
                    "".join(c for c in row["text"] if rng.random() >= rate).strip() or row["text"]
                )
                (reading,) = reader.infer([reader.prepare(text)])
                seen = min(1.0, max(0.0, 1 - rate + rng.gauss(0, 0.05)))
                quality = reading.quality
                if source is Source.TRANSCRIPT:
                    quality = replace(quality, asr_confidence=seen)
                elif source is Source.IMAGE_TEXT:
                    quality = replace(quality, ocr_confidence=seen)
                yield _labelled(name, row, replace(reading, source=source, quality=quality))


def _voices(split: str, reader: VoiceReader, rng: random.Random) -> Iterable[Labelled]:
    """Clips through the service's own segmentation, clean and in white noise."""
    noise = np.random.default_rng(rng.randrange(2**32))
    for name in VOICE_SETS:
        rows = [row for row in speech_rows(name) if row["split"] == split]
        for row in _sample(rows, rng):
            wave = decode(Path(row["file"]).read_bytes(), max_duration_s=60).samples
            snr_db = rng.choice((None, 15.0, 5.0))
            if snr_db is not None:
                power = float(np.square(wave).mean()) / 10 ** (snr_db / 10)
                wave = wave + noise.normal(0, power**0.5, len(wave)).astype(np.float32)
            segments = segment(wave)
            if not segments:
                continue
            results = [result.reading for result in reader.infer(segments)]
            reading = combine(results, [s.duration_s for s in segments])
            yield _labelled(name, row, reading)


def _faces(split: str, reader: VisionReader, rng: random.Random) -> Iterable[Labelled]:
    rows = _sample(image.fer_rows(split), rng)
    for row, item in zip(rows, image.load_items(rows), strict=True):
        pixels = _blur(item.pixels, rng.choice(DAMAGE))
        quality = Quality(face=1.0, sharpness=sharpness(pixels))
        (reading,) = reader.infer([VisionItem(pixels, quality)])
        yield _labelled("fer", row, reading)


def _blur(pixels: np.ndarray, rate: float) -> np.ndarray:
    """Gaussian blur of up to 2.5 px and a JPEG to match; 0 leaves the picture alone."""
    if rate == 0:
        return pixels
    picture = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(6 * rate))
    packed = io.BytesIO()
    picture.save(packed, "JPEG", quality=max(10, round(90 - 180 * rate)))
    return np.asarray(Image.open(packed).convert("RGB"))
