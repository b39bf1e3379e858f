"""How the text model learns new labels: its wide path first, then adapters on its encoder.

Both learn beside one another, of the sum of both paths' logits. The wide path is fitted to new rows
and replay from its table as it is: a Gaussian prior around the table keeps every n-gram where it is
that the rows say nothing of. Then LoRA adapters (Hu et al., ICLR 2022) train on the encoder, with
both heads, and the sum gets a temperature anew on `dev`. Replay is what keeps the old from being
forgotten (Rolnick et al., "Experience replay for continual learning", NeurIPS 2019). Of its rows
the parent's own answers are learned, not the labels, which it would only learn by heart (Buzzega et
al., "Dark experience for general continual learning", NeurIPS 2020): they move nothing by
themselves, and hold the old against the new.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modalities import checkpoint
from modalities.errors import InputError
from modalities.reading import EMOTIONS, SENTIMENTS
from modalities.text.model import TextModel, pad
from training.adapt import adapt, merged
from training.calibrate import fit_temperature
from training.loop import Recipe, fingerprint, fit
from training.options import Options
from training.rows import Row, held_emotions
from training.text import SEED, BothHeads, dev_figure, logits, possible, wide_targets
from training.text_base import start
from training.text_examples import SENTIMENT_WEIGHT, Batch, Example, batches, examples, weigh
from training.wide import fit_wide

HEADS = ("sentiment", "emotion")
REPEATS = 8  # of a new row beside one of the replay's
STRENGTH, ITERATIONS = 0.5, 20  # of the wide path's prior; the recipe's own is for many more rows
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
    guessed: Sequence[Row] = (),
) -> None:
    """Write to `out` what becomes of the checkpoint `parent`; `guessed` rows have pseudo-labels.

    Raises InputError where no row has a label of ours, and what `text_base.start` raises.
    """
    model, tokenizer = start(str(parent), [], run_dir, 0, SEED)
    held = held_emotions([*new, *guessed, *replay, *dev])
    fresh, surmised, known, judged = (
        examples(rows, held, tokenizer, model.dims) for rows in (new, guessed, replay, dev)
    )
    if not fresh or not judged:
        raise InputError("no row with a label of ours to learn from, or none in dev", "data")
    items = [*fresh * REPEATS, *surmised, *known]
    model.to(options.device).eval()
    taught = [any(getattr(item, head) >= 0 for item in fresh) for head in HEADS]
    before = copy.deepcopy(model)
    said: dict[str, set[int]] = defaultdict(set)
    for item in (*fresh, *surmised):
        said[item.data_set].add(item.sentiment)
    sets = {name: [i in found for i in range(len(SENTIMENTS))] for name, found in said.items()}
    widen(model, items, sets, taught)
    adapt_encoder(model, before, items, sets, taught, judged, run_dir, options)
    calibrate(model, judged)
    checkpoint.save(
        out,
        model.dims,
        model.state_dict(),
        tokenizer=tokenizer.to_str(),
        recipe={"base": checkpoint.sha256(parent)[:12], "new": len(new), "replay": len(replay)},
    )


def widen(
    model: TextModel,
    items: Sequence[Example],
    new: Mapping[str, Sequence[bool]],
    taught: Sequence[bool],
) -> None:
    """Fit the wide path beside the deep one, which has not learned from the new items yet; the
    answers to items of other sets than `new` are to stay.

    A head of which the new rows say nothing stays as it is: `taught` tells, sentiment first.
    """
    windows = [replace(item, windows=(window,)) for item in items for window in item.windows]
    deep = logits(lambda ids, mask: model.deep(ids, mask)[:2], model, windows)
    answers = _wanted(logits(_sum(model), model, windows), windows, new)
    targets = wide_targets(items, WIDE_BALANCE)
    for weight, learns in zip(targets.weights, taught, strict=True):
        weight *= learns
    sentiment, emotions = (answer.double().numpy() for answer in answers)
    targets = replace(targets, labels=(sentiment, emotions))
    beside = torch.cat(deep, 1).double().numpy()  # (windows, 10)
    bias = fit_wide(model.wide, targets, STRENGTH, ITERATIONS, beside)
    parts = bias.split([len(SENTIMENTS), len(EMOTIONS)])
    with torch.no_grad():
        for layer, part in zip(_heads(model), parts, strict=True):
            layer.bias.add_(part.to(layer.bias.device))


def adapt_encoder(
    model: TextModel,
    parent: TextModel,
    items: Sequence[Example],
    new: Mapping[str, Sequence[bool]],
    taught: Sequence[bool],
    dev: Sequence[Example],
    run_dir: Path,
    options: Options,
) -> None:
    """Train adapters, and the heads that are taught, by the sum of both paths; the adapters are
    folded in. The answers to items of other sets than `new` are to stay those of `parent`."""
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

    def loss(batch: Batch) -> Tensor:
        device = model.emotion_head.weight.device
        ids, mask = (
            part.to(device)
            for part in pad([item.window for item in batch.items], model.dims.pad_id)
        )
        with torch.no_grad():
            answers = _wanted(parent(ids, mask)[:2], batch.items, new)
        total = torch.zeros((), device=device)
        for logit, answer, weight in zip(
            possible(model(ids, mask)[:2], batch.items),
            answers,
            (batch.sentiment_weight, batch.emotion_weight),
            strict=True,
        ):
            if weight.any():  # else its head gets no gradient at all, and rests
                each = F.cross_entropy(logit, answer, reduction="none")
                total = total + (each * weight.to(device)).mean()
        return total

    fit(
        model,
        batches=lambda epoch: batches(items, weights, SEED + epoch)[:steps],
        steps_per_epoch=steps,
        loss=loss,
        validate=lambda: dev_figure(logits(_sum(model), model, dev), dev),
        recipe=recipe,
        run_dir=run_dir,
        inputs=fingerprint(items, dev, options),
    )
    model.encoder = merged(model.encoder)


def _wanted(
    logits: tuple[Tensor, Tensor], items: Sequence[Example], new: Mapping[str, Sequence[bool]]
) -> tuple[Tensor, Tensor]:
    """Probabilities (n, 3) and (n, 7) to learn: the labels of the `new` sets' items, and for all
    others what `logits` say.

    `new` tells which sentiments a set's labels say: how probable the others are no label of it
    knows, and it stays. Where nothing is labelled neutral, nobody is taught that nothing is.
    """
    learns = torch.tensor([item.data_set in new for item in items])
    all_of_them = (True,) * len(SENTIMENTS)
    said = torch.tensor([new.get(item.data_set, all_of_them) for item in items])  # (n, 3)
    wanted = []
    for head, logit in zip(HEADS, possible(logits, items), strict=True):
        label = torch.tensor([getattr(item, head) for item in items])
        stated = learns & (label >= 0)
        p = logit.softmax(-1)
        among = (said if head == "sentiment" else torch.ones(p.shape)).to(p)
        stays = p * (1 - among)
        right = F.one_hot(label.clamp_min(0), p.shape[1]).to(p)
        learned = stays + right * (1 - stays.sum(-1, keepdim=True))
        wanted.append(torch.where(stated.to(p.device)[:, None], learned, p))
    return wanted[0], wanted[1]


def calibrate(model: TextModel, dev: Sequence[Example]) -> None:
    """Divide both paths by the temperature of their sum on `dev`, head by head."""
    sentiment, emotions = possible(logits(_sum(model), model, dev), dev)
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
