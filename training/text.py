"""The text recipe: an encoder and a wide path, each multi-task over the text sets, then pooled.

Every set teaches the heads it has labels for: an emotion through a softmax over the classes
that the set can hold (EWECT has no disgust: it must not teach that nothing is), a sentiment
through all three. The two paths err differently, and better so when neither has seen the other's
answers on `train`: they learn apart, and `dev` says how much each counts. Adapters go beside
both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.nn import functional as F

from modalities import checkpoint
from modalities.errors import InputError
from modalities.model import infer_all
from modalities.reading import EMOTIONS, SENTIMENTS, stacked
from modalities.text.infer import TextReader
from modalities.text.model import TextModel, pad
from training.adapt import WideAdapter, adapt, merged, trained_share
from training.calibrate import fit_pool
from training.loop import Recipe, fingerprint, fit
from training.options import Options
from training.precision import fastest
from training.rows import Row, held_emotions
from training.text_base import start
from training.text_examples import (
    SENTIMENT_WEIGHT,
    Batch,
    Example,
    batches,
    examples,
    weigh,
)
from training.wide import Targets, fit_wide

SEED = 20261124
PRETRAINING_EPOCHS = 4
SCRATCH = Recipe(epochs=3, learning_rate=3e-4, patience=3, seed=SEED)
# Of an encoder 768 wide; narrower ones take larger steps (Yang et al., "Tensor programs V", 2021).
FINE_TUNING = Recipe(epochs=6, learning_rate=6.5e-5, patience=2, seed=SEED)
ADAPTERS = Recipe(epochs=20, learning_rate=1e-3, patience=4, seed=SEED)
WIDE_STRENGTH, WIDE_ITERATIONS = 0.1, 60
# Reviews are long, many and easy: fewer of them spare the deep path half of its time.
DEEP_WEIGHT = {"shopping": 0.3}


BothHeads = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # ids, mask → both heads' logits


def loss(path: BothHeads, model: TextModel, batch: Batch) -> Tensor:
    """Weighted cross-entropy of both heads by `path`, the mean over the batch."""
    device = model.emotion_head.weight.device
    ids, mask = pad([item.window for item in batch.items], model.dims.pad_id)
    sentiment, emotions = possible(path(ids.to(device), mask.to(device)), batch.items)
    total = torch.zeros((), device=device)
    for logits, targets, weight in (
        (emotions, [item.emotion for item in batch.items], batch.emotion_weight),
        (sentiment, [item.sentiment for item in batch.items], batch.sentiment_weight),
    ):
        # A head without a label in the batch gets no gradient at all, so its weights rest.
        if any(target >= 0 for target in targets):
            each = F.cross_entropy(
                logits, torch.tensor(targets, device=device), ignore_index=-1, reduction="none"
            )
            total = total + (each * weight.to(device)).mean()
    return total


def possible(said: tuple[Tensor, Tensor], items: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Logits (n, 3) and (n, 7) in fp32, emotions that an item's set cannot hold ruled out."""
    sentiment, emotions = said
    allowed = torch.tensor([item.allowed for item in items], device=emotions.device)  # (n, 7)
    return sentiment.float(), emotions.float().masked_fill(~allowed, -1e4)


def logits(
    path: BothHeads,
    model: TextModel,
    items: Sequence[Example],
) -> tuple[Tensor, Tensor]:
    """(n, 3) sentiment and (n, 7) emotion logits by `path`, in the order of `items`."""
    device = model.emotion_head.weight.device
    order = sorted(range(len(items)), key=lambda i: len(items[i].window))
    sentiment, emotions = torch.empty(len(items), 3), torch.empty(len(items), len(EMOTIONS))
    with torch.inference_mode():
        for rows in _chunks(order, 128):
            ids, mask = pad([items[i].window for i in rows], model.dims.pad_id)
            s, e = path(ids.to(device), mask.to(device))
            sentiment[rows], emotions[rows] = s.float().cpu(), e.float().cpu()
    return sentiment, emotions


