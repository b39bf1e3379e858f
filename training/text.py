"""The text recipe: multilingual E5 with two heads, fine-tuned over all text sets at once.

Every set teaches the heads it has labels for, each through a softmax over the classes that its
labels can say (EWECT has no disgust: it must not teach that nothing is). The shipped weights are
made in stages, each with a schedule of its own: what people feel in general, then the project's
own messages and conversations of customers beside it, all of it on terms that allow commercial use;
then every set there is, twice; then, at half the rate, more messages of customers, about more
things. With `permissive` these last three are left out.
"""

from __future__ import annotations

import copy
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from tokenizers import Tokenizer
from torch import Tensor

from modalities import checkpoint
from modalities.errors import InputError, UnavailableError
from modalities.model import infer_all
from modalities.reading import EMOTIONS, SENTIMENTS, stacked
from modalities.text.infer import TextReader
from modalities.text.model import TextModel, pad
from modalities.text.prepare import PreparedText, Window
from training import e5
from training.adapt import adapt, merged, trained_share
from training.calibrate import fit_temperature
from training.loop import Recipe, fingerprint, fit
from training.options import Options, is_published
from training.precision import fastest
from training.rows import Row
from training.sets import DRAWN, TERMS
from training.text_base import layers_of, start
from training.text_examples import (
    Batch,
    Example,
    batches,
    class_weights,
    examples,
    labels,
    labels_said,
    sample,
)

SEED = 20261130


class Stage(NamedTuple):
    """How long and how hard a stage trains; what a round draws is in `training.sets.DRAWN`."""

    rounds: int
    learning_rate: float = 1e-4
    kept: float = 0.0  # share of the weights before it in the mean that it ends with


STAGES: Mapping[str, Stage] = {
    "general": Stage(5),
    "customers": Stage(8),
    "everything": Stage(8),
    "longer": Stage(7),
    # The mean forgets less of the other sets (Wortsman et al., CVPR 2022, section 3).
    "broader": Stage(5, 5e-5, kept=0.5),
}
BEYOND_COMMERCIAL = ("everything", "longer", "broader")
SHIPPED = Recipe(epochs=1, learning_rate=1, weight_decay=0.01, patience=99, seed=SEED)
# Of an encoder 768 wide; narrower ones take larger steps (Yang et al., "Tensor programs V", 2021).
FINE_TUNING = Recipe(epochs=4, learning_rate=4e-5, patience=2, seed=SEED)
ADAPTERS = Recipe(epochs=20, learning_rate=1e-3, patience=4, seed=SEED)
LAYER_DECAY = 0.92  # of the learning rate, a layer down
HEAD_RATE = 3.0
FROZEN = 3  # lowest layers of the shipped encoder that keep E5's weights on a CPU
SMOOTHING = 0.05  # of the labels, Szegedy et al., CVPR 2016
DEV_ROWS = 150  # of each set, to judge a round by
CALIBRATION_ROWS = 1000

Logits = tuple[Tensor, Tensor]  # sentiments (n, 3) and emotions (n, 7)


def train(rows: Sequence[Row], run_dir: Path, out: Path, options: Options) -> None:
    """Train on the `train` rows, choose and calibrate on `dev`, write the checkpoint `out`.

    Raises InputError where a split has no labelled row, and what `text_base.start` raises.
    """
    learned, judged = ([row for row in rows if row.split == split] for split in ("train", "dev"))
    model, tokenizer = start(options.base, SEED)
    said = labels_said(rows)
    train_items, dev_items = (
        examples(part, said, tokenizer, model.dims) for part in (learned, judged)
    )
    if not train_items or not dev_items:
        raise InputError("no row with a label of ours in train, or none in dev", "data")
    model.to(options.device)
    if options.base is None and all(item.data_set in DRAWN for item in train_items):
        made = fit_stages(model, tokenizer, train_items, dev_items, run_dir, options)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, out)
        return
    recipe = ADAPTERS if options.peft else FINE_TUNING
    encoder: Any = model.encoder
    rate = recipe.learning_rate * 768 / encoder.config.hidden_size
    recipe = replace(recipe, learning_rate=rate).chosen(options)
    fit_model(model, train_items, dev_items, {}, recipe, run_dir, options)
    calibrate(model, sample(dev_items, CALIBRATION_ROWS, SEED))
    save(out, model, tokenizer, train_items, options)


