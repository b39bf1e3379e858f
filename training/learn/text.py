"""How the text model learns new labels: adapters on its encoder, and both heads.

LoRA adapters (Hu et al., ICLR 2022) and the heads learn new rows beside a replay, which keeps the
old from being forgotten (Rolnick et al., "Experience replay for continual learning", NeurIPS 2019).
Of the replay the parent's own answers are learned, not the labels, which it would only learn by
heart (Buzzega et al., "Dark experience for general continual learning", NeurIPS 2020): they move
nothing by themselves, and hold the old against the new. Each head gets a temperature anew on `dev`.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from modalities import checkpoint
from modalities.errors import InputError
from modalities.text.model import TextModel, pad
from training.adapt import adapt, merged
from training.loop import Recipe, fingerprint, fit
from training.options import Options
from training.precision import fastest
from training.rows import Row
from training.text import SEED, Logits, calibrate, dev_figure
from training.text_base import layers_of, start
from training.text_examples import (
    Batch,
    Example,
    batches,
    class_weights,
    examples,
    labels,
    labels_said,
)

REPEATS = 8  # of a new row beside one of the replay's
RECIPE = Recipe(epochs=1, learning_rate=5e-4, seed=SEED)


def learn(
    parent: Path,
    new: Sequence[Row],
    replay: Sequence[Row],
    dev: Sequence[Row],
    run_dir: Path,
    out: Path,
    options: Options,
    guessed: Sequence[Row] = (),
) -> None:
    """Write to `out` what becomes of the checkpoint `parent`; `guessed` rows have pseudo-labels.

    Raises InputError where no row has a label of ours, and what `text_base.start` raises.
    """
    model, tokenizer = start(str(parent), SEED)
    said = labels_said([*new, *guessed, *replay, *dev])
    fresh, surmised, known, judged = (
        examples(rows, said, tokenizer, model.dims) for rows in (new, guessed, replay, dev)
    )
    if not fresh or not judged:
        raise InputError("no row with a label of ours to learn from, or none in dev", "data")
    model.to(options.device)
    fit_adapters(model, [*fresh * REPEATS, *surmised], known, judged, run_dir, options)
    calibrate(model, judged)
    checkpoint.save(
        out,
        model.dims,
        model.state_dict(),
        eight_bits=False,  # else four fifths of what a short run has learned would be lost
        tokenizer=tokenizer.to_str(),
        recipe={"base": checkpoint.sha256(parent)[:12], "new": len(new), "replay": len(replay)},
    )


def fit_adapters(
    model: TextModel,
    new: Sequence[Example],
    known: Sequence[Example],
    dev: Sequence[Example],
    run_dir: Path,
    options: Options,
) -> None:
    """Train the heads and adapters, which are folded in, on the labels of `new`; the answers to
    `known` are to stay as they are."""
    items = [*new, *known]
    sets = {item.data_set for item in new}
    weights = {
        (item.data_set, head, getattr(item, head)): 1.0
        for item in items
        for head in ("sentiment", "emotion")
    } | class_weights(new)
    recipe = RECIPE.chosen(options)

    def drawn(turn: int) -> list[Batch]:
        return batches(items, weights, {}, turn, SEED)

    steps = min(len(drawn(turn)) for turn in range(recipe.epochs))
    parent = copy.deepcopy(model).eval()
    torch.manual_seed(SEED)  # adapters start at random
    encoder: Any = model.encoder
    lora = replace(options, peft="lora")
    model.encoder = adapt(encoder, layers_of(encoder), [], lora, steps * recipe.epochs)

    def loss(batch: Batch) -> Tensor:
        device = model.emotion_head.weight.device
        ids, part = (x.to(device) for x in pad(batch.windows, model.dims.pad_id))
        with torch.no_grad():
            wanted = targets(parent(ids, part)[:2], batch.items, sets)
        total = torch.zeros((), device=device)
        for logits, p, weight in zip(model(ids, part)[:2], wanted, batch.weights, strict=True):
            each = F.cross_entropy(logits.float(), p, reduction="none")
            total = total + (each * weight.to(device)).mean()
        return total

    with fastest(encoder) as precision:
        fit(
            model,
            batches=lambda turn: drawn(turn)[:steps],
            steps_per_epoch=steps,
            loss=loss,
            validate=lambda: dev_figure(model, dev),
            recipe=recipe,
            run_dir=run_dir,
            inputs=fingerprint(items, dev, options),
            precision=precision,
        )
    model.encoder = merged(model.encoder)


def targets(answers: Logits, items: Sequence[Example], new: Collection[str]) -> Logits:
    """Probabilities (n, 3) and (n, 7) to learn: of items of the sets `new` their labels, where they
    have one, and of all else the parent's `answers`."""
    learns = torch.tensor([item.data_set in new for item in items])
    wanted = []
    for logits, label in zip(answers, labels(items)[:2], strict=True):
        p = logits.float().softmax(-1)
        stated = (learns & (label >= 0)).to(p.device)
        right = F.one_hot(label.clamp_min(0), p.shape[1]).to(p)
        wanted.append(torch.where(stated[:, None], right, p))
    return wanted[0], wanted[1]
