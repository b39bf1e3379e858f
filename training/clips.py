"""Labelled recordings for the voice recipes, and what is asked of a head that reads them.

A row teaches its emotion through a softmax over the labels that its set can have (CASIA has no
disgust: it must not teach that nothing is), and a sentiment where the emotion has one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import recall_score
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from modalities.reading import EMOTIONS, SENTIMENTS
from modalities.voice.head import pooled_sentiment
from modalities.voice.prepare import decode, segment
from modalities.voice.stream import SAMPLE_RATE_HZ
from training.calibrate import fit_temperature
from training.labelled import Labelled
from training.rows import read_bytes

SMOOTHING = 0.1  # of the labels (Szegedy et al. 2016), among those that the set can have


def cached_waves(folder: Path, files: Sequence[str]) -> list[tuple[NDArray[np.int16], int, int]]:
    """Decoded files (n,) int16 at 16 kHz with the span of their speech; decoded once per list."""
    key = hashlib.sha256("\n".join(files).encode()).hexdigest()[:12]
    path = folder / f"waves-{key}.npy"
    spans_path = folder / f"spans-{key}.npy"
    if not spans_path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        waves, spans, offset = [], [], 0
        for file in tqdm(files, desc="decode", mininterval=10):
            wave = decode(read_bytes(file), max_duration_s=60).samples
            found = segment(wave)
            length_s = len(wave) / SAMPLE_RATE_HZ
            start, end = (found[0].start_s, found[-1].end_s) if found else (0, length_s)
            span = (round(start * SAMPLE_RATE_HZ), round(end * SAMPLE_RATE_HZ))
            spans.append((offset, len(wave), *span))
            waves.append((wave * 32767).astype(np.int16))
            offset += len(wave)
        np.save(path, np.concatenate(waves))
        np.save(spans_path, np.array(spans))
    flat = np.load(path, mmap_mode="r")
    return [
        (flat[offset : offset + length], int(start), int(end))
        for offset, length, start, end in np.load(spans_path)
    ]


def head_loss(
    sentiment: Tensor, emotions: Tensor, items: Sequence[Labelled], weights: Tensor
) -> Tensor:
    """Cross-entropies of logits (b, 3) and (b, 7); `weights` (3,) per sentiment."""
    device = emotions.device
    held = torch.tensor([item.held for item in items], device=device)
    target = torch.tensor([item.emotion for item in items], device=device)
    smoothed = (1 - SMOOTHING) * F.one_hot(target, len(EMOTIONS)) + SMOOTHING * (
        held / held.sum(-1, keepdim=True)
    )
    sentiment_target = torch.tensor([item.sentiment for item in items], device=device)
    return F.cross_entropy(allowed(emotions, items), smoothed) + 0.5 * F.cross_entropy(
        sentiment, sentiment_target, weights.to(device), ignore_index=-1, reduction="sum"
    ) / len(items)


def sentiment_weights(items: Sequence[Labelled], drawn: Sequence[float]) -> Tensor:
    """(3,) weights that make the sentiments equally frequent; item i is drawn as `drawn[i]`."""
    mass = torch.zeros(len(SENTIMENTS))
    for item, weight in zip(items, drawn, strict=True):
        if item.sentiment >= 0:
            mass[item.sentiment] += weight
    return torch.where(mass > 0, mass.sum() / (len(SENTIMENTS) * mass.clamp(min=1e-9)), 0.0)


def allowed(emotions: Tensor, items: Sequence[Labelled]) -> Tensor:
    """Logits (b, 7) with those that an item's set cannot have pushed out of the softmax."""
    held = torch.tensor([item.held for item in items], device=emotions.device)
    return emotions.masked_fill(~held, -1e4)


def temperatures(
    sentiment: Tensor, emotions: Tensor, items: Sequence[Labelled]
) -> dict[str, float]:
    """Temperatures fitted on held-out logits (n, 3) and (n, 7)."""
    sentiment = pooled_sentiment(sentiment, emotions)
    return {
        "sentiment": fit_temperature(sentiment, torch.tensor([item.sentiment for item in items])),
        "emotion": fit_temperature(
            allowed(emotions, items), torch.tensor([item.emotion for item in items])
        ),
    }


def uar(emotions: Tensor, items: Sequence[Labelled]) -> dict[str, float]:
    """Unweighted average recall per set, over the labels that the set can have."""
    answers = allowed(emotions, items).argmax(-1).tolist()
    figures = {}
    for name in dict.fromkeys(item.data_set for item in items):
        rows = [i for i, item in enumerate(items) if item.data_set == name]
        truth = [items[i].emotion for i in rows]
        found = [answers[i] for i in rows]
        figures[name] = float(
            recall_score(truth, found, labels=sorted(set(truth)), average="macro", zero_division=0)
        )
    return figures