def train(rows: Sequence[Row], run_dir: Path, out: Path, options: Options) -> None:
    """Train on the `train` rows, choose and calibrate on `dev`, write the checkpoint `out`.

    Raises InputError where a split has no labelled row, and what `text_base.start` raises.
    """
    learned, judged = ([row for row in rows if row.split == split] for split in ("train", "dev"))
    texts = [row.content for row in learned]
    model, tokenizer = start(options.base, texts, run_dir, PRETRAINING_EPOCHS, SEED)
    held = held_emotions(rows)
    train_items, dev_items = (
        examples(part, held, tokenizer, model.dims) for part in (learned, judged)
    )
    if not train_items or not dev_items:
        raise InputError("no row with a label of ours in train, or none in dev", "data")
    model.to(options.device)

    share = fit_deep(model, train_items, dev_items, run_dir, options)
    bias = torch.zeros(len(SENTIMENTS) + len(EMOTIONS))
    if options.peft is None:
        bias = fit_wide(model.wide, wide_targets(train_items), WIDE_STRENGTH, WIDE_ITERATIONS)
    pool_paths(model, bias, dev_items)
    dev_figure(logits(_both(model), model, dev_items), dev_items)
    checkpoint.save(
        out,
        model.dims,
        model.state_dict(),
        tokenizer=tokenizer.to_str(),
        recipe={
            "base": options.base,
            "sets": sorted({item.data_set for item in train_items}),
            "rows": len(train_items),
            "seed": SEED,
            "trained_share": share,
        },
    )


def fit_deep(
    model: TextModel,
    train_items: Sequence[Example],
    dev_items: Sequence[Example],
    run_dir: Path,
    options: Options,
) -> float:
    """Train the deep path and keep what is best on `dev`; returns the share of the parameters that
    train, the wide path's included. With adapters both paths train here, each by its own loss, and
    what is best together is kept, the adapters folded in."""
    learned, answered = [_deep(model)], _deep(model)
    if options.peft is not None:
        model.wide = WideAdapter(model.wide, [item.window for item in train_items])
        learned, answered = [_deep(model), _wide(model)], _both(model)
    encoder: Any = model.encoder
    recipe = SCRATCH
    if options.base is not None:
        recipe = ADAPTERS if options.peft else FINE_TUNING
        rate = recipe.learning_rate * 768 / encoder.config.hidden_size
        recipe = replace(recipe, learning_rate=rate)
    recipe = recipe.chosen(options)
    weights = weigh(train_items, 0.5, SENTIMENT_WEIGHT | DEEP_WEIGHT)
    steps = min(len(batches(train_items, weights, SEED + n)) for n in range(recipe.epochs))
    layers = next(
        part
        for part in encoder.modules()
        if isinstance(part, nn.ModuleList) and len(part) == encoder.config.num_hidden_layers
    )
    torch.manual_seed(SEED)  # the adapters start at random
    model.encoder = adapt(
        encoder, list(layers), [encoder.embeddings], options, steps * recipe.epochs
    )
    share = trained_share(model)
    print(
        f"{sum(p.numel() for p in model.parameters()):,} parameters, "
        f"{share:.1%} of them trained; {len(train_items):,} rows",
        flush=True,
    )
    model.wide.table.requires_grad_(False)  # `fit_wide` fits it, not the steps here
    with fastest(encoder) as precision:
        fit(
            model,
            batches=lambda epoch: batches(train_items, weights, SEED + epoch)[:steps],
            steps_per_epoch=steps,
            loss=lambda batch: torch.stack([loss(path, model, batch) for path in learned]).sum(),
            validate=lambda: dev_figure(logits(answered, model, dev_items), dev_items),
            recipe=recipe,
            run_dir=run_dir / "deep",
            inputs=fingerprint(train_items, dev_items, options.base, options.freeze, options.peft),
            precision=precision,
        )
    model.encoder = merged(model.encoder)
    if isinstance(model.wide, WideAdapter):
        model.wide = model.wide.folded()
    return share


