"""How the text model learns new labels: its wide path first, then adapters on its encoder.

Both learn beside one another, of the sum of both paths' logits. The wide path is fitted to new rows
and replay from its table as it is: a Gaussian prior around the table keeps every n-gram where it is
that the rows say nothing of. Then LoRA adapters (Hu et al., ICLR 2022) train on the encoder, with
both heads, and the sum gets a temperature anew on `dev`. Replay is what keeps the old from being
forgotten (Rolnick et al., "Experience replay for continual learning", NeurIPS 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from modalities import checkpoint
from modalities.errors import InputError
from modalities.reading import EMOTIONS, SENTIMENTS
from modalities.text.model import TextModel
from training.adapt import adapt, merged
from training.calibrate import fit_temperature
from training.loop import Recipe, fingerprint, fit
from training.options import Options
from training.rows import Row, held_emotions
from training.text import SEED, BothHeads, dev_figure, logits, loss, wide_targets
from training.text_base import start
from training.text_examples import SENTIMENT_WEIGHT, Example, batches, examples, weigh
from training.wide import fit_wide

HEADS = ("sentiment", "emotion")
REPEATS = 8  # of a new row beside one of the replay's
STRENGTH, ITERATIONS = 0.2, 20  # of the wide path's prior; the recipe's own is for many more rows
WIDE_BALANCE, DEEP_BALANCE = 1.0, 0.5  # as in the recipe (`training.text_examples.weigh`)
ADAPTERS = Recipe(epochs=1, learning_rate=1e-4, patience=1, seed=SEED)


def learn(
    parent: Path,
    new: Sequence[Row],
    replay: Sequence[Row],
    dev: Sequence[Row],
    run_dir: Path,
    out: Path,
    options: Options,
) -> None:
    """Write to `out` what becomes of the checkpoint `parent`.

    Raises InputError where no row has a label of ours, and what `text_base.start` raises.
    """
    model, tokenizer = start(str(parent), [], run_dir, 0, SEED)
    held = held_emotions([*new, *replay, *dev])
    fresh, known, judged = (
        examples(rows, held, tokenizer, model.dims) for rows in (new, replay, dev)
    )
    if not fresh or not judged:
        raise InputError("no row with a label of ours to learn from, or none in dev", "data")
    items = [*fresh * REPEATS, *known]
    model.to(options.device).eval()
    taught = [any(getattr(item, head) >= 0 for item in fresh) for head in HEADS]
    widen(model, items, taught)
    adapt_encoder(model, items, taught, judged, run_dir, options)
    calibrate(model, judged)
    checkpoint.save(
        out,
        model.dims,
        model.state_dict(),
        tokenizer=tokenizer.to_str(),
        recipe={"base": checkpoint.sha256(parent)[:12], "new": len(new), "replay": len(replay)},
    )


def widen(model: TextModel, items: Sequence[Example], taught: Sequence[bool]) -> None:
    """Fit the wide path beside the deep one, which has not learned from the new items yet.

    A head of which the new rows say nothing stays as it is: `taught` tells, sentiment first.
    """
    both = torch.cat(logits(lambda ids, mask: model.deep(ids, mask)[:2], model, items), 1)
    of = np.repeat(np.arange(len(items)), [len(item.windows) for item in items])
    deep: NDArray[np.float64] = both.double().numpy()[of]  # (windows, 10)
    targets = wide_targets(items, WIDE_BALANCE)
    for weight, learns in zip(targets.weights, taught, strict=True):
        weight *= learns
    bias = fit_wide(model.wide, targets, STRENGTH, ITERATIONS, deep)
    parts = bias.split([len(SENTIMENTS), len(EMOTIONS)])
    with torch.no_grad():
        for layer, part in zip(_heads(model), parts, strict=True):
            layer.bias.add_(part.to(layer.bias.device))


def adapt_encoder(
    model: TextModel,
    items: Sequence[Example],
    taught: Sequence[bool],
    dev: Sequence[Example],
    run_dir: Path,
    options: Options,
) -> None:
    """Train adapters, and the heads that are taught, by the sum of both paths; the adapters are
    folded in."""
    model.wide.requires_grad_(False)
    for layer, learns in zip(_heads(model), taught, strict=True):
        layer.requires_grad_(learns)
    recipe = ADAPTERS.chosen(options)
    weights = weigh(items, DEEP_BALANCE, SENTIMENT_WEIGHT)
    steps = min(len(batches(items, weights, SEED + n)) for n in range(recipe.epochs))
    encoder = model.encoder
    layers = next(part for part in encoder.modules() if isinstance(part, nn.ModuleList))
    adapters = Options(peft="lora")
    model.encoder = adapt(encoder, list(layers), [], adapters, steps * recipe.epochs)
    fit(
        model,
        batches=lambda epoch: batches(items, weights, SEED + epoch)[:steps],
        steps_per_epoch=steps,
        loss=lambda batch: loss(_sum(model), model, batch),
        validate=lambda: dev_figure(logits(_sum(model), model, dev), dev),
        recipe=recipe,
        run_dir=run_dir,
        inputs=fingerprint(items, dev, options),
    )
    model.encoder = merged(model.encoder)


def calibrate(model: TextModel, dev: Sequence[Example]) -> None:
    """Divide both paths by the temperature of their sum on `dev`, head by head."""
    sentiment, emotions = logits(_sum(model), model, dev)
    allowed = torch.tensor([item.allowed for item in dev])
    emotions = emotions.masked_fill(~allowed, -1e4)
    column = 0
    for name, layer, values in zip(HEADS, _heads(model), (sentiment, emotions), strict=True):
        target = torch.tensor([getattr(item, name) for item in dev])
        columns = slice(column, column + values.shape[1])
        column = columns.stop
        if (target < 0).all():
            continue
        temperature = fit_temperature(values, target)
        print(f"{name}: temperature {temperature:.2f}", flush=True)
        with torch.no_grad():
            for tensor in (layer.weight, layer.bias, model.wide.table.weight[:, columns]):
                tensor /= temperature


def _heads(model: TextModel) -> tuple[nn.Linear, nn.Linear]:
    return model.sentiment_head, model.emotion_head


def _sum(model: TextModel) -> BothHeads:
    return lambda ids, mask: model(ids, mask)[:2]
