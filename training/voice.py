"""The voice recipe: a small Whisper-shaped encoder and a wide path beside it, trained together.

Few speakers are the trouble: half of the clips are shown in another voice (`another_speaker`), a
third over a noisy room or a telephone line. More of either costs accuracy on clean speech.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

import weights
from modalities import checkpoint
from modalities.model import infer_all
from modalities.reading import stacked
from modalities.voice.infer import VoiceReader
from modalities.voice.model import VoiceDimensions, VoiceModel, collate, features, summed, within
from modalities.voice.prepare import Segment, decode
from modalities.voice.prosody import functionals
from training.adapt import adapt, merged
from training.augment import Augment, another_speaker, spec_augment
from training.calibrate import fit_pool
from training.clips import Clip, allowed, clips, head_loss, sentiment_weights, temperatures, uar
from training.loop import Recipe, fingerprint, fit
from training.options import Options, is_published
from training.rows import Row, read_bytes
from training.whisper_head import train_head

T = TypeVar("T")
BATCH = 32
SHARES = 2 / 3, 1 / 3  # of a clip's `variants`: itself, augmented
OTHER_VOICE = 0.5  # share shown as `another_speaker`
N_CROP = 200  # frames, 4 s: the longest that is shown at once
DIMS = VoiceDimensions(
    n_mels=80,
    n_ctx=750,
    n_state=96,
    n_head=3,
    n_layer=2,
    mel_stride=2,
    normalised=True,
    n_wide=256,
)
SCRATCH = Recipe(epochs=14, learning_rate=1.5e-3, patience=14)


def recipe_of(options: Options) -> Recipe:
    """From scratch, or from a checkpoint of ours."""
    recipe = SCRATCH
    if options.base is not None:
        recipe = replace(recipe, epochs=8, learning_rate=1e-3 if options.peft else 3e-4)
    return recipe.chosen(options)


def train(
    rows: Sequence[Row],
    run_dir: Path,
    out: Path,
    options: Options,
    dims: VoiceDimensions = DIMS,
) -> None:
    """Train on the `train` rows, choose and calibrate on `dev`, write the checkpoint `out`.

    A base that is no file of ours names a Whisper checkpoint: `out` is then an emotion head on
    its frozen states. A run that was killed resumes in `run_dir`. Raises UnavailableError where
    the base cannot be had, InputError where it has no layers to freeze or adapt as asked.
    """
    if options.base is not None and is_published(options.base):
        train_head(rows, run_dir, out, options)
        return
    model = start(options.base, dims)
    train_items, dev_items = (clips(rows, split, run_dir) for split in ("train", "dev"))
    recipe = recipe_of(options)
    sampler = Sampler(train_items, variants(run_dir, train_items, model.dims), SHARES, recipe.seed)
    if options.base is None and model.wide is not None:
        standardise(model, [frames for made in sampler.variants for frames in made])
    model.encoder = adapt(
        model.encoder,
        list(model.encoder.blocks),
        [model.encoder.conv1, model.encoder.conv2],
        options,
        recipe.epochs * len(sampler),
    )
    model.to(options.device)
    class_weights = sentiment_weights(train_items, sampler.weights)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(train_items):,} clips")
    fit(
        model,
        batches=sampler.batches,
        steps_per_epoch=len(sampler),
        loss=lambda batch: loss(model, batch, class_weights),
        validate=lambda: dev_figure(model, dev_items),
        recipe=recipe,
        run_dir=run_dir,
        inputs=fingerprint([(r.data_set, r.content, r.split, r.emotion) for r in rows], options),
    )
    model.encoder = merged(model.encoder)
    if model.wide is not None:
        weigh_paths(model, dev_items)
    checkpoint.save(
        out,
        model.dims,
        model.state_dict(),
        temperature=temperatures(*logits(model, dev_items), dev_items),
        recipe={
            "sets": list(dict.fromkeys(item.data_set for item in train_items)),
            "options": asdict(options),
            "seed": recipe.seed,
        },
    )


def start(base: str | None, dims: VoiceDimensions) -> VoiceModel:
    """The model to train: random, the embedded one, or that of a file of ours."""
    if base is None:
        torch.manual_seed(SCRATCH.seed)
        model = VoiceModel(dims, dropout=0.1, wide_dropout=0.5)
        # Let the sound speak louder than its position, which says little of an emotion.
        for conv in (model.encoder.conv1, model.encoder.conv2):
            torch.nn.init.kaiming_normal_(conv.weight)
        model.encoder.positional_embedding *= 0.1
        return model
    saved = checkpoint.load(weights.path_of("voice") if base == "embedded" else Path(base))
    model = VoiceModel(VoiceDimensions(**saved.dims), dropout=0.1, wide_dropout=0.5)
    model.load_state_dict(saved.state)
    return model


def variants(run_dir: Path, items: Sequence[Clip], dims: VoiceDimensions) -> list[list[Tensor]]:
    """Frames (n_inputs, t), fp16, of each clip: itself and augmented; made once.

    Each is cut at random points of the silence around the speech: a segment from the VAD has
    little of it, a whole clip all of its own.
    """
    key = fingerprint([(len(item.wave), item.start, item.end) for item in items], dims)
    path = run_dir / f"variants-{key[:12]}.pt"
    if not path.exists():
        torch.manual_seed(0)
        augment = Augment()
        made: list[list[Tensor]] = []
        for item in tqdm(items, desc="augment", mininterval=10):
            made.append([])
            for change in (None, augment):
                begin = int(torch.randint(0, item.start + 1, ()))
                end = int(torch.randint(item.end, len(item.wave) + 1, ()))
                wave = item.samples(begin, max(end, begin + 1))
                made[-1].append(features(change(wave) if change else wave, dims).half())
        torch.save(made, path)
    kept: list[list[Tensor]] = torch.load(path, weights_only=True)
    return kept


@torch.no_grad()
def standardise(model: VoiceModel, frames: Sequence[Tensor]) -> None:
    """Give the wide path the mean and deviation of the functionals over `frames`."""
    assert model.wide is not None
    values = functionals_of(sorted(frames, key=lambda item: item.shape[1]))
    model.wide.mean.copy_(values.mean(0))
    model.wide.deviation.copy_(values.std(0, correction=0).clamp(min=1e-2))


def functionals_of(frames: Sequence[Tensor]) -> Tensor:
    """Functionals (n, f) of n items' frames."""
    order = sorted(range(len(frames)), key=lambda i: frames[i].shape[1])
    found = []
    for begin in range(0, len(order), BATCH):
        batch, lengths = collate([frames[i].float() for i in order[begin : begin + BATCH]])
        found.append(functionals(batch, within(lengths, batch.shape[-1])))
    values = torch.cat(found)
    return torch.empty_like(values).index_copy_(0, torch.tensor(order), values)


