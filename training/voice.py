"""The voice recipe: a small Whisper-shaped encoder, from scratch, on acted and real emotions.

A row teaches its emotion through a softmax over the labels that its set can have (CASIA has no
disgust: it must not teach that nothing is), and a sentiment where the emotion has one.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import recall_score
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from fusion.labels import emotion_of, held_emotions, sentiment_of
from modalities import checkpoint
from modalities.reading import EMOTIONS, SENTIMENTS
from modalities.voice.infer import VoiceReader
from modalities.voice.model import VoiceDimensions, VoiceModel, collate, features, pooled_sentiment
from modalities.voice.prepare import Segment, decode, segment
from training.augment import Augment, spec_augment
from training.calibrate import fit_temperature
from training.data import speech_rows
from training.loop import Recipe, fit

SETS = ("casia", "ravdess", "nemo", "urdu")
ALLOWED = {name: torch.tensor(held_emotions(name)) for name in SETS}  # (7,) bool each
BATCH = 16
N_VARIANTS = 3
DIMS = VoiceDimensions(
    n_mels=80, n_ctx=750, n_state=128, n_head=4, n_layer=3, mel_stride=2, normalised=True
)


@dataclass(frozen=True, eq=False)
class Clip:
    """A labelled recording; speech runs from sample `start` to `end` of `wave` (n,) int16."""

    wave: NDArray[np.int16]
    start: int
    end: int
    data_set: str
    emotion: int  # index in EMOTIONS
    sentiment: int  # index in SENTIMENTS, −1 where the emotion has none

    def samples(self, start: int = 0, end: int | None = None) -> Tensor:
        """(n,) float32 in [−1, 1], from sample `start` to `end`."""
        return torch.from_numpy(self.wave[start:end].astype(np.float32)) / 32768


def cached_waves(folder: Path, files: Sequence[str]) -> list[tuple[NDArray[np.int16], int, int]]:
    """Decoded files (n,) int16 at 16 kHz with the span of their speech; decoded once per list."""
    key = hashlib.sha256("\n".join(files).encode()).hexdigest()[:12]
    path = folder / f"waves-{key}.npy"
    spans_path = folder / f"spans-{key}.npy"
    if not spans_path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        waves, spans, offset = [], [], 0
        for file in tqdm(files, desc="decode", mininterval=10):
            wave = decode(Path(file).read_bytes(), max_duration_s=60).samples
            found = segment(wave)
            start, end = (found[0].start_s, found[-1].end_s) if found else (0, len(wave) / 16_000)
            spans.append((offset, len(wave), round(start * 16_000), round(end * 16_000)))
            waves.append((wave * 32767).astype(np.int16))
            offset += len(wave)
        np.save(path, np.concatenate(waves))
        np.save(spans_path, np.array(spans))
    flat = np.load(path, mmap_mode="r")
    return [
        (flat[offset : offset + length], int(start), int(end))
        for offset, length, start, end in np.load(spans_path)
    ]


def clips(run_dir: Path, split: str, limit: int | None = None) -> list[Clip]:
    """The labelled clips of a split, or `limit` of them drawn at random."""
    rows = [
        (row["file"], name, emotion, sentiment_of(name, row["label"]))
        for name in SETS
        for row in speech_rows(name)
        if row["split"] == split and (emotion := emotion_of(name, row["label"]))
    ]
    if limit is not None:
        rows = random.Random(0).sample(rows, min(limit, len(rows)))
    return [
        Clip(*wave, name, EMOTIONS.index(emotion), SENTIMENTS.index(sentiment) if sentiment else -1)
        for wave, (_, name, emotion, sentiment) in zip(
            cached_waves(run_dir, [row[0] for row in rows]), rows, strict=True
        )
    ]


def augmented(run_dir: Path, items: Sequence[Clip], dims: VoiceDimensions) -> list[list[Tensor]]:
    """N_VARIANTS mels (n_mels, t), fp16, of each clip: itself and augmented; made once per run.

    Each is cut at random points of the silence around the speech: a segment from the VAD has
    little of it, a whole clip all of its own.
    """
    path = run_dir / "variants.pt"
    if not path.exists():
        torch.manual_seed(0)
        augment = Augment()
        made: list[list[Tensor]] = []
        for item in tqdm(items, desc="augment", mininterval=10):
            made.append([])
            for variant in range(N_VARIANTS):
                start = int(torch.randint(0, item.start + 1, ()))
                end = int(torch.randint(item.end, len(item.wave) + 1, ()))
                wave = item.samples(start, end)
                made[-1].append(features(augment(wave) if variant else wave, dims).half())
        torch.save(made, path)
    variants: list[list[Tensor]] = torch.load(path, weights_only=True)
    return variants


class Sampler:
    """Batches with sets and labels evened out: a cell of n clips is drawn as √n."""

    def __init__(
        self, items: Sequence[Clip], variants: Sequence[Sequence[Tensor]], seed: int
    ) -> None:
        self.items, self.variants, self.seed = items, variants, seed
        cells = Counter((item.data_set, item.emotion) for item in items)
        self.weights = torch.tensor([cells[i.data_set, i.emotion] ** -0.5 for i in items])
        self.mask = spec_augment()

    def __len__(self) -> int:
        return len(self.items) // BATCH

    def sentiment_weights(self) -> Tensor:
        """(3,) weights that make the sentiments equally frequent among the drawn."""
        drawn = torch.zeros(len(SENTIMENTS))
        for item, weight in zip(self.items, self.weights, strict=True):
            if item.sentiment >= 0:
                drawn[item.sentiment] += weight
        return drawn.sum() / (len(SENTIMENTS) * drawn)

    def batches(self, epoch: int) -> Iterator[tuple[list[Clip], Tensor, Tensor]]:
        """Clips, their mels (b, n_mels, t) and lengths (b,); similar lengths together."""
        rng = random.Random(self.seed + epoch)
        drawn = rng.choices(range(len(self.items)), self.weights.tolist(), k=len(self) * BATCH)
        drawn.sort(key=lambda i: len(self.items[i].wave) * (1 + 0.2 * rng.random()))
        groups = [drawn[start : start + BATCH] for start in range(0, len(drawn), BATCH)]
        rng.shuffle(groups)
        for group in groups:
            mels = [self.mask(rng.choice(self.variants[i]).float()[None])[0] for i in group]
            yield [self.items[i] for i in group], *collate(mels)


def train(
    run_dir: Path,
    out: Path,
    epochs: int = 14,
    dims: VoiceDimensions = DIMS,
    limit: int | None = None,
) -> None:
    """Train on the `train` splits, choose and calibrate on `dev`, write the checkpoint `out`.

    A run that was killed resumes in `run_dir`. `limit` keeps so many clips of each split.
    """
    train_items, dev_items = clips(run_dir, "train", limit), clips(run_dir, "dev", limit)
    recipe = Recipe(epochs=epochs, learning_rate=8e-4, patience=6)
    sampler = Sampler(train_items, augmented(run_dir, train_items, dims), recipe.seed)
    torch.manual_seed(recipe.seed)
    model = VoiceModel(dims, dropout=0.1)
    initialise(model)
    weights = sampler.sentiment_weights()
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(train_items):,} clips")
    fit(
        model,
        batches=sampler.batches,
        steps_per_epoch=len(sampler),
        loss=lambda batch: loss(model, batch, weights),
        validate=lambda: dev_figure(model, dev_items),
        recipe=recipe,
        run_dir=run_dir,
    )
    sentiment, emotions = logits(model, dev_items)
    checkpoint.save(
        out,
        dims,
        model.state_dict(),
        temperature=temperatures(sentiment, emotions, dev_items),
        recipe={"sets": SETS, "epochs": epochs, "seed": recipe.seed},
    )


def initialise(model: VoiceModel) -> None:
    """Let the sound speak louder than its position, which says little of an emotion."""
    for conv in (model.encoder.conv1, model.encoder.conv2):
        torch.nn.init.kaiming_normal_(conv.weight)
    model.encoder.positional_embedding *= 0.1


def loss(model: VoiceModel, batch: tuple[list[Clip], Tensor, Tensor], weights: Tensor) -> Tensor:
    items, mel, lengths = batch
    sentiment, emotions, _ = model(mel, lengths)
    return head_loss(sentiment, emotions, items, weights)


def head_loss(
    sentiment: Tensor, emotions: Tensor, items: Sequence[Clip], weights: Tensor
) -> Tensor:
    """Cross-entropies of logits (b, 3) and (b, 7); `weights` (3,) per sentiment."""
    target = torch.tensor([item.emotion for item in items])
    sentiment_target = torch.tensor([item.sentiment for item in items])
    return F.cross_entropy(allowed(emotions, items), target) + 0.5 * F.cross_entropy(
        sentiment, sentiment_target, weights, ignore_index=-1, reduction="sum"
    ) / len(items)


def allowed(emotions: Tensor, items: Sequence[Clip]) -> Tensor:
    """Logits (b, 7) with those that an item's set cannot have pushed out of the softmax."""
    return emotions.masked_fill(~torch.stack([ALLOWED[item.data_set] for item in items]), -1e4)


