"""The voice recipe: a small Whisper-shaped encoder, and beside it the wide path (`voice_wide`).

Few speakers are the trouble: half of the clips are shown in another voice (`another_speaker`),
half over a noisy room or a telephone line; and how far each path is to be believed is learnt on
speakers that it did not hear.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

import weights
from modalities import checkpoint
from modalities.model import infer_all
from modalities.reading import stacked
from modalities.voice.infer import VoiceReader
from modalities.voice.model import VoiceDimensions, VoiceModel, collate, features
from modalities.voice.prepare import Segment, decode
from training import voice_wide
from training.adapt import adapt, merged
from training.augment import OTHER_VOICE, Augment, another_speaker, spec_augment
from training.calibrate import fit_pool
from training.clips import (
    Clip,
    allowed,
    clips,
    evened,
    head_loss,
    sentiment_weights,
    temperatures,
    uar,
)
from training.loop import Recipe, fingerprint, fit
from training.options import Options, is_published
from training.rows import Row, read_bytes
from training.voice_wide import Unheard
from training.whisper_head import train_head

BATCH = 32
SHARES = 1 / 2, 1 / 4, 1 / 4  # of a clip's `variants`: itself, augmented, by telephone
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
SCRATCH = Recipe(epochs=5, learning_rate=1.5e-3, patience=5)  # the encoder's
WIDE_SCRATCH = Recipe(epochs=14, learning_rate=1.5e-3, patience=14)


def recipe_of(options: Options, recipe: Recipe) -> Recipe:
    """`recipe` is that from scratch; from a checkpoint of ours it is another."""
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
    train_items, dev_items = (clips(rows, split, run_dir) for split in ("train", "dev"))
    model = start(options.base, dims)
    recipe = recipe_of(options, SCRATCH)
    made = variants(run_dir, train_items, model.dims)
    sampler = Sampler(train_items, made, recipe.seed)
    model.encoder = adapt(
        model.encoder,
        list(model.encoder.blocks),
        [model.encoder.conv1, model.encoder.conv2],
        options,
        recipe.epochs * len(sampler),
    )
    model.to(options.device).eval()
    dev_clips = [features(item.samples(), model.dims) for item in dev_items]
    class_weights = sentiment_weights(train_items, sampler.weights)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(train_items):,} clips")
    fit(
        nn.ModuleList([model.encoder, model.head]),
        batches=sampler.batches,
        steps_per_epoch=len(sampler),
        loss=lambda batch: loss(model, batch, class_weights),
        validate=lambda: dev_figure(model, dev_clips, dev_items),
        recipe=recipe,
        run_dir=run_dir,
        inputs=fingerprint([(r.data_set, r.content, r.split, r.emotion) for r in rows], options),
    )
    model.encoder = merged(model.encoder)
    heard = voice_wide.heard(made, SHARES)
    known = learn_wide(model, heard, train_items, recipe_of(options, WIDE_SCRATCH))
    temperature = weigh_paths(model, known, dev_clips, dev_items)
    checkpoint.save(
        out,
        model.dims,
        model.state_dict(),
        temperature=temperature,
        recipe={
            "sets": list(dict.fromkeys(item.data_set for item in train_items)),
            "options": asdict(options),
            "seed": recipe.seed,
        },
    )


def learn_wide(
    model: VoiceModel, heard: tuple[Tensor, Tensor], items: Sequence[Clip], recipe: Recipe
) -> list[Unheard]:
    """Teach the wide path of `model`; returns what its like answered out of fold."""
    assert model.wide is not None
    device = model.head.layer_weights.device
    untaught = model.wide.cpu()
    known = voice_wide.unheard(untaught, *heard, items, recipe)
    model.wide = voice_wide.learnt(untaught, *heard, items, recipe).to(device)
    model.dims = replace(model.dims, n_sets=model.wide.n_sets)
    return known


def weigh_paths(
    model: VoiceModel, known: Sequence[Unheard], clips: Sequence[Tensor], items: Sequence[Clip]
) -> dict[str, float]:
    """Scale the paths' logits so that their sums are the most probable for speakers that were not
    heard; returns the sum's temperatures.

    known         answers of the wide path out of fold; those to speakers come first
    clips, items  of `dev`

    `dev` alone would say too little of how sure to be: its speakers are few. Only the encoder,
    too slow to be trained for each fold, is weighed there, against the judges together, and the
    temperature is what these need, times what the encoder's part in the sum changes on `dev`.
    """
    assert model.wide is not None
    sentiment, emotions = path_logits(model, clips)
    judges = Unheard(items, sentiment[1:], emotions[1:])
    dev, *known = voice_wide.weigh(model.wide, [judges, *known])
    both_sentiment = torch.stack([sentiment[0], dev.sentiment.sum(0)])
    both_emotions = torch.stack([emotions[0], dev.emotions.sum(0)])
    for layer, both, target in (
        (model.head.sentiment, both_sentiment, [item.sentiment for item in items]),
        (model.head.emotions, allowed(both_emotions, items), [item.emotion for item in items]),
    ):
        ours, others = fit_pool(both, torch.tensor(target), torch.ones(len(items))).tolist()
        for parameter in layer.parameters():
            parameter.data *= ours / others
    sentiment, emotions = path_logits(model, clips)
    whole = temperatures(sentiment.sum(0), emotions.sum(0), items)
    of_dev = temperatures(*dev.summed())
    of_all = temperatures(*voice_wide.joined([dev, *known[:1]]).summed())
    return {head: of_all[head] * whole[head] / of_dev[head] for head in whole}


def start(base: str | None, dims: VoiceDimensions) -> VoiceModel:
    """The model to train: random, the embedded one, or that of a file of ours."""
    if base is None:
        torch.manual_seed(SCRATCH.seed)
        model = VoiceModel(dims, dropout=0.1, wide_dropout=0.5)
        torch.manual_seed(SCRATCH.seed)
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
    """Frames (n_inputs, t), fp16, of each clip: itself, augmented, by telephone; made once."""
    shape = dims.n_mels, dims.mel_stride, dims.n_ctx, dims.n_inputs
    key = fingerprint([(len(item.wave), item.start, item.end) for item in items], shape)
    augment, made = Augment(), []
    for name, changes in {
        "augmented": (None, augment),
        "telephone": (augment.telephone,),
    }.items():
        path = run_dir / f"{name}-{key[:12]}.pt"
        if not path.exists():
            torch.save(changed(items, changes, dims), path)
        made.append(torch.load(path, weights_only=True))
    return [one + other for one, other in zip(*made, strict=True)]


def changed(
    items: Sequence[Clip],
    changes: Sequence[Callable[[Tensor], Tensor] | None],
    dims: VoiceDimensions,
) -> list[list[Tensor]]:
    """Frames of each clip after each of the changes.

    A clip is cut at random points of the silence around the speech: a segment from the VAD has
    little of it, a whole clip all of its own.
    """
    torch.manual_seed(0)
    made: list[list[Tensor]] = []
    for item in tqdm(items, desc="augment", mininterval=10):
        made.append([])
        for change in changes:
            begin = int(torch.randint(0, item.start + 1, ()))
            end = int(torch.randint(item.end, len(item.wave) + 1, ()))
            wave = item.samples(begin, max(end, begin + 1))
            made[-1].append(features(change(wave) if change else wave, dims).half())
    return made


class Sampler:
    """Batches with sets and labels evened out (`clips.evened`)."""

    def __init__(
        self, items: Sequence[Clip], variants: Sequence[Sequence[Tensor]], seed: int
    ) -> None:
        self.items, self.variants, self.seed = items, variants, seed
        self.weights = evened(items)

    def __len__(self) -> int:
        return max(1, len(self.items) // BATCH)

    def batches(self, epoch: int) -> Iterator[tuple[list[Clip], list[Tensor]]]:
        """Clips and a variant of each, drawn by SHARES; similar lengths together."""
        rng = random.Random(self.seed + epoch)
        drawn = rng.choices(range(len(self.items)), self.weights, k=len(self) * BATCH)
        drawn.sort(key=lambda i: len(self.items[i].wave) * (1 + 0.2 * rng.random()))
        groups = [drawn[start : start + BATCH] for start in range(0, len(drawn), BATCH)]
        rng.shuffle(groups)
        for group in groups:
            yield (
                [self.items[i] for i in group],
                [rng.choices(self.variants[i], SHARES)[0] for i in group],
            )


MASK = spec_augment()


def loss(model: VoiceModel, batch: tuple[list[Clip], list[Tensor]], weights: Tensor) -> Tensor:
    """Of the encoder's path by itself: it may not rest on the others."""
    items, variants = batch
    n_mels, device = model.dims.n_mels, model.head.layer_weights.device
    shown = [
        another_speaker(variant, n_mels) if torch.rand(()) < OTHER_VOICE else variant
        for variant in (variant.float() for variant in variants)
    ]
    frames, lengths = collate([cropped(variant) for variant in shown])
    keep = torch.stack([MASK(torch.ones(1, n_mels, frames.shape[-1]))[0] for _ in items])
    sentiment, emotions, _ = model.listen(frames.to(device), lengths.to(device), keep.to(device))
    return head_loss(sentiment, emotions, items, weights)