def fit_stages(
    model: TextModel,
    tokenizer: Tokenizer,
    train_items: Sequence[Example],
    dev_items: Sequence[Example],
    run_dir: Path,
    options: Options,
) -> Path:
    """Go through STAGES; each leaves a calibrated checkpoint, and the last one's is returned."""
    if options.device == "cpu" and not options.freeze:
        options = replace(options, freeze=FROZEN)
    made = run_dir
    for stage, (rounds, rate, kept) in STAGES.items():
        counts = {name: getattr(drawn, stage) for name, drawn in DRAWN.items()}
        learned, judged = (
            [i for i in part if counts[i.data_set]] for part in (train_items, dev_items)
        )
        # The last stages are there for the sets whose terms are narrower than the others'.
        only_commercial = all(TERMS[item.data_set].commercial for item in learned)
        if not learned or (stage in BEYOND_COMMERCIAL and only_commercial):
            continue
        recipe = replace(SHIPPED, epochs=rounds, learning_rate=rate).chosen(options)
        before = copy.deepcopy(model) if kept else model
        fit_model(model, learned, judged, counts, recipe, run_dir / stage, options)
        with torch.no_grad():
            for now, then in zip(model.parameters(), before.parameters(), strict=True):
                now.lerp_(then, kept)
        calibrated = copy.deepcopy(model)
        calibrate(calibrated, sample(judged, CALIBRATION_ROWS, SEED))
        made = run_dir / f"{stage}.safetensors"
        save(made, calibrated, tokenizer, learned, options)
    return made


def save(
    out: Path, model: TextModel, tokenizer: Tokenizer, items: Sequence[Example], options: Options
) -> None:
    """Write the checkpoint, with what it was made of."""
    from_ours = options.base is not None and not is_published(options.base)
    checkpoint.save(
        out,
        model.dims,
        model.state_dict(),
        eight_bits=not from_ours,  # a short run on top of ours moves weights by less than a step
        tokenizer=tokenizer.to_str(),
        recipe={
            "base": options.base or e5.NAME,
            "sets": sorted({item.data_set for item in items}),
            "rows": len(items),
            "seed": SEED,
        },
    )


def fit_model(
    model: TextModel,
    train_items: Sequence[Example],
    dev_items: Sequence[Example],
    counts: dict[str, int],
    recipe: Recipe,
    run_dir: Path,
    options: Options,
) -> None:
    """Train by rounds that draw `counts` rows of each set, and keep what is best on `dev`; layers
    are frozen and adapters added and folded in as `options` ask for."""
    weights = class_weights(train_items)

    def drawn(turn: int) -> list[Batch]:
        return batches(train_items, weights, counts, turn, SEED)

    steps = min(len(drawn(turn)) for turn in range(recipe.epochs))
    torch.manual_seed(SEED)  # adapters start at random
    encoder: Any = model.encoder
    model.encoder = adapt(
        encoder, layers_of(encoder), [encoder.embeddings], options, steps * recipe.epochs
    )
    judged = sample(dev_items, DEV_ROWS, SEED)
    print(
        f"{run_dir.name}: {sum(p.numel() for p in model.parameters()):,} parameters, "
        f"{trained_share(model):.1%} of them trained",
        flush=True,
    )
    with fastest(encoder) as precision:
        fit(
            model,
            batches=lambda turn: drawn(turn)[:steps],
            steps_per_epoch=steps,
            loss=lambda batch: loss(model, batch),
            validate=lambda: dev_figure(model, judged),
            recipe=recipe,
            run_dir=run_dir,
            inputs=fingerprint(train_items, counts, options.base, options.freeze, options.peft),
            precision=precision,
            rate_of=_rates(model),
        )
    model.encoder = merged(model.encoder)
    model.requires_grad_(True)


def _rates(model: TextModel) -> Callable[[str], float]:
    """Learning rates fall with depth (Howard & Ruder, ACL 2018, section 3.2)."""
    layers = layers_of(model.encoder)
    depth = {
        id(p): len(layers) - 1 - at for at, layer in enumerate(layers) for p in layer.parameters()
    }
    of = dict(model.named_parameters())

    def rate(name: str) -> float:
        if not name.startswith("encoder."):
            return HEAD_RATE
        return LAYER_DECAY ** depth.get(id(of[name]), len(layers))

    return rate


def loss(model: TextModel, batch: Batch) -> Tensor:
    """Weighted cross-entropy of both heads, the mean over the batch."""
    device = model.emotion_head.weight.device
    ids, part = (x.to(device) for x in pad(batch.windows, model.dims.pad_id))
    *targets, of_sentiment, of_emotion = labels(batch.items)
    total = torch.zeros((), device=device)
    answers = model(ids, part)[:2]
    for logits, target, possible, weight in zip(
        answers, targets, (of_sentiment, of_emotion), batch.weights, strict=True
    ):
        # A head without a label in the batch gets no gradient at all, so its weights rest.
        if (target >= 0).any():
            each = cross_entropy(logits.float(), target.to(device), possible.to(device))
            total = total + (each * weight.to(device)).mean()
    return total