def temperatures(sentiment: Tensor, emotions: Tensor, items: Sequence[Clip]) -> dict[str, float]:
    """Temperatures fitted on held-out logits (n, 3) and (n, 7)."""
    sentiment = pooled_sentiment(sentiment, emotions)
    return {
        "sentiment": fit_temperature(sentiment, torch.tensor([item.sentiment for item in items])),
        "emotion": fit_temperature(
            allowed(emotions, items), torch.tensor([item.emotion for item in items])
        ),
    }


def logits(model: VoiceModel, items: Sequence[Clip]) -> tuple[Tensor, Tensor]:
    """(n, 3) sentiment and (n, 7) emotion logits of whole clips, in the order of `items`."""
    order = sorted(range(len(items)), key=lambda i: len(items[i].wave))
    sentiment, emotions = torch.empty(len(items), 3), torch.empty(len(items), len(EMOTIONS))
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            mels = [features(items[i].samples(), model.dims) for i in rows]
            sentiment[rows], emotions[rows], _ = model(*collate(mels))
    return sentiment, emotions


def uar(emotions: Tensor, items: Sequence[Clip]) -> dict[str, float]:
    """Unweighted average recall per set, over the labels that the set can have."""
    answers = allowed(emotions, items).argmax(-1).tolist()
    figures = {}
    for name in dict.fromkeys(item.data_set for item in items):
        rows = [i for i, item in enumerate(items) if item.data_set == name]
        truth = [items[i].emotion for i in rows]
        figures[name] = float(
            recall_score(
                truth, [answers[i] for i in rows], labels=sorted(set(truth)), average="macro"
            )
        )
    return figures


