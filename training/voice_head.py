"""How an emotion head is taught on states that are kept, and judged on speakers it never heard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold
from torch import Tensor
from torch.nn import functional as F

from modalities.errors import InputError
from modalities.voice.head import EmotionHead, VoiceDimensions, doubt_of, pooled_sentiment
from modalities.voice.model import head_in_fp16
from training.clips import allowed, head_loss, sentiment_weights
from training.heard import CHUNK, Draw, Speakers, Table
from training.loop import Recipe, fit

BATCH = 128
DROPOUT = 0.5
N_FOLDS = 5
N_AFTER = 10
WAYS = {"alone": (0, False), "after": (N_AFTER, False), "one mood": (N_AFTER, True)}
LEAST_DOUBT = 0.5
RECIPE = Recipe(epochs=20, learning_rate=1.5e-3, weight_decay=0.3, patience=20)


@dataclass(frozen=True, eq=False)
class Read:
    """A head's logits of sentiments (n, 3) and of emotions (n, 7)."""

    sentiment: Tensor
    emotions: Tensor


def untaught(dims: VoiceDimensions, table: Table) -> EmotionHead:
    """Make a head that knows everybody's mean and deviation, by the clips of `table`, and nothing
    else; each set and label counts as it is drawn."""
    torch.manual_seed(RECIPE.seed)
    head = EmotionHead(dims, DROPOUT)
    share = torch.tensor(table.weights())
    share /= share.sum()
    for values, mean, deviation in (
        (table.layers, head.mean, head.deviation),
        (table.tones, head.tone_mean, head.tone_deviation),
    ):
        flat = values.float().flatten(1)  # (n, …)
        centre = share @ flat
        spread = (share @ (flat - centre).square()).sqrt().clamp(min=1e-3)
        mean.copy_(centre.view_as(mean).half())  # as their file holds them
        deviation.copy_(spread.view_as(deviation).half())
    return head


