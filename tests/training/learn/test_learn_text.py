"""Learning a few rows on a small model: what they teach, what stays, what is sure enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from modalities import checkpoint
from modalities.errors import InputError
from modalities.reading import SENTIMENTS
from training import text, text_base
from training.learn import pseudo
from training.learn import text as recipe
from training.learn.rows import sample
from training.options import Options
from training.rows import Row, held_emotions
from training.text_examples import examples

OLD = {"positive": ("thank you", "lovely"), "negative": ("an outrage", "refund me")}
NEW = {"positive": ("broadband is stable",), "negative": ("the router blinks red",)}


def rows(data_set: str, phrases: dict[str, tuple[str, ...]], n: int) -> list[Row]:
    return [
        Row(
            data_set,
            f"{said} {i}",
            "dev" if i % 4 == 0 else "train",
            sentiment,
            # The old set's labels are emotions, so that both heads have learned.
            {"positive": "happy", "negative": "angry"}[sentiment] if data_set == "old" else None,
            sentiment,
        )
        for i in range(n)
        for sentiment, several in phrases.items()
        for said in several
    ]


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("parent")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_base, "N_BUCKETS", 1 << 12)
        patch.setattr(text_base, "N_VOCAB", 300)
        patch.setattr(text, "PRETRAINING_EPOCHS", 1)
        known = rows("old", OLD, 12)
        text.train(known, folder / "run", folder / "text.safetensors", Options(epochs=1))
    return folder / "text.safetensors"


def sentiments(path: Path, asked: list[Row]) -> list[str]:
    return [SENTIMENTS[i] for i in text.predict(path, asked)[0].argmax(-1)]


def test_new_labels_are_learned_and_the_old_ones_kept(parent: Path, tmp_path: Path) -> None:
    # The wrong way round for what the words resemble: only the labels can teach it.
    new, old = rows("new", NEW, 12), rows("old", OLD, 12)
    out = tmp_path / "text.safetensors"
    learned, dev = ([row for row in new if row.split == split] for split in ("train", "dev"))
    replay = [row for row in old if row.split == "train"]
    judged = dev + [row for row in old if row.split == "dev"]
    recipe.learn(parent, learned, replay, judged, tmp_path / "run", out, Options())
    assert sentiments(out, dev) == [row.sentiment for row in dev]
    assert sentiments(out, old) == [row.sentiment for row in old]
    before, after = checkpoint.load(parent), checkpoint.load(out)
    assert before.extra["tokenizer"] == after.extra["tokenizer"]
    assert set(before.state) == set(after.state)
    # Of emotions the new rows say nothing: those n-grams keep their logits but for a temperature.
    table, was = (saved.state["wide.table.weight"][:, 3:].numpy() for saved in (after, before))
    assert np.corrcoef(table.ravel(), was.ravel())[0, 1] > 0.999


def test_a_replay_moves_nothing_by_itself(parent: Path, tmp_path: Path) -> None:
    model, tokenizer = text_base.start(str(parent), [], tmp_path, 0, 0)
    # Labelled the wrong way round: it is not the labels that hold.
    old = [replace(row, sentiment="neutral", emotion="sad") for row in rows("old", OLD, 12)]
    items = examples(old, held_emotions(rows("old", OLD, 12)), tokenizer, model.dims)
    before = model.wide.table.weight.clone()
    recipe.widen(model.eval(), items, {}, (True, True))
    assert torch.allclose(model.wide.table.weight, before, atol=1e-4)
    recipe.widen(model, items, {"old": (True,) * 3}, (True, True))
    assert not torch.allclose(model.wide.table.weight, before, atol=1e-2)


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
    assert by_set["old"].count("negative") == 20


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
