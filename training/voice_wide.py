"""The wide path's recipe: linear discriminants in closed form, a network, and their weights.

What the judges are worth is learnt out of fold: on speakers that they did not hear, and on whole
sets, since a caller's room and language are as strange as those.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GroupKFold
from torch import Tensor, nn

from modalities.voice.model import collate, within
from modalities.voice.prosody import N_PROSODY, N_ROBUST, functionals
from modalities.voice.wide import WidePath, weighed
from training.augment import OTHER_VOICE, another_speaker
from training.calibrate import fit_pool
from training.clips import Clip, allowed, evened, head_loss, sentiment_weights
from training.loop import Recipe, fit

BATCH = 64
SHRINKAGE = 0.5  # of a discriminant's covariance (Friedman 1989): clips are few, functionals many
EXPERTS, ROBUST = 0.2, 0.5  # of their logits: brings them to the network's scale
N_FOLDS = 5


def functionals_of(frames: Sequence[Tensor]) -> Tensor:
    """Functionals (n, f) of n items' frames."""
    order = sorted(range(len(frames)), key=lambda i: frames[i].shape[1])
    found = []
    for begin in range(0, len(order), BATCH):
        batch, lengths = collate([frames[i].float() for i in order[begin : begin + BATCH]])
        found.append(functionals(batch, within(lengths, batch.shape[-1])))
    values = torch.cat(found)
    return torch.empty_like(values).index_copy_(0, torch.tensor(order), values)


def heard(variants: Sequence[Sequence[Tensor]], shares: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Functionals (v, n, f) of n clips' variants, each in its own voice and in another, the first
    being the clip itself; and how often (v,) each is to be heard, given the variants' shares."""
    torch.manual_seed(0)
    found, often = [], []
    for frames, share in zip(zip(*variants, strict=True), shares, strict=True):
        n_mels = len(frames[0]) - N_PROSODY
        others = [another_speaker(item.float(), n_mels) for item in frames]
        found += [functionals_of(frames), functionals_of(others)]
        often += [share * (1 - OTHER_VOICE), share * OTHER_VOICE]
    return torch.stack(found), torch.tensor(often)


def learnt(
    start: WidePath, values: Tensor, often: Tensor, items: Sequence[Clip], recipe: Recipe
) -> WidePath:
    """A path taught what is `heard` of the items, its network going on from that of `start`."""
    names = list(dict.fromkeys(item.data_set for item in items))
    wide = _again(start, len(names))
    if bool((wide.deviation == 1).all()):  # `start` has learnt nothing yet
        wide.mean.copy_(values.mean((0, 1)))
        wide.deviation.copy_(values.std((0, 1), correction=0).clamp(min=1e-2))
    x = wide.standard(values)
    flat = x.flatten(0, 1).numpy()  # (v · n, f)
    sets = np.tile([names.index(item.data_set) for item in items], len(x))
    if len(names) > 1:
        _learn_sets(wide, flat, sets)
    drawn = np.tile(evened(items), len(x))
    even = np.random.default_rng(recipe.seed).choice(
        len(flat), len(flat) // 2, p=drawn / drawn.sum()
    )
    targets = (item.sentiment for item in items), (item.emotion for item in items)
    for experts, robust, n_classes, target in zip(
        wide.experts, wide.robust, wide.sizes, targets, strict=True
    ):
        y = np.tile(list(target), len(x))
        own = [discriminant(flat[sets == i], y[sets == i], n_classes) for i in range(len(names))]
        weight, bias = (EXPERTS * np.concatenate(parts) for parts in zip(*own, strict=True))
        _put(experts, weight, bias)
        across = _across(flat[even, -N_ROBUST:], y[even], sets[even], n_classes)
        _put(robust, *(ROBUST * part for part in across))
    _train(wide, x, often, items, recipe)
    return wide.eval()


def _again(start: WidePath, n_sets: int) -> WidePath:
    """A path for other sets, with the standard and the network of `start`."""
    wide = WidePath(len(start.mean), start.width, n_sets, start.sizes, start.dropout)
    shared = ("mean", "deviation", "layers.", "network.")
    state = {k: v for k, v in start.state_dict().items() if k.startswith(shared)}
    wide.load_state_dict(state, strict=False)
    return wide


def _learn_sets(wide: WidePath, x: NDArray[np.float32], sets: NDArray[np.intp]) -> None:
    """Directions that tell the sets apart, and where each of them lies."""
    indices = range(wide.n_sets)
    priors = np.full(wide.n_sets, 1 / wide.n_sets)
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage=SHRINKAGE, priors=priors)
    directions = model.fit(x, sets).scalings_[:, : wide.n_sets - 1]
    place = x @ directions
    centres = np.stack([place[sets == i].mean(0) for i in indices])
    within_sets = [np.square(place[sets == i] - centres[i]).mean(0) for i in indices]
    scale = np.sqrt(np.mean(within_sets, axis=0))
    wide.directions.copy_(torch.from_numpy((directions / scale).T))
    wide.centres.copy_(torch.from_numpy(centres / scale))


