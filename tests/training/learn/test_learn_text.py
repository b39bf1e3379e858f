"""Learning a few rows on a small model: what they teach, what stays, what is sure enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tiny_text import save_tiny_text

from modalities import checkpoint
from modalities.errors import InputError
from modalities.reading import SENTIMENTS
from modalities.text.prepare import Window
from training import text, text_base, text_examples
from training.learn import pseudo
from training.learn import text as recipe
from training.learn.rows import sample
from training.options import Options
from training.rows import Row
from training.text_examples import Example, examples, labels_said

OLD = {
    "positive": ("thank you", "lovely"),
    "negative": ("an outrage", "refund me"),
    "neutral": ("parcel number", "on monday"),
}
NEW = {"positive": ("broadband is stable",), "negative": ("the router blinks red",)}
DOUBTED = 5  # every fifth is labelled twice: what is certain of everything learns no more
FELT = {"positive": "happy", "negative": "angry", "neutral": "neutral"}
LONG = Options(epochs=4, learning_rate=5e-3)


def rows(data_set: str, phrases: dict[str, tuple[str, ...]], n: int) -> list[Row]:
    return [
        Row(
            data_set,
            f"{said} {i}",
            "dev" if i % 4 == 0 else "train",
            sentiment,
            # The old set's labels are emotions, so that both heads have learned.
            FELT[sentiment] if data_set == "old" else None,
            sentiment,
        )
        for i in range(n)
        for sentiment, several in phrases.items()
        for said in several
    ]


@pytest.fixture(autouse=True, scope="module")
def _small_batches() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_examples, "BATCH_TOKENS", 64)  # else a round of so few rows is one step
        yield


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("parent")
    known = rows("old", OLD, 12)
    known += [replace(row, sentiment="neutral", emotion="neutral") for row in known[::DOUBTED]]
    said = [row.content for row in known + rows("new", NEW, 12)]
    base = save_tiny_text(folder / "base.safetensors", said)
    text.train(known, folder / "run", folder / "text.safetensors", replace(LONG, base=str(base)))
    return folder / "text.safetensors"


def sentiments(path: Path, asked: list[Row]) -> list[str]:
    return [SENTIMENTS[i] for i in text.predict(path, asked)[0].argmax(-1)]


def test_new_labels_are_learned_and_the_old_ones_kept(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "LARGE", 1)  # what is learned is less than eight bits can tell
    new = rows("new", NEW, 12)
    old = [row for at, row in enumerate(rows("old", OLD, 12)) if at % DOUBTED]
    out = tmp_path / "text.safetensors"
    learned, dev = ([row for row in new if row.split == split] for split in ("train", "dev"))
    replay = [row for row in old if row.split == "train"]
    judged = dev + [row for row in old if row.split == "dev"]
    assert sentiments(parent, dev) != [row.sentiment for row in dev]
    recipe.learn(parent, learned, replay, judged, tmp_path / "run", out, LONG)
    assert sentiments(out, dev) == [row.sentiment for row in dev]
    assert sentiments(out, old) == [row.sentiment for row in old]
    before, after = checkpoint.load(parent), checkpoint.load(out)
    assert before.extra["tokenizer"] == after.extra["tokenizer"]
    assert set(before.state) == set(after.state)  # the adapters are folded in
    with safe_open(out, framework="pt") as file:
        assert not [name for name in file.keys() if name.endswith(checkpoint.SCALE)]  # noqa: SIM118


def test_a_replay_moves_nothing_by_itself(parent: Path, tmp_path: Path) -> None:
    model, tokenizer = text_base.start(str(parent), 0)
    # Labelled the wrong way round: it is not the labels that hold.
    old = [replace(row, sentiment="neutral", emotion="sad") for row in rows("old", OLD, 12)]
    items = examples(old, labels_said(rows("old", OLD, 12)), tokenizer, model.dims)
    before = text.answer(model.eval(), items)[0].softmax(-1)
    for name, new, stays in (("replay", [], True), ("new", items, False)):
        recipe.fit_adapters(model, new, items, items, tmp_path / name, LONG)
        after = text.answer(model, items)[0].softmax(-1)
        assert torch.allclose(before, after, atol=0.1) is stays


def test_labels_are_the_truth_of_new_items_and_the_parents_answers_of_all_else() -> None:
    window, said = Window((0, 5, 2)), ((True,) * 3, (True,) * 7)
    items = [
        Example(name, window, None, said, sentiment, -1)
        for name, sentiment in (("new", 0), ("new", -1), ("old", 0))
    ]
    p, even = torch.tensor([0.2, 0.5, 0.3]), torch.full((3, 7), 1 / 7)
    sentiment, emotions = recipe.targets((p.log().expand(3, 3), even.log()), items, {"new"})
    torch.testing.assert_close(sentiment, torch.stack([torch.tensor([1.0, 0.0, 0.0]), p, p]))
    torch.testing.assert_close(emotions, even)


def test_rows_without_a_label_of_ours_are_refused(parent: Path, tmp_path: Path) -> None:
    nothing = [Row("new", "hm", "train", "other")]
    with pytest.raises(InputError):
        recipe.learn(parent, nothing, [], nothing, tmp_path, tmp_path / "out", Options())


def test_a_replay_has_each_set_and_class_and_is_the_same_again() -> None:
    many = rows("old", OLD, 100) + rows("new", NEW, 10)
    kept = sample(many, 60)
    assert kept == sample(many, 60)
    assert len(kept) == 60
    by_set = {name: [row.label for row in kept if row.data_set == name] for name in ("old", "new")}
    assert [len(by_set["new"]), len(by_set["old"])] == [20, 40]
    assert by_set["old"].count("negative") == 13


def test_the_threshold_is_the_lowest_with_the_precision_asked_for() -> None:
    confidence = np.linspace(0, 1, 1001)
    correct = confidence > 0.5  # above t the precision is 0.5 / (1 − t), once t is below 0.5
    least = pseudo.threshold(confidence, correct, 0.8)
    assert least == pytest.approx(1 - 0.5 / 0.8, abs=0.01)
    assert pseudo.threshold(confidence, ~correct, 0.8) is None
    assert pseudo.threshold(confidence[-20:], correct[-20:], 0.8) is None  # too few to know


def test_pseudo_labels_are_the_parents_own_where_it_is_sure(parent: Path, tmp_path: Path) -> None:
    path = tmp_path / "unlabelled.csv"
    path.write_text("text\nthank you so much\nan outrage\n \n")
    unlabelled = pseudo.read("text", path)
    assert [row.content for row in unlabelled] == ["thank you so much", "an outrage"]
    dev = [row for row in rows("old", OLD, 60) if row.split == "dev"]
    found, least = pseudo.label("text", parent, unlabelled, dev, "sentiment", 0.9)
    assert least is not None
    answers = sentiments(parent, unlabelled)
    sure = np.exp(text.predict(parent, unlabelled)[0].max(-1)) >= least
    assert [(row.content, row.sentiment) for row in found] == [
        (row.content, answer)
        for row, answer, kept in zip(unlabelled, answers, sure, strict=True)
        if kept
    ]
    path.write_text("label\npositive\n")
    with pytest.raises(InputError, match="no column text"):
        pseudo.read("text", path)