def wide_targets(items: Sequence[Example], balance: float = 1.0) -> Targets:
    """What the wide path learns from: every window of a text, by its share of the tokens;
    `balance` as `weigh` has it."""
    weights = weigh(items, balance, SENTIMENT_WEIGHT)
    of = np.repeat(np.arange(len(items)), [len(item.windows) for item in items])  # window → item
    windows = [window for item in items for window in item.windows]
    lengths = np.array([len(window) for window in windows], float)
    share = lengths / np.bincount(of, lengths)[of]
    return Targets(
        windows=windows,
        labels=(
            np.array([item.sentiment for item in items])[of],
            np.array([item.emotion for item in items])[of],
        ),
        weights=(weights.sentiment[of] * share, weights.emotion[of] * share),
        allowed=np.array([item.allowed for item in items])[of],
    )


def pool_paths(model: TextModel, bias: Tensor, items: Sequence[Example]) -> None:
    """Scale both paths so that their sum is calibrated on `items`: a log-opinion pool a head."""
    deep, wide = (logits(path, model, items) for path in (_deep(model), _wide(model)))
    sizes = [len(SENTIMENTS), len(EMOTIONS)]
    allowed = torch.tensor([item.allowed for item in items])
    weights = weigh(items, 0.0, SENTIMENT_WEIGHT)
    columns = 0
    for head, layer, deep_part, wide_part, bias_part in zip(
        ("sentiment", "emotion"),
        (model.sentiment_head, model.emotion_head),
        deep,
        wide,
        bias.split(sizes),
        strict=True,
    ):
        target = torch.tensor([getattr(item, head) for item in items])
        here = slice(columns, columns + sizes[head == "emotion"])
        columns = here.stop
        counts = torch.from_numpy(getattr(weights, head))
        if not counts.any():
            continue
        experts = torch.stack([deep_part, wide_part + bias_part])  # (2, n, c)
        if head == "emotion":
            experts = experts.masked_fill(~allowed, -1e4)
        weight = fit_pool(experts, target, counts).float()
        print(f"{head}: deep × {weight[0]:.2f} + wide × {weight[1]:.2f}", flush=True)
        with torch.no_grad():
            layer.weight *= weight[0]
            layer.bias.mul_(weight[0]).add_(weight[1] * bias_part.to(layer.bias.device))
            model.wide.table.weight[:, here] *= weight[1]


def dev_figure(answered: tuple[Tensor, Tensor], items: Sequence[Example]) -> float:
    """Mean macro-F1 over the sets: emotions where a set has them, else sentiment."""
    sentiment, emotions = answered
    by_set: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        by_set[item.data_set].append(index)
    figures = {}
    for name, rows in by_set.items():
        scores, head = emotions, "emotion"
        if all(items[i].emotion < 0 for i in rows):
            scores, head = sentiment, "sentiment"
        rows = [i for i in rows if getattr(items[i], head) >= 0]
        truth = torch.tensor([getattr(items[i], head) for i in rows])
        seen = torch.isin(torch.arange(scores.shape[1]), truth)
        answer = scores[rows].masked_fill(~seen, -torch.inf).argmax(-1)
        figures[name] = float(f1_score(truth.numpy(), answer.numpy(), average="macro"))
    print("dev macro-F1: " + ", ".join(f"{n} {f:.3f}" for n, f in figures.items()), flush=True)
    return float(np.mean(list(figures.values())))


def predict(path: Path, rows: Sequence[Row]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The service's own reading of rows: log-probabilities (n, 3) and (n, 7), in their order."""
    reader = TextReader.load(path)
    readings = infer_all(reader, [reader.prepare(row.content) for row in rows], 64)
    return stacked(readings)


def _both(model: TextModel) -> BothHeads:
    return lambda ids, mask: model(ids, mask)[:2]


def _deep(model: TextModel) -> BothHeads:
    return lambda ids, mask: model.deep(ids, mask)[:2]


def _wide(model: TextModel) -> BothHeads:
    sizes = [len(SENTIMENTS), len(EMOTIONS)]
    return lambda ids, mask: model.wide(ids, mask).split(sizes, -1)


def _chunks(order: list[int], size: int) -> Iterator[list[int]]:
    for first in range(0, len(order), size):
        yield order[first : first + size]