def discriminant(
    x: NDArray[np.float32], target: NDArray[np.intp], n_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight (c, f) and bias (c,) of logits that tell the classes of x (n, f) apart, all equally
    likely; a target of −1 is none. A class without rows has a logit of 0, about the others' mean.

    Linear discriminant analysis with a shrunken covariance, as scikit-learn's, which takes thirty
    times as long over so many columns.
    """
    x, target = x[target >= 0], target[target >= 0]
    weight, bias = np.zeros((n_classes, x.shape[1])), np.zeros(n_classes)
    classes, index, counts = np.unique(target, return_inverse=True, return_counts=True)
    if len(classes) > 1:
        means = np.stack([x[index == i].mean(0) for i in range(len(classes))])
        centre = means.mean(0)
        scatter = (x - means[index]) / np.sqrt(counts * len(counts))[index, None]
        covariance = scatter.T @ scatter
        scale = np.trace(covariance) / len(covariance)
        shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * scale * np.eye(len(covariance))
        coef = np.linalg.solve(shrunk, (means - centre).T).T
        intercept = -0.5 * ((means + centre) * coef).sum(1)
        weight[classes], bias[classes] = coef, intercept - intercept.mean()
    return weight, bias


def _across(
    x: NDArray[np.float32], target: NDArray[np.intp], sets: NDArray[np.intp], n_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The discriminant of x, each set being brought to the mean of all: a set's own level says
    nothing of an emotion."""
    x, target, sets = x[target >= 0], target[target >= 0], sets[target >= 0]
    present = np.unique(sets)
    levels = np.zeros((len(present), x.shape[1]))
    for level, index in zip(levels, present, strict=True):
        here = sets == index
        classes = np.unique(target[here])
        level[:] = np.mean([x[here & (target == c)].mean(0) for c in classes], axis=0)
        x[here] -= level
    weight, bias = discriminant(x, target, n_classes)
    return weight, bias - weight @ levels.sum(0) / max(1, len(present))


def _put(layer: nn.Module, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> None:
    layer.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})


