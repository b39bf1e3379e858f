"""The text recipe on a handful of rows: every kind of base, and what is served of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published import CONFIGS, publish
from tiny_text import save_tiny_text
from transformers import AutoModel, PreTrainedTokenizerFast

from modalities import checkpoint
from modalities.errors import InputError, UnavailableError
from modalities.reading import EMOTIONS, SENTIMENTS
from modalities.text.infer import TextReader
from modalities.text.model import TextDimensions, TextModel, pad
from modalities.text.prepare import Turn, Window
from training import text, text_base, text_examples
from training.options import Options
from training.rows import Row

PHRASES = {
    ("happy", "positive"): ("what a lovely day", "thank you so much", "真是太好了", "我很开心"),
    ("angry", "negative"): ("this is an outrage", "i want a refund", "太气人了", "你们骗人"),
}
TEXTS = [phrase for phrases in PHRASES.values() for phrase in phrases]


def rows(data_set: str = "tiny", *, emotions: bool = True) -> list[Row]:
    """Every third is said after another."""
    made = []
    for number in range(12):
        for (emotion, sentiment), phrases in PHRASES.items():
            content = f"{phrases[number % 4]} {number}"
            split = "dev" if number >= 8 else "train"
            label = emotion if emotions else sentiment
            kept = emotion if emotions else None
            before = (Turn(False, phrases[(number + 1) % 4]),) if number % 3 == 0 else ()
            made.append(Row(data_set, content, split, label, kept, sentiment, before=before))
    return made


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(params=list(CONFIGS))
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder as transformers saves an encoder and its tokenizer, with random weights."""
    return publish(tmp_path / request.param, request.param, [row.content for row in rows()])


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A checkpoint of ours."""
    return save_tiny_text(tmp_path / "base.safetensors", [row.content for row in rows()])


def test_a_published_encoder_gives_the_librarys_own_hidden_states(published: Path) -> None:
    model, tokenizer = text_base.start(str(published), 0)
    theirs = AutoModel.from_pretrained(published).eval()
    fast = PreTrainedTokenizerFast.from_pretrained(published)
    texts = ["thank you so much", "太气人了"]
    expected_ids = fast(texts, padding=True, return_tensors="pt")
    windows = [Window(tuple(tokenizer.encode(one).ids)) for one in texts]
    ids, part = pad(windows, model.dims.pad_id)
    assert torch.equal(ids, expected_ids["input_ids"])
    mask = (part > 0).long()
    with torch.inference_mode():
        ours = model.eval().encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        expected = theirs(
            input_ids=ids, attention_mask=expected_ids["attention_mask"]
        ).last_hidden_state
        # The longest window the model may be given, and tokens that their tokenizer has not.
        full = torch.full((1, model.dims.n_ctx), model.dims.other_id)
        model.encoder(input_ids=full, attention_mask=torch.ones_like(full))
    assert torch.equal(ours[mask.bool()], expected[mask.bool()])
    assert model.dims.same_id == len(fast) and model.dims.other_id == len(fast) + 1


def test_a_published_encoder_is_trained_and_served_from_one_file(
    published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.safetensors"
    text.train(rows(), tmp_path / "run", out, Options(base=str(published), epochs=1))
    reader = TextReader.load(out)
    texts = ["好", "thank you so much, it is lovely " * 8, "refund 1"]
    prepared = [reader.prepare(one, [Turn(True, "i want a refund")]) for one in texts]
    assert len(prepared[1].windows) > 1
    for item, together in zip(prepared, reader.infer(prepared), strict=True):
        (alone,) = reader.infer([item])
        assert np.exp(alone.log_emotions) == pytest.approx(np.exp(together.log_emotions), abs=1e-4)
        assert alone.embedding.shape == (32,)


def test_it_learns_and_starts_a_second_training(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_examples, "BATCH_TOKENS", 40)
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    options = Options(base=str(base), epochs=8, learning_rate=5e-3)
    text.train(rows(), tmp_path / "a", first, options)
    _, told = text.predict(first, [row for row in rows() if row.split == "dev"])
    emotions = [EMOTIONS.index(emotion) for emotion, _ in PHRASES]
    assert told[:, emotions].argmax(-1).tolist() == [0, 1] * 4
    # Without emotions among the labels nothing reaches the emotion head.
    reviews = rows("reviews", emotions=False)
    again = Options(base=str(first), epochs=8, learning_rate=2e-3)
    text.train(reviews, tmp_path / "b", second, again)
    told, _ = text.predict(second, [row for row in reviews if row.split == "dev"])
    assert told[:, [0, 2]].argmax(-1).tolist() == [0, 1] * 4
    before, after = checkpoint.load(first), checkpoint.load(second)
    assert after.extra["tokenizer"] == before.extra["tokenizer"]
    assert after.extra["recipe"]["sets"] == ["reviews"]
    for name, resting in (
        ("emotion_head.weight", True),
        ("emotion_head.bias", True),
        ("sentiment_head.weight", False),
    ):
        assert torch.equal(before.state[name], after.state[name]) is resting


def test_adapters_are_folded_into_the_layers_and_leave_the_rest(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    options = Options(base=str(base), peft="lora", epochs=1)
    text.train(rows(), tmp_path / "run", out, options)
    before, after = checkpoint.load(base).state, checkpoint.load(out)
    model = TextModel(TextDimensions(**after.dims))
    assert after.state.keys() == model.state_dict().keys()
    changed = {name for name in before if not torch.equal(before[name], after.state[name])}
    linear = {n for n, p in model.encoder.named_parameters() if ".layer." in n and p.ndim == 2}
    heads = {
        f"{head}_head.{part}" for head in ("sentiment", "emotion") for part in ("weight", "bias")
    }
    assert changed == {f"encoder.{name}" for name in linear} | heads


@pytest.mark.parametrize("kind", ["lora", "adalora"])
def test_a_killed_training_with_adapters_ends_as_an_unbroken_one(
    kind: Any, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(base=str(base), peft=kind, epochs=4)
    unbroken, resumed = tmp_path / "unbroken.safetensors", tmp_path / "resumed.safetensors"
    text.train(rows(), tmp_path / "unbroken", unbroken, options)
    figure, calls = text.dev_figure, iter(range(3))

    def killed(*given: Any) -> float:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return figure(*given)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(text, "dev_figure", killed)
        text.train(rows(), tmp_path / "resumed", resumed, options)
    assert not resumed.exists()
    text.train(rows(), tmp_path / "resumed", resumed, options)
    assert resumed.read_bytes() == unbroken.read_bytes()
    assert resumed.read_bytes() != base.read_bytes()


def test_a_base_that_is_not_there_and_rows_without_labels(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    with pytest.raises(UnavailableError) as error:
        text.train(rows(), tmp_path / "run", out, Options(base=str(tmp_path / "none")))
    assert "hf download" in error.value.remedy
    unlabelled = [Row("tiny", "hm", split, "other") for split in ("train", "dev")]
    with pytest.raises(InputError):
        text.train(unlabelled, tmp_path / "b", out, Options(base=str(base)))
    assert not out.exists()


def test_what_is_not_read_is_answered_evenly(base: Path) -> None:
    turkish = "Siparişim hâlâ gelmedi, kimse telefona cevap vermiyor."
    asked = [Row("tiny", content, "test", "") for content in ("thank you so much", turkish, "ψψψψ")]
    sentiment, emotions = text.predict(base, asked)
    even = [np.log(1 / len(SENTIMENTS)), np.log(1 / len(EMOTIONS))]
    for place in (1, 2):
        assert sentiment[place] == pytest.approx(even[0]), emotions[place] == pytest.approx(even[1])
    assert sentiment[0] != pytest.approx(even[0], abs=1e-4)
    (alone,), _ = text.predict(base, asked[:1])
    assert alone == pytest.approx(sentiment[0])
