"""The wide path's recipe: its discriminants, and what it takes out of fold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from modalities.voice.prosody import N_ROBUST
from modalities.voice.wide import WidePath, weighed
from training import voice_wide
from training.clips import Clip
from training.loop import Recipe
from training.voice_wide import SHRINKAGE, discriminant, learnt, unheard, weigh

N, OFTEN, RECIPE = N_ROBUST + 20, torch.tensor([1.0]), Recipe(epochs=3, learning_rate=3e-3)


def clip(data_set: str, speaker: int, emotion: int) -> Clip:
    sentiment = (0, 1, 2, -1)[emotion % 4]
    wave = np.zeros(1, np.int16)
    return Clip(wave, 0, 1, data_set, f"{data_set}/{speaker}", (True,) * 7, emotion, sentiment)


@pytest.fixture(scope="module")
def items() -> list[Clip]:
    """Two sets of six speakers each, four emotions."""
    return [clip("ab"[i % 2], i % 12, i // 12 % 4) for i in range(240)]


@pytest.fixture(scope="module")
def values(items: list[Clip]) -> torch.Tensor:
    """Functionals of which some tell the emotion and some the set."""
    generator = torch.Generator().manual_seed(0)
    emotion = torch.tensor([item.emotion for item in items])
    x = torch.randn(len(items), N, generator=generator)
    x[:, -40:] += torch.randn(4, 40, generator=generator)[emotion]
    x[:, :5] += 4.0 * torch.tensor([[item.data_set == "a"] for item in items])
    return x.unsqueeze(0)


@pytest.fixture
def start() -> WidePath:
    torch.manual_seed(0)
    return WidePath(N, 16, 1, (3, 7), dropout=0.5)


@pytest.mark.parametrize("classes", [[0, 1, 2, 3], [2, 5]])
def test_a_discriminant_is_scikit_learns(classes: list[int]) -> None:
    rng = np.random.default_rng(0)
    y = rng.choice(classes, 300)
    x = (rng.standard_normal((300, 20)) + np.outer(y, rng.standard_normal(20)) * 0.3).astype("f4")
    weight, bias = discriminant(x, y, 7)
    priors = np.full(len(classes), 1 / len(classes))
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE, priors=priors)
    theirs.fit(x, y)
    expected = theirs.predict_proba(x)
    ours = torch.from_numpy(x @ weight[classes].T + bias[classes]).softmax(-1)
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    absent = [c for c in range(7) if c not in classes]
    assert not weight[absent].any() and not bias[absent].any()


def test_targets_of_minus_one_teach_nothing() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 5)).astype("f4"), rng.integers(-1, 3, 60)
    for ours, kept in zip(
        discriminant(x, y, 3), discriminant(x[y >= 0], y[y >= 0], 3), strict=True
    ):
        np.testing.assert_array_equal(ours, kept)


def test_every_judge_learns(start: WidePath, values: torch.Tensor, items: list[Clip]) -> None:
    wide = learnt(start, values, OFTEN, items, Recipe(epochs=40, learning_rate=3e-3, patience=40))
    target = torch.tensor([item.emotion for item in items])
    with torch.inference_mode():
        judges, familiar = wide(values[0])
    assert wide.n_sets == 2 and familiar.mean() > 0.7
    network, first, second, robust = (emotions for _, emotions in judges)
    for emotions in (network, first + second, robust):
        assert (emotions.argmax(-1) == target).float().mean() > 0.6
    assert wide.distances(wide.standard(values[0])).argmin(-1).tolist() == [
        int(item.data_set == "b") for item in items
    ]


def test_a_set_that_was_not_learnt_is_unfamiliar(
    start: WidePath, values: torch.Tensor, items: list[Clip]
) -> None:
    far = values[0].clone()
    far[:, :5] -= 4.0
    wide = learnt(start, values, OFTEN, items, RECIPE)
    with torch.inference_mode():
        assert wide(far)[1].median() < 0.5 * wide(values[0])[1].median()


def test_speakers_and_sets_are_answered_by_who_did_not_hear_them(
    start: WidePath, values: torch.Tensor, items: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[set[str]] = []

    def note(*args: object) -> WidePath:
        of: list[Clip] = args[3]  # type: ignore[assignment]
        taught.append({item.speaker for item in of})
        return learnt(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(voice_wide, "learnt", note)
    speakers, sets = unheard(start, values, OFTEN, items, RECIPE)
    every = {item.speaker for item in items}
    assert len(taught) == 5 + 2
    left_out = [every - of for of in taught]
    assert set().union(*left_out[:5]) == every == set().union(*left_out[5:])
    assert [len({name[0] for name in of}) for of in left_out[5:]] == [1, 1]
    for part in (speakers, sets):
        assert sorted(map(id, part.items)) == sorted(map(id, items))
        assert part.emotions.shape == (4, len(items), 7)
    of_a = torch.tensor([item.data_set == "a" for item in sets.items])
    assert not sets.emotions[1, of_a].any() and sets.emotions[2, of_a].any()


def test_judges_weigh_what_they_are_worth(
    start: WidePath, values: torch.Tensor, items: list[Clip]
) -> None:
    wide = learnt(start, values, OFTEN, items, RECIPE)
    with torch.no_grad():
        wide.network[1].weight *= 0
        wide.network[1].bias.copy_(torch.randn(7) * 5)  # sure, and wrong
        before = torch.stack([e for _, e in weighed(*wide(values[0]))])
        sentiment = torch.stack([s for s, _ in weighed(*wide(values[0]))])
    known = voice_wide.Unheard(items, sentiment, before)
    (after,) = weigh(wide, [known])
    target = torch.tensor([item.emotion for item in items])
    loss = torch.nn.functional.cross_entropy
    assert loss(after.emotions.sum(0), target) < 0.8 * loss(known.emotions.sum(0), target)
    with torch.inference_mode():  # the path itself now answers so
        again = torch.stack([e for _, e in weighed(*wide(values[0]))])
    torch.testing.assert_close(again, after.emotions, atol=1e-4, rtol=1e-4)