class Sampler(Generic[T]):
    """Batches with sets and labels evened out: a cell of n clips is drawn as √n."""

    def __init__(
        self,
        items: Sequence[Clip],
        variants: Sequence[Sequence[T]],
        shares: Sequence[float],
        seed: int,
    ) -> None:
        self.items, self.variants, self.shares, self.seed = items, variants, shares, seed
        cells = Counter((item.data_set, item.emotion) for item in items)
        self.weights = [cells[item.data_set, item.emotion] ** -0.5 for item in items]

    def __len__(self) -> int:
        return max(1, len(self.items) // BATCH)

    def batches(self, epoch: int) -> Iterator[tuple[list[Clip], list[T]]]:
        """Clips and a variant of each, drawn by `shares`; similar lengths together."""
        rng = random.Random(self.seed + epoch)
        drawn = rng.choices(range(len(self.items)), self.weights, k=len(self) * BATCH)
        drawn.sort(key=lambda i: len(self.items[i].wave) * (1 + 0.2 * rng.random()))
        groups = [drawn[start : start + BATCH] for start in range(0, len(drawn), BATCH)]
        rng.shuffle(groups)
        for group in groups:
            yield (
                [self.items[i] for i in group],
                [rng.choices(self.variants[i], self.shares)[0] for i in group],
            )


MASK = spec_augment()


def loss(model: VoiceModel, batch: tuple[list[Clip], list[Tensor]], weights: Tensor) -> Tensor:
    """Of each path by itself and of their sum: neither may rest on the other."""
    items, variants = batch
    n_mels, device = model.dims.n_mels, model.head.layer_weights.device
    shown = [
        another_speaker(variant, n_mels) if torch.rand(()) < OTHER_VOICE else variant
        for variant in (variant.float() for variant in variants)
    ]
    frames, lengths = collate([cropped(variant) for variant in shown])
    keep = torch.stack([MASK(torch.ones(1, n_mels, frames.shape[-1]))[0] for _ in items])
    paths, _ = model.paths(frames.to(device), lengths.to(device), keep.to(device))
    if len(paths) > 1:
        paths.append(summed(paths))
    return torch.stack([head_loss(*path, items, weights) for path in paths]).sum()


def cropped(frames: Tensor) -> Tensor:
    """A stretch of N_CROP at most, from torch's generator."""
    begin = int(torch.randint(0, max(0, frames.shape[1] - N_CROP) + 1, ()))
    return frames[:, begin : begin + N_CROP]


def weigh_paths(model: VoiceModel, items: Sequence[Clip]) -> None:
    """Scale each path's logits so that on held-out clips the sums are the most probable.

    The weights go into the last layers: the encoder learns its speakers by heart soonest, and
    the sum must not believe it as training did.
    """
    assert model.wide is not None
    sentiment, emotions = path_logits(model, items)  # (paths, n, classes)
    last = [(model.head.sentiment, model.head.emotions), (*model.wide.all,), (*model.wide.robust,)]
    ones = torch.ones(len(items))
    targets = ([item.sentiment for item in items], [item.emotion for item in items])
    for head, found in enumerate((sentiment, allowed(emotions, items))):
        weights = fit_pool(found, torch.tensor(targets[head]), ones)
        for layers, weight in zip(last, weights.tolist(), strict=True):
            for parameter in layers[head].parameters():
                parameter.data *= weight


def logits(model: VoiceModel, items: Sequence[Clip]) -> tuple[Tensor, Tensor]:
    """(n, 3) sentiment and (n, 7) emotion logits of whole clips, in the order of `items`."""
    sentiment, emotions = path_logits(model, items)
    return sentiment.sum(0), emotions.sum(0)


@torch.inference_mode()
def path_logits(model: VoiceModel, items: Sequence[Clip]) -> tuple[Tensor, Tensor]:
    """`logits` of each path: (paths, n, 3) and (paths, n, 7)."""
    device = model.head.layer_weights.device
    order = sorted(range(len(items)), key=lambda i: len(items[i].wave))
    found: tuple[list[Tensor], list[Tensor]] = ([], [])
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        frames, lengths = collate([features(items[i].samples(), model.dims) for i in rows])
        paths, _ = model.paths(frames.to(device), lengths.to(device))
        for kept, parts in zip(found, zip(*paths, strict=True), strict=True):
            kept.append(torch.stack(parts).float().cpu())
    back = torch.tensor(order).argsort()
    sentiment, emotions = (torch.cat(parts, 1)[:, back] for parts in found)
    return sentiment, emotions


def dev_figure(model: VoiceModel, items: Sequence[Clip]) -> float:
    """Mean of the sets' UAR."""
    figures = uar(logits(model, items)[1], items)
    print("dev UAR: " + ", ".join(f"{n} {f:.3f}" for n, f in figures.items()), flush=True)
    return float(np.mean(list(figures.values())))


def predict(path: Path, rows: Sequence[Row]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The service's own reading of whole clips, one segment each.

    Returns calibrated log-probabilities (n, 3) over SENTIMENTS and (n, 7) over EMOTIONS.
    """
    waves = (decode(read_bytes(row.content), max_duration_s=60) for row in rows)
    return predict_waves(path, [wave.samples for wave in waves])


def predict_waves(
    path: Path, waves: Sequence[NDArray[np.float32]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """`predict` of samples (n,) at 16 kHz."""
    reader = VoiceReader.load(path)
    segments = [Segment(wave, 0.0, len(wave) / 16_000, 0.0) for wave in waves]
    return stacked([result.reading for result in infer_all(reader, segments, BATCH)])
