"""The vision recipe: faces and pictures of named sets or manifests, fine-tuned from a base.

FER2013's rows are crops of faces; a manifest's pictures are shown to the model as the service
would, by their face where one is found. Whole pictures get temperatures of their own; a model that
was taught none of them says nothing of them.

From FaceRes the lowest blocks, which know edges and features, stay as they are, and the heads learn
faster than the rest. Pairs of pictures are mixed (Zhang et al., "mixup: beyond empirical risk
minimization", ICLR 2018). Where classes are uneven, each weighs the inverse square root of its
frequency in the loss; the answers get the natural shares of `dev` back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from modalities import checkpoint
from modalities.device import autocast
from modalities.image.decode import ImageLimits, decode
from modalities.image.face import Face, FaceFinder
from modalities.image.infer import PLACES, Calibration, VisionItem, VisionReader
from modalities.image.model import VisionModel, layers_of
from modalities.image.prepare import crop
from modalities.reading import EMOTIONS, SENTIMENTS, stacked
from training.adapt import adapt, merged, trained_share
from training.calibrate import fit_temperature
from training.loop import Recipe, fingerprint, fit
from training.options import Options, is_published
from training.precision import fastest
from training.rows import Row, held_emotions, read_bytes
from training.vision_base import start

FER = "fer"
BATCH = 64
SMOOTHING = 0.1  # of the labels, Szegedy et al., CVPR 2016
MIXING = 0.2  # both parameters of the Beta distribution that a pair's shares are drawn from
FROM_FACERES = Recipe(epochs=12, learning_rate=5e-4, patience=5)
KEPT = 8  # of FaceRes's 26 convolutions above the first
HEADS_RATE = 3.0  # times the encoder's
CONVOLUTIONS = ("mobilenet_v1", "resnet")
CLASSES = {"sentiment": SENTIMENTS, "emotion": EMOTIONS}


def recipe_of(options: Options) -> Recipe:
    """From FaceRes; from a checkpoint of ours; from a published one; with adapters."""
    recipe = FROM_FACERES
    if options.base is not None:
        rate = 5e-5 if is_published(options.base) else 5e-4
        recipe = replace(recipe, epochs=6, learning_rate=1e-3 if options.peft else rate)
    return recipe.chosen(options)


def items_of(rows: Sequence[Row], size: int) -> Iterator[VisionItem]:
    """The rows' pictures as the service crops them; raises InputError on one it cannot read."""
    finder = FaceFinder()
    for row in rows:
        pixels = decode(read_bytes(row.content), ImageLimits()).pixels
        height, width = pixels.shape[:2]
        if row.data_set == FER:
            yield crop(pixels, Face((0, 0, width, height)), size)
        else:
            yield crop(pixels, finder.find(pixels), size)


def targets(rows: Sequence[Row], head: str) -> Tensor:
    """(n,) indices in the head's classes ("sentiment", "emotion"); −1 without a label."""
    return torch.tensor([getattr(row, f"{head}_index") for row in rows])


class Pictures:
    """Rows with their crops: pixels (n, 3, s, s) uint8 and what is said of them."""

    def __init__(self, rows: Sequence[Row], size: int) -> None:
        items = items_of(rows, size)
        self.rows = rows
        self.pixels = torch.empty(len(rows), 3, size, size, dtype=torch.uint8)
        self.face = torch.zeros(len(rows), dtype=torch.bool)
        for index, item in enumerate(tqdm(items, total=len(rows), desc="crop", mininterval=10)):
            self.pixels[index] = torch.from_numpy(item.pixels).permute(2, 0, 1)
            self.face[index] = item.quality.face > 0
        self.target = {head: targets(rows, head) for head in CLASSES}  # (n,) each

    def counts(self, head: str, face: bool = False) -> Tensor:
        """(c,) labels of each class, or of those on faces."""
        target = self.target[head]
        kept = target[(target >= 0) & self.face] if face else target[target >= 0]
        return torch.bincount(kept, minlength=len(CLASSES[head])).double()


