"""The vision recipe: a small ResNet on FER2013 faces and weakly labelled chat stickers.

A sticker's category speaks of its words and mood as much as of what is drawn, so stickers only
keep the model from reading a face into every picture. Whole pictures get temperatures of their
own, fitted on sticker dev, where a sticker without a clear mood asks for an even answer: they
leave the model's word on pictures without a face as flat as it deserves.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import f1_score
from torch import Tensor
from torch.nn import functional as F

from fusion.labels import sentiment_of
from modalities import checkpoint
from modalities.image.infer import PLACES, Calibration, VisionItem, VisionReader
from modalities.image.model import VisionDimensions, VisionModel
from modalities.image.prepare import CROP_SIZE, sharpness, square
from modalities.reading import EMOTIONS, SENTIMENTS, Quality
from training.calibrate import fit_temperature
from training.data import data_dir, load_splits, read_table
from training.loop import Recipe, fit

FACES, STICKERS = "faces/fer2013_48x48.zip", "stickers/stickers.zip"
BATCH = 64
FLATTEST = 20.0  # the highest temperature: above it every answer is uniform to two digits

# Sticker categories with one clear mood; the others (回答, 表情, 群聊 …) hold all of them.
EMOTION_OF_CATEGORY = {
    "夸奖": "happy",  # praise
    "滑稽": "happy",  # grinning
    "自恋": "happy",  # pleased with oneself
    "干架": "angry",  # picking a fight
    "难过": "sad",
    "害怕": "fear",
    "敷衍": "neutral",  # going through the motions
}

Row = dict[str, str]


def fer_rows(split: str) -> list[Row]:
    """FER2013's rows of `split` (train, dev, test): `file` (zip!member) and `label`."""
    folder = {"dev": "validation"}.get(split, split)
    with zipfile.ZipFile(data_dir() / FACES) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".jpg"))
    parts = [(name, name.split("/")) for name in names]
    return [{"file": f"{FACES}!{n}", "label": p[1]} for n, p in parts if p[0] == folder]


def sticker_rows(split: str) -> list[Row]:
    """Stickers of `split` whose category has a mood: `file`, `category`, weak `label`."""
    return [row for row in _all_stickers(split) if row["label"]]


def _all_stickers(split: str) -> list[Row]:
    """All stickers of `split`; `label` is empty where the category has no one mood."""
    splits = load_splits("stickers")
    return [
        {
            **row,
            "file": f"{STICKERS}!{row['file']}",
            "label": EMOTION_OF_CATEGORY.get(row["category"], ""),
        }
        for row in read_table(data_dir() / "stickers" / "manifest.csv")
        if splits[row["file"]] == split
    ]