def cross_entropy(logits: Tensor, target: Tensor, possible: Tensor) -> Tensor:
    """(n,) of logits (n, c) against the classes `target` (n,), −1 for none, among those that are
    `possible` (n, c); a share of SMOOTHING is spread over these."""
    log_p = logits.masked_fill(~possible, -1e4).log_softmax(-1)
    right = -log_p.gather(-1, target.clamp_min(0).unsqueeze(-1)).squeeze(-1)
    evenly = -(log_p * possible).sum(-1) / possible.sum(-1)
    return ((1 - SMOOTHING) * right + SMOOTHING * evenly) * (target >= 0)


@torch.inference_mode()
def answer(model: TextModel, items: Sequence[Example]) -> Logits:
    """Of the items in their order, with what was said before; what their sets cannot say is ruled
    out."""
    device = model.emotion_head.weight.device
    windows = [item.after or item.alone for item in items]
    order = sorted(range(len(items)), key=lambda i: len(windows[i].ids))
    sentiment, emotions = torch.empty(len(items), 3), torch.empty(len(items), len(EMOTIONS))
    for rows in _chunks(order, windows):
        ids, part = pad([windows[i] for i in rows], model.dims.pad_id)
        s, e, _ = model(ids.to(device), part.to(device))
        sentiment[rows], emotions[rows] = s.float().cpu(), e.float().cpu()
    *_, of_sentiment, of_emotion = labels(items)
    return sentiment.masked_fill(~of_sentiment, -1e4), emotions.masked_fill(~of_emotion, -1e4)


def calibrate(model: TextModel, items: Sequence[Example]) -> None:
    """Divide each head by the temperature of its answers to `items`."""
    model.eval()
    heads = (model.sentiment_head, model.emotion_head)
    for name, head, logits, target in zip(
        ("sentiment", "emotion"), heads, answer(model, items), labels(items)[:2], strict=True
    ):
        if (target < 0).all():
            continue
        temperature = fit_temperature(logits, target)
        print(f"{name}: temperature {temperature:.2f}", flush=True)
        with torch.no_grad():
            head.weight.div_(temperature)
            head.bias.div_(temperature)


def dev_figure(model: TextModel, items: Sequence[Example]) -> float:
    """Mean macro-F1 over the sets, of each by the heads that at least half of its rows have."""
    answers = dict(zip(("sentiment", "emotion"), answer(model, items), strict=True))
    by_set: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        by_set[item.data_set].append(index)
    figures = {}
    for name, rows in by_set.items():
        for head, scores in answers.items():
            labelled = [i for i in rows if getattr(items[i], head) >= 0]
            if 2 * len(labelled) < len(rows):
                continue
            truth = torch.tensor([getattr(items[i], head) for i in labelled])
            seen = torch.isin(torch.arange(scores.shape[1]), truth)
            answered = scores[labelled].masked_fill(~seen, -torch.inf).argmax(-1)
            figure = f1_score(truth.numpy(), answered.numpy(), average="macro")
            figures[f"{name} {head}"] = float(figure)
    print("dev macro-F1: " + ", ".join(f"{n} {f:.3f}" for n, f in figures.items()), flush=True)
    return float(np.mean(list(figures.values())))


def predict(path: Path, rows: Sequence[Row]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The service's own reading of rows, with what was said before them: log-probabilities (n, 3)
    and (n, 7), in their order; even ones for what is not read."""
    reader = TextReader.load(path)
    items: list[PreparedText | None] = []
    for row in rows:
        try:
            items.append(reader.prepare(row.content, row.before))
        except (InputError, UnavailableError):
            items.append(None)
    read = [place for place, item in enumerate(items) if item is not None]
    sentiment, emotions = (
        np.full((len(rows), n), -np.log(n)) for n in (len(SENTIMENTS), len(EMOTIONS))
    )
    found = stacked(infer_all(reader, [item for item in items if item is not None], 64))
    sentiment[read], emotions[read] = found
    return sentiment, emotions


def _chunks(order: list[int], windows: Sequence[Window]) -> Iterator[list[int]]:
    """Runs of `order`, which goes by length, of at most about 4,096 tokens."""
    first = 0
    while first < len(order):
        size = max(1, 4096 // len(windows[order[first]].ids))
        yield order[first : first + size]
        first += size