def _train(wide: WidePath, x: Tensor, often: Tensor, items: Sequence[Clip], recipe: Recipe) -> None:
    """The network, on standard functionals (v, n, f)."""
    drawn = torch.tensor(evened(items))
    class_weights = sentiment_weights(items, drawn.tolist())
    steps = max(1, len(items) // BATCH)

    def batches(epoch: int) -> Iterator[tuple[Tensor, list[Clip]]]:
        rng = torch.Generator().manual_seed(recipe.seed + epoch)
        for _ in range(steps):
            rows = torch.multinomial(drawn, BATCH, replacement=True, generator=rng)
            variants = torch.multinomial(often, BATCH, replacement=True, generator=rng)
            yield x[variants, rows], [items[i] for i in rows.tolist()]

    def loss(batch: tuple[Tensor, list[Clip]]) -> Tensor:
        return head_loss(*wide.judged(batch[0]), batch[1], class_weights)

    epoch = itertools.count()
    with tempfile.TemporaryDirectory() as run_dir:
        fit(
            nn.ModuleList([wide.layers, wide.network]),
            batches=batches,
            steps_per_epoch=steps,
            loss=loss,
            validate=lambda: float(next(epoch)),  # nothing chooses: the last weights are kept
            recipe=recipe,
            run_dir=Path(run_dir),
        )


@dataclass(frozen=True, eq=False)
class Unheard:
    """Answers to n clips of speakers that the judges did not hear, by familiarity weighed.

    The judges are those of `WidePath`, in its order.
    """

    items: Sequence[Clip]
    sentiment: Tensor  # (judges, n, 3) logits
    emotions: Tensor  # (judges, n, 7)

    def summed(self) -> tuple[Tensor, Tensor, Sequence[Clip]]:
        return self.sentiment.sum(0), self.emotions.sum(0), self.items


def joined(parts: Sequence[Unheard]) -> Unheard:
    return Unheard(
        [item for part in parts for item in part.items],
        torch.cat([part.sentiment for part in parts], 1),
        torch.cat([part.emotions for part in parts], 1),
    )


def unheard(
    start: WidePath, values: Tensor, often: Tensor, items: Sequence[Clip], recipe: Recipe
) -> list[Unheard]:
    """Of all items, each by a path that learnt from other speakers; then, where there is more
    than one, from other sets, whose own expert then says nothing."""
    names = list(dict.fromkeys(item.data_set for item in items))
    found = []
    for groups in ([item.speaker for item in items], [item.data_set for item in items]):
        n_folds = min(N_FOLDS, len(set(groups)))
        if n_folds == 1:
            continue
        parts = []
        for kept, held in GroupKFold(n_folds).split(groups, groups=groups):
            wide = learnt(start, values[:, kept], often, [items[i] for i in kept], recipe)
            with torch.inference_mode():
                paths = weighed(*wide(values[0, held]))
            known = dict.fromkeys(items[i].data_set for i in kept)
            places = torch.tensor([0, *(1 + names.index(name) for name in known), 1 + len(names)])
            sentiment, emotions = (
                torch.zeros(2 + len(names), *heads[0].shape).index_copy(
                    0, places, torch.stack(heads)
                )
                for heads in zip(*paths, strict=True)
            )
            parts.append(Unheard([items[i] for i in held], sentiment, emotions))
        found.append(joined(parts))
    return found


def weigh(wide: WidePath, known: Sequence[Unheard]) -> list[Unheard]:
    """Scale the judges' logits so that their sums are the most probable on clips `unheard`;
    returns the answers as they then are.

    Each set's expert has a weight of its own: sets differ in how well they are read, and so in how
    sure the sum may be.
    """
    of = joined(known)
    ones = torch.ones(len(of.items))
    targets = [item.sentiment for item in of.items], [item.emotion for item in of.items]
    weights = [
        fit_pool(logits, torch.tensor(target), ones).float()
        for logits, target in zip(
            (of.sentiment, allowed(of.emotions, of.items)), targets, strict=True
        )
    ]
    judges = (wide.network, wide.experts, wide.robust)
    for head, weight in enumerate(weights):
        for judge, by in zip(judges, (weight[:1], weight[1:-1], weight[-1:]), strict=True):
            of_output = by.repeat_interleave(wide.sizes[head])
            for parameter in judge[head].parameters():
                parameter.data = torch.einsum("c,c...->c...", of_output, parameter.data)
    by_sentiment, by_emotion = (weight[:, None, None] for weight in weights)
    return [
        Unheard(part.items, part.sentiment * by_sentiment, part.emotions * by_emotion)
        for part in known
    ]