def augment(pixels: Tensor) -> Tensor:
    """Flips, turns, shifts, zooms, gamma and erased patches: (b, 3, s, s) → the same, float."""
    b, _, _, s = pixels.shape
    rand = partial(torch.rand, device=pixels.device)
    turn = (rand(b) - 0.5) * math.radians(24)
    zoom = 0.8 + 0.3 * rand(b)  # under 1 magnifies: a detector's box is tighter than FER's
    flip = 1.0 - 2.0 * (rand(b) < 0.5)
    shift = (rand(b, 2) - 0.5) * 0.24
    rows = torch.stack([turn.cos() * flip, -turn.sin(), turn.sin() * flip, turn.cos()], -1)
    affine = torch.cat([rows.view(b, 2, 2) * zoom.view(b, 1, 1), shift.unsqueeze(-1)], -1)
    grid = F.affine_grid(affine, list(pixels.shape), align_corners=False)  # (b, s, s, 2)
    moved = F.grid_sample(
        pixels.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    gamma = (0.7 + 0.7 * rand(b)).view(b, 1, 1, 1)
    moved = 255 * (moved / 255).clamp(1e-4, 1) ** gamma
    # Random erasing (Zhong et al., AAAI 2020): one patch of 15–40 % of the side, half the time.
    side = (s * (0.15 + 0.25 * rand(b, 2))) * (rand(b, 1) < 0.5)
    corner = rand(b, 2) * (s - side)
    axis = torch.arange(s, device=pixels.device)
    inside = (axis >= corner.unsqueeze(-1)) & (axis < (corner + side).unsqueeze(-1))  # (b, 2, s)
    patch = (inside[:, 0].unsqueeze(2) & inside[:, 1].unsqueeze(1)).unsqueeze(1)  # (b, 1, s, s)
    return moved.masked_fill(patch, 128.0)


def mixed(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each picture (b, 3, s, s) blended with another of its batch; the other's index (b,) and the
    first one's share (b,)."""
    beta = torch.distributions.Beta(MIXING, MIXING)
    share = beta.sample((len(pixels),)).to(pixels.device)
    other = torch.randperm(len(pixels), device=pixels.device)
    first = share.view(-1, 1, 1, 1)
    return first * pixels + (1 - first) * pixels[other], other, share


def class_weights(counts: Tensor) -> Tensor:
    """(c,) counts → weights ∝ 1/√count whose mean over the items is 1; 0 for an absent class."""
    weights = torch.where(counts > 0, counts.clamp_min(1).rsqrt(), 0)
    return weights * counts.sum() / (weights * counts).sum().clamp_min(1e-9)


def cross_entropy(logits: Tensor, target: Tensor, held: Tensor, weights: Tensor) -> Tensor:
    """Smoothed, weighted cross-entropy (b,) over the classes that each row's set holds; 0 for a row
    without a label.

    logits (b, c), target (b,) with −1 for none, held (b, c) bool, weights (c,).
    """
    log_p = logits.float().masked_fill(~held, -1e4).log_softmax(-1).masked_fill(~held, 0.0)
    known = target.clamp_min(0)
    even = held / held.sum(-1, keepdim=True).clamp_min(1)
    soft = (1 - SMOOTHING) * F.one_hot(known, logits.shape[1]) + SMOOTHING * even  # (b, c)
    return -(soft * log_p).sum(-1) * weights[known] * (target >= 0)


def logits(
    model: VisionModel, pixels: Tensor, precision: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Logits (n, 3) and (n, 7) by head, as the service has them, on the CPU."""
    device = next(model.parameters()).device
    with torch.inference_mode(), autocast(device, precision):
        parts = [model.both_ways(chunk.to(device)) for chunk in pixels.split(BATCH)]
    return {
        head: torch.cat([part[place].cpu().float() for part in parts])
        for place, head in enumerate(CLASSES)
    }


def log_prior_shift(natural: Tensor, trained: Tensor) -> Tensor:
    """log p(natural) − log p(trained) of counts (c,): turns one prior's logits into the other's.

    Saerens et al., "Adjusting the outputs of a classifier to new a priori probabilities",
    Neural Computation 14 (2002), eq. 2.4.
    """
    first, second = ((n + 1).log() - (n + 1).sum().log() for n in (natural, trained))
    return (first - second).float()


def train(rows: Sequence[Row], run_dir: Path, out: Path, options: Options) -> None:
    """Train on the rows of `train`, choose and calibrate on those of `dev`, write `out`.

    A run that was killed resumes in `run_dir`. Raises UnavailableError where the base cannot be
    had, InputError on options that do not fit it.
    """
    recipe = recipe_of(options)
    if options.base is None and not options.freeze:
        options = replace(options, freeze=KEPT)
    torch.manual_seed(recipe.seed)
    model = start(options.base, dropout=0.2)
    size = model.dims.size
    known = [row for row in rows if row.emotion or row.sentiment]
    train_set = Pictures([row for row in known if row.split == "train"], size)
    dev = Pictures([row for row in known if row.split == "dev"], size)
    held_by_set = held_emotions(train_set.rows)
    held = {
        "sentiment": torch.ones(len(train_set.rows), len(SENTIMENTS), dtype=torch.bool),
        "emotion": torch.tensor([held_by_set[row.data_set] for row in train_set.rows]),
    }
    weights = {head: class_weights(train_set.counts(head)).float() for head in CLASSES}
    # Without faces in `dev` there is no natural prior to correct for.
    shift = {
        head: log_prior_shift(natural, train_set.counts(head, face=True) * weights[head])
        if (natural := dev.counts(head, face=True)).any()
        else torch.zeros(len(classes))
        for head, classes in CLASSES.items()
    }
    steps = math.ceil(len(train_set.rows) / BATCH)
    layers, embeddings = layers_of(model.backbone)
    model.backbone = adapt(model.backbone, layers, embeddings, options, recipe.epochs * steps)
    model.to(options.device)
    if model.dims.config["model_type"] in CONVOLUTIONS:  # which like it so on the CPU
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        train_set.pixels = train_set.pixels.contiguous(memory_format=torch.channels_last)
    print(
        f"{sum(p.numel() for p in model.parameters()):,} parameters, {trained_share(model):.1%} "
        f"trained, {len(train_set.rows):,} pictures, {int(train_set.face.sum()):,} of faces",
        flush=True,
    )

    def batches(epoch: int) -> Iterator[Tensor]:
        order = torch.randperm(
            len(train_set.rows), generator=torch.Generator().manual_seed(recipe.seed + epoch)
        )
        yield from order.split(BATCH)

    def loss(batch: Tensor) -> Tensor:
        """The mean over the batch, not over its labelled rows: a set counts by its rows."""
        pixels, other, share = mixed(augment(train_set.pixels[batch].to(options.device)))
        total = torch.zeros((), device=pixels.device)
        for head, answer in zip(CLASSES, model(pixels)[:2], strict=True):
            for rows_of, weight in ((batch, share), (batch[other.cpu()], 1 - share)):
                each = cross_entropy(
                    answer,
                    train_set.target[head][rows_of].to(answer.device),
                    held[head][rows_of].to(answer.device),
                    weights[head].to(answer.device),
                )
                total = total + (weight * each).mean()
        return total

    with fastest(model.backbone) as precision:
        fit(
            model,
            batches=batches,
            steps_per_epoch=steps,
            loss=loss,
            validate=lambda: dev_figure(model, dev, shift, precision),
            recipe=recipe,
            run_dir=run_dir,
            inputs=fingerprint(rows, replace(options, device="")),
            precision=precision,
            rate_of=lambda name: 1.0 if name.startswith("backbone.") else HEADS_RATE,
        )
    calibration = calibrate(model, dev, shift)
    model.backbone = merged(model.backbone)
    checkpoint.save(
        out,
        model.dims,
        model.state_dict(),
        calibration=asdict(calibration),
        recipe={
            "sets": list(held_by_set),
            "base": options.base,
            "freeze": options.freeze,
            "peft": options.peft,
            "epochs": recipe.epochs,
            "seed": recipe.seed,
        },
    )


def dev_figure(
    model: VisionModel, dev: Pictures, shift: dict[str, Tensor], precision: torch.dtype
) -> float:
    """Macro-F1 of the emotions, of the sentiments where there are none."""
    head = "emotion" if (dev.target["emotion"] >= 0).any() else "sentiment"
    values = logits(model, dev.pixels, precision)[head] + shift[head] * dev.face.unsqueeze(-1)
    truth = dev.target[head]
    classes = truth[truth >= 0].unique()
    answer = classes[values[truth >= 0][:, classes].argmax(-1)]
    figure = float(f1_score(truth[truth >= 0], answer, average="macro"))
    accuracy = float((answer == truth[truth >= 0]).double().mean())
    print(f"dev {head} macro-F1 {figure:.4f}, accuracy {accuracy:.4f}", flush=True)
    return figure


def calibrate(model: VisionModel, dev: Pictures, shift: dict[str, Tensor]) -> Calibration:
    """Temperatures of both heads, for faces and for whole pictures as far as `dev` has them.

    A head without labels in a place takes its temperature of the other place, or is left as it is.
    """
    answers = logits(model, dev.pixels)
    temperature: dict[str, dict[str, float]] = {}
    for head, values in answers.items():
        found = {}
        for place, here in zip(PLACES, (~dev.face, dev.face), strict=True):
            kept = here & (dev.target[head] >= 0)
            if kept.any():
                shown = values[kept] + shift[head] * dev.face[kept].unsqueeze(-1)
                found[place] = fit_temperature(shown, dev.target[head][kept])
        other = next(iter(found.values()), 1.0)
        taught = [p for p, here in zip(PLACES, (~dev.face, dev.face), strict=True) if here.any()]
        temperature[head] = {place: found.get(place, other) for place in taught}
    return Calibration(temperature, {head: values.tolist() for head, values in shift.items()})


def predict(path: Path, rows: Sequence[Row]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The service's own reading of pictures: log-probabilities (n, 3) and (n, 7)."""
    reader = VisionReader.load(path)
    readings = []
    for start_row in range(0, len(rows), BATCH):
        chunk = rows[start_row : start_row + BATCH]
        readings += reader.infer(list(items_of(chunk, reader.dims.size)))
    return stacked(readings)