def dev_figure(model: VoiceModel, items: Sequence[Clip]) -> float:
    """Mean of the sets' UAR."""
    figures = uar(logits(model, items)[1], items)
    print("dev UAR: " + ", ".join(f"{n} {f:.3f}" for n, f in figures.items()), flush=True)
    return float(np.mean(list(figures.values())))


def predict(
    path: Path, rows: Sequence[Mapping[str, str]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The service's own reading of whole clips, one segment each (`rows` of `speech_rows`).

    Returns calibrated log-probabilities (n, 3) over SENTIMENTS and (n, 7) over EMOTIONS.
    """
    reader = VoiceReader.load(path)
    segments = []
    for row in rows:
        wave = decode(Path(row["file"]).read_bytes(), max_duration_s=60)
        segments.append(Segment(wave.samples, 0.0, wave.duration_s, 0.0))
    order = sorted(range(len(rows)), key=lambda i: reader.cost(segments[i]))
    log_sentiment = np.empty((len(rows), len(SENTIMENTS)), np.float32)
    log_emotions = np.empty((len(rows), len(EMOTIONS)), np.float32)
    for start in range(0, len(order), BATCH):
        chunk = order[start : start + BATCH]
        for i, result in zip(chunk, reader.infer([segments[i] for i in chunk]), strict=True):
            log_sentiment[i] = result.reading.log_sentiment
            log_emotions[i] = result.reading.log_emotions
    return log_sentiment, log_emotions