@cache
def _archive(name: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(data_dir() / name)


def load_items(rows: Sequence[Row]) -> list[VisionItem]:
    """The rows' pictures as the service would crop them; FER2013's are faces, uncropped."""
    made = []
    for row in rows:
        name, member = row["file"].split("!")
        with Image.open(io.BytesIO(_archive(name).read(member))) as image:
            pixels = np.asarray(image.convert("RGB"))
        quality = Quality(face=float(name == FACES), sharpness=sharpness(pixels))
        made.append(VisionItem(square(pixels, CROP_SIZE), quality))
    return made


def emotion_targets(rows: Sequence[Row]) -> Tensor:
    """Indices in EMOTIONS; −1 for a row without a label."""
    return torch.tensor([EMOTIONS.index(row["label"]) if row["label"] else -1 for row in rows])


def sentiment_targets(rows: Sequence[Row]) -> Tensor:
    """Indices in SENTIMENTS; −1 for surprise, which goes either way, and without a label."""
    names = [sentiment_of("fer", row["label"]) for row in rows]
    return torch.tensor([SENTIMENTS.index(name) if name else -1 for name in names])


def augment(pixels: Tensor) -> Tensor:
    """Flips, turns, shifts, zooms, gamma and erased patches: (b, 3, s, s) → the same, float."""
    b, _, _, s = pixels.shape
    turn = (torch.rand(b) - 0.5) * math.radians(24)
    zoom = 0.8 + 0.3 * torch.rand(b)  # under 1 magnifies: a detector's box is tighter than FER's
    flip = 1.0 - 2.0 * (torch.rand(b) < 0.5)
    shift = (torch.rand(b, 2) - 0.5) * 0.24
    rows = torch.stack([turn.cos() * flip, -turn.sin(), turn.sin() * flip, turn.cos()], -1)
    affine = torch.cat([rows.view(b, 2, 2) * zoom.view(b, 1, 1), shift.unsqueeze(-1)], -1)
    grid = F.affine_grid(affine, list(pixels.shape), align_corners=False)  # (b, s, s, 2)
    moved = F.grid_sample(
        pixels.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    gamma = (0.7 + 0.7 * torch.rand(b)).view(b, 1, 1, 1)
    moved = 255 * (moved / 255).clamp(1e-4, 1) ** gamma
    # Random erasing (Zhong et al., AAAI 2020): one patch of 15–40 % of the side, half the time.
    side = (s * (0.15 + 0.25 * torch.rand(b, 2))) * (torch.rand(b, 1) < 0.5)
    corner = torch.rand(b, 2) * (s - side)
    axis = torch.arange(s)
    inside = (axis >= corner.unsqueeze(-1)) & (axis < (corner + side).unsqueeze(-1))  # (b, 2, s)
    patch = (inside[:, 0].unsqueeze(2) & inside[:, 1].unsqueeze(1)).unsqueeze(1)  # (b, 1, s, s)
    return moved.masked_fill(patch, 128.0)


def stack(items: Sequence[VisionItem]) -> Tensor:
    """(n, 3, s, s) uint8."""
    return torch.from_numpy(np.stack([item.pixels for item in items])).permute(0, 3, 1, 2)


def logits(model: VisionModel, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 3) sentiment and (n, 7) emotion logits."""
    with torch.inference_mode():
        parts = [model(chunk)[:2] for chunk in pixels.split(256)]
    return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])


def log_prior_shift(natural: Tensor, trained: Tensor, n_classes: int) -> Tensor:
    """log p(natural) − log p(trained): what turns one prior's logits into the other's.

    Saerens et al., "Adjusting the outputs of a classifier to new a priori probabilities",
    Neural Computation 14 (2002), eq. 2.4.
    """
    counts = [torch.bincount(t[t >= 0], minlength=n_classes).double() for t in (natural, trained)]
    first, second = ((count + 1).log() - (count + 1).sum().log() for count in counts)
    return (first - second).float()


def train(run_dir: Path, out: Path, epochs: int = 14, dims: VisionDimensions | None = None) -> None:
    """Train on FER2013 train and sticker train, choose and calibrate on dev, write `out`."""
    torch.set_num_threads(1)
    dims = dims or VisionDimensions()
    faces, stickers = fer_rows("train"), sticker_rows("train")
    rows = faces + stickers
    pixels = stack(load_items(rows)).contiguous(memory_format=torch.channels_last)
    emotion, sentiment = emotion_targets(rows), sentiment_targets(rows)
    dev_rows = fer_rows("dev")
    dev_pixels = stack(load_items(dev_rows))
    dev_emotion, dev_sentiment = emotion_targets(dev_rows), sentiment_targets(dev_rows)
    face = slice(0, len(faces))
    shift = {
        "sentiment": log_prior_shift(dev_sentiment, sentiment[face], len(SENTIMENTS)),
        "emotion": log_prior_shift(dev_emotion, emotion[face], len(EMOTIONS)),
    }
    recipe = Recipe(epochs=epochs, learning_rate=2e-3, patience=5)
    torch.manual_seed(recipe.seed)
    model = VisionModel(dims, dropout=0.2)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    count = sum(p.numel() for p in model.parameters())
    print(f"{count:,} parameters, {len(faces):,} faces, {len(stickers)} stickers", flush=True)

    def batches(epoch: int) -> Iterator[Tensor]:
        order = torch.randperm(
            len(rows), generator=torch.Generator().manual_seed(recipe.seed + epoch)
        )
        yield from order.split(BATCH)

    def loss(batch: Tensor) -> Tensor:
        s, e, _ = model(augment(pixels[batch]))
        return F.cross_entropy(e, emotion[batch], label_smoothing=0.1) + F.cross_entropy(
            s, sentiment[batch], ignore_index=-1, label_smoothing=0.1
        )

    def validate() -> float:
        answer = (logits(model, dev_pixels)[1] + shift["emotion"]).argmax(-1)
        print(f"dev accuracy {(answer == dev_emotion).double().mean():.4f}", flush=True)
        return float(f1_score(dev_emotion, answer, average="macro"))

    fit(
        model,
        batches=batches,
        steps_per_epoch=math.ceil(len(rows) / BATCH),
        loss=loss,
        validate=validate,
        recipe=recipe,
        run_dir=run_dir,
    )
    calibration = calibrate(model, shift)
    checkpoint.save(
        out,
        dims,
        model.state_dict(),
        calibration=asdict(calibration),
        recipe={"epochs": epochs, "seed": recipe.seed},
    )


def calibrate(model: VisionModel, shift: dict[str, Tensor]) -> Calibration:
    """Temperatures of both heads, for faces on FER dev and for whole pictures on sticker dev."""
    temperature: dict[str, dict[str, float]] = {"sentiment": {}, "emotion": {}}
    for place, rows in zip(PLACES, (_all_stickers("dev"), fer_rows("dev")), strict=True):
        sentiment, emotion = logits(model, stack(load_items(rows)))
        if place == "face":
            sentiment, emotion = sentiment + shift["sentiment"], emotion + shift["emotion"]
        for head, values, target in (
            ("sentiment", sentiment, sentiment_targets(rows)),
            ("emotion", emotion, emotion_targets(rows)),
        ):
            if place == "no_face":
                values, target = _even_where_unlabelled(values, target)
            temperature[head][place] = min(fit_temperature(values, target), FLATTEST)
    return Calibration(temperature, {head: values.tolist() for head, values in shift.items()})


def _even_where_unlabelled(values: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Each row once per class: as its label, or where that is −1 as every class in turn.

    The mean over these rows is the cross-entropy against an even target for the unlabelled.
    """
    n, c = values.shape
    every = torch.arange(c).expand(n, c)
    labels = torch.where(target.unsqueeze(-1) < 0, every, target.unsqueeze(-1))  # (n, c)
    return values.repeat_interleave(c, dim=0), labels.flatten()


def predict(path: Path, items: Sequence[VisionItem]) -> tuple[np.ndarray, np.ndarray]:
    """The service's own reading of crops: log-probabilities (n, 3) and (n, 7)."""
    reader = VisionReader.load(path)
    readings = [
        reading
        for start in range(0, len(items), BATCH)
        for reading in reader.infer(items[start : start + BATCH])
    ]
    return (
        np.stack([reading.log_sentiment for reading in readings]),
        np.stack([reading.log_emotions for reading in readings]),
    )