def cropped(frames: Tensor) -> Tensor:
    """A stretch of N_CROP at most, from torch's generator."""
    begin = int(torch.randint(0, max(0, frames.shape[1] - N_CROP) + 1, ()))
    return frames[:, begin : begin + N_CROP]


def path_logits(model: VoiceModel, clips: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """(paths, n, 3) sentiment and (paths, n, 7) emotion logits of n clips' frames."""
    return _read(model, clips, lambda *batch: model.paths(*batch)[0])


@torch.inference_mode()
def _read(
    model: VoiceModel,
    clips: Sequence[Tensor],
    read: Callable[[Tensor, Tensor], list[tuple[Tensor, Tensor]]],
) -> tuple[Tensor, Tensor]:
    device = model.head.layer_weights.device
    order = sorted(range(len(clips)), key=lambda i: clips[i].shape[1])
    found: tuple[list[Tensor], list[Tensor]] = ([], [])
    for begin in range(0, len(order), BATCH):
        frames, lengths = collate([clips[i] for i in order[begin : begin + BATCH]])
        paths = read(frames.to(device), lengths.to(device))
        for kept, parts in zip(found, zip(*paths, strict=True), strict=True):
            kept.append(torch.stack(parts).float().cpu())
    back = torch.tensor(order).argsort()
    sentiment, emotions = (torch.cat(parts, 1)[:, back] for parts in found)
    return sentiment, emotions


def dev_figure(model: VoiceModel, clips: Sequence[Tensor], items: Sequence[Clip]) -> float:
    """Mean of the sets' UAR by the encoder's path alone."""
    _, emotions = _read(model, clips, lambda *batch: [model.listen(*batch)[:2]])
    figures = uar(emotions[0], items)
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