def teach(
    head: EmotionHead,
    table: Table,
    recipe: Recipe,
    run_dir: Path,
    inputs: str,
) -> None:
    """Train `head` in place on a table, each clip after what its speaker may have said
    before."""
    speakers = Speakers(table)
    drawn = np.array(table.weights())
    drawn /= drawn.sum()
    weights = sentiment_weights(table.items, drawn.tolist())
    n_steps = max(1, len(table.items) // BATCH)
    seen: dict[str, Tensor] = {}
    layers, tones = table.scaled(head)

    def batches(epoch: int) -> Iterator[tuple[Draw, np.random.Generator]]:
        rng = np.random.default_rng(recipe.seed + epoch)
        with torch.no_grad():  # the mix of layers hardly moves within an epoch
            utterances = head.mixed(layers.float(), tones)
            head.moods.copy_(table.moods(utterances, head.dims.n_emotions))
            seen["voices"] = voices_of(head, utterances)
        seen["epoch"] = torch.tensor(epoch)
        for _ in range(n_steps):
            yield rng.choice(len(drawn), BATCH, p=drawn), rng

    def loss(batch: tuple[Draw, np.random.Generator]) -> Tensor:
        chosen, rng = batch
        speaker, known = speakers.drawn(chosen.tolist(), seen["voices"], rng)
        utterances = head.mixed(layers[chosen].float(), tones[chosen])
        sentiment, emotions, _ = head(utterances, speaker, known)
        return head_loss(sentiment, emotions, [table.items[i] for i in chosen], weights)

    def validate() -> float:
        return float(seen["epoch"])  # the last one is taken: nothing is chosen on any speaker

    fit(
        head,
        batches=batches,
        steps_per_epoch=n_steps,
        loss=loss,
        validate=validate,
        recipe=recipe,
        run_dir=run_dir,
        inputs=inputs,
    )


def learn(
    dims: VoiceDimensions,
    table: Table,
    recipe: Recipe,
    run_dir: Path,
    inputs: str,
    started: EmotionHead | None = None,
) -> tuple[EmotionHead, dict[str, float]]:
    """Teach a head on all of a table, and heads on folds of it for the temperatures.

    Raises InputError where there are not two speakers.
    """
    answers = answered(dims, table, recipe, run_dir, inputs, started)
    temperature = calibrate(table, list(answers.values()))
    head = begun(dims, table, started)
    teach(head, table, recipe, run_dir / "all", inputs)
    return head_in_fp16(head), temperature


def begun(dims: VoiceDimensions, table: Table, started: EmotionHead | None) -> EmotionHead:
    """Make the head that `teach` goes on with: a copy of `started`, else an untaught one."""
    if started is None:
        return untaught(dims, table)
    copied = EmotionHead(started.dims, DROPOUT)
    copied.load_state_dict(started.state_dict())
    return copied


def answered(
    dims: VoiceDimensions,
    table: Table,
    recipe: Recipe,
    run_dir: Path,
    inputs: str,
    started: EmotionHead | None = None,
) -> dict[str, Read]:
    """Answer for every clip by a head that did not hear its speaker: by itself, after N_AFTER
    others of the speaker, and after as many of the same mood."""
    n = len(table.items)
    found = {
        way: Read(torch.zeros(n, dims.n_sentiments), torch.zeros(n, dims.n_emotions))
        for way in WAYS
    }
    fold_of = folds(table)
    for fold in range(int(fold_of.max()) + 1):
        learnt, asked = (np.flatnonzero(mask) for mask in (fold_of != fold, fold_of == fold))
        part = table[learnt]
        head = begun(dims, part, started)
        teach(head, part, recipe, run_dir / f"fold-{fold}", inputs)
        for way, (n_before, one_mood) in WAYS.items():
            said = read(head, table[asked], n_before, one_mood)
            found[way].sentiment[asked], found[way].emotions[asked] = said.sentiment, said.emotions
    return found


def folds(table: Table) -> NDArray[np.intp]:
    """Give each clip its fold (n,): within each set N_FOLDS groups of whole speakers, or one
    speaker a fold where there are fewer. Raises InputError where there are not two."""
    sets, speakers = (
        np.array([getattr(item, name) for item in table.items]) for name in ("data_set", "speaker")
    )
    if len(set(speakers.tolist())) < 2:
        raise InputError("clips of two speakers at least are needed", "data")
    found = np.zeros(len(sets), np.intp)
    for name in dict.fromkeys(sets.tolist()):
        here = np.flatnonzero(sets == name)
        n_folds = min(N_FOLDS, len(set(speakers[here].tolist())))
        if n_folds < 2:
            continue
        split = GroupKFold(n_folds).split(here, groups=speakers[here])
        for fold, (_, held) in enumerate(split):
            found[here[held]] = fold
    return found


def calibrate(table: Table, answers: Sequence[Read]) -> dict[str, float]:
    """Fit the temperatures, and how much evener noise makes an answer, on answers for speakers
    that were not heard; each set and label counts as it is drawn."""
    share = torch.tensor(table.weights(), dtype=torch.double)
    emotion_of = torch.tensor([item.emotion for item in table.items])
    sentiment_of = torch.tensor([item.sentiment for item in table.items])
    doubt = doubt_of(table.quality[:, 0]).double().unsqueeze(1)  # (n, 1)
    fitted = torch.zeros(3, dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([fitted], lr=0.3, max_iter=80, line_search_fn="strong_wolfe")
    kept = sentiment_of >= 0

    def closure() -> Tensor:
        optimizer.zero_grad()
        evener = 1 + fitted[2].exp() * doubt
        total = fitted[2].exp() * 0
        for one in answers:
            emotions = allowed(one.emotions, table.items).double() / (fitted[1].exp() * evener)
            sentiment = pooled_sentiment(one.sentiment, one.emotions).double()[kept]
            sentiment = sentiment / (fitted[0].exp() * evener[kept])
            total = total + (
                share @ F.cross_entropy(emotions, emotion_of, reduction="none")
                + share[kept] @ F.cross_entropy(sentiment, sentiment_of[kept], reduction="none")
            )
        total = total / (len(answers) * share.sum())
        total.backward()
        return total

    optimizer.step(closure)
    sentiment, emotion, slope = fitted.detach().exp().tolist()
    return {"sentiment": sentiment, "emotion": emotion, "doubt": max(slope, LEAST_DOUBT)}


@torch.no_grad()
def voices_of(head: EmotionHead, utterances: Tensor) -> Tensor:
    """Take the mood out of utterances (n, n_utterance), a part at a time."""
    was_training = head.training
    head.eval()
    voices = torch.cat([head.voice(part) for part in utterances.split(CHUNK)])
    head.train(was_training)
    return voices


@torch.inference_mode()
def read(head: EmotionHead, table: Table, n_before: int, one_mood: bool = False) -> Read:
    """Read all clips of a table, each after so many others of its speaker."""
    head.eval()
    utterances = head.mixed(*(part.float() for part in table.scaled(head)))
    voices = voices_of(head, utterances) if n_before else utterances
    speaker, known = Speakers(table).after(range(len(table.items)), n_before, one_mood, voices)
    sentiment, emotions, _ = head(utterances, speaker, known)
    return Read(sentiment, emotions)
