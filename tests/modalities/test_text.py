"""Text: what is read of a message, that a batch changes nothing, and what turns before it do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import weights
from modalities import eight_bits
from modalities.errors import UnavailableError
from modalities.model import infer_all
from modalities.reading import Array, Reading, Source
from modalities.text.infer import TextReader, _Said
from modalities.text.model import MESSAGE, pad
from modalities.text.prepare import PreparedText, Turn
from modalities.traced import InTurn

TEXTS = [
    "好",
    "你们的客服太差劲了,等了三天都没人理我!",
    "Thank you so much, you saved my day 🎉",
    "还行吧",
    "I want a refund now. " * 30,
    "快递昨天到了。" * 60,
    "😡😡😡",
    "مرحبا",
] * 2
BEFORE = (Turn(False, "Has the parcel arrived?"), Turn(True, "Not yet."))


def prepared(reader: TextReader) -> list[PreparedText]:
    """Every second text is said after others."""
    return [reader.prepare(text, BEFORE[: 3 * (at % 2)]) for at, text in enumerate(TEXTS)]


def test_a_reading_holds_two_distributions(reader: TextReader) -> None:
    (reading,) = reader.infer([reader.prepare(TEXTS[1])])
    assert reading.source is Source.TEXT
    assert np.exp(reading.log_sentiment).sum() == pytest.approx(1, abs=1e-5)
    assert np.exp(reading.log_emotions).sum() == pytest.approx(1, abs=1e-5)
    assert -1 <= reading.score <= 1
    assert reading.quality.characters == len(TEXTS[1])
    assert reading.embedding.shape == (reader.dims.encoder["hidden_size"],)


@pytest.mark.parametrize("max_batch_cost", [100.0, 1e9])
def test_alone_and_in_a_batch_of_16_mixed_lengths_it_is_the_same(
    reader: TextReader, max_batch_cost: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = prepared(reader)
    exact = [probabilities(reader.infer([item])[0]) for item in items]
    monkeypatch.setattr(reader, "max_batch_cost", max_batch_cost)
    for answer, expected in zip(reader.infer(items), exact, strict=True):
        assert np.abs(probabilities(answer) - expected).max() <= 1e-4


def test_bf16_as_cuda_runs_it_says_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eight_bits, "is_fast", lambda: False)
    reader = TextReader.load(weights.path_of("text"))
    items = prepared(reader)
    exact = [probabilities(reading) for reading in reader.infer(items)]
    monkeypatch.setattr(reader, "run", InTurn(_Said(reader.model)))
    monkeypatch.setattr(reader.model, "precision", torch.bfloat16)
    for answer, expected in zip(reader.infer(items), exact, strict=True):
        assert np.abs(probabilities(answer) - expected).max() <= 2e-2


def probabilities(reading: Reading) -> Array:
    return np.exp(np.concatenate([reading.log_sentiment, reading.log_emotions]))


def test_the_strongest_window_speaks_for_a_long_text(reader: TextReader) -> None:
    calm = "The parcel is on the table. " * 30
    items = [reader.prepare(text) for text in (calm, calm + "Worst service ever, I hate it!")]
    readings = reader.infer(items)
    for item, reading in zip(items, readings, strict=True):
        alone = reader.infer([replace(item, windows=(window,)) for window in item.windows])
        assert len(alone) > 1
        strongest = max(alone, key=lambda one: abs(one.score))
        assert probabilities(reading) == pytest.approx(probabilities(strongest), abs=1e-4)
        assert reading.embedding == pytest.approx(strongest.embedding, abs=1e-3)
    # The complaint stands only in the last words: a cut-off text or a mean would not notice it.
    assert readings[1].score < readings[0].score - 0.3


def test_windows_of_several_texts_are_not_mixed_up(reader: TextReader) -> None:
    long, short = reader.prepare(TEXTS[4]), reader.prepare(TEXTS[2])
    together = reader.infer([short, long, short])
    for item, reading in zip((short, long, short), together, strict=True):
        (alone,) = reader.infer([item])
        assert probabilities(reading) == pytest.approx(probabilities(alone), abs=1e-4)


def test_turns_before_are_read_and_not_pooled(reader: TextReader) -> None:
    (window,) = reader.prepare("Not at all.", BEFORE).windows
    ids, part = pad([window], reader.dims.pad_id)
    with torch.inference_mode():
        states = reader.model.encoder(input_ids=ids, attention_mask=part.clamp_max(1))
        *_, pooled = reader.model(ids, part)
    own = states.last_hidden_state[0, window.start :]  # (t, d)
    assert (part[0] == MESSAGE).sum() == len(own) < len(window.ids)
    assert torch.allclose(pooled[0], own.mean(0), atol=1e-5)
    questions = ("Are you satisfied with us?", "Did we disappoint you?")
    items = [reader.prepare("Not at all.", [Turn(False, question)]) for question in questions]
    first, second = reader.infer(items)
    assert np.abs(first.embedding - second.embedding).max() > 0.01


def test_who_said_a_turn_counts(reader: TextReader) -> None:
    turns = [[Turn(same, "It does not work.")] for same in (True, False)]
    own, other = reader.infer([reader.prepare("Really?", before) for before in turns])
    assert np.abs(own.embedding - other.embedding).max() > 1e-3


def test_without_turns_before_it_nothing_is_different(reader: TextReader) -> None:
    """Nor with such as hold no word."""
    for text in TEXTS[:4]:
        alone, silent = (reader.prepare(text, before) for before in ((), [Turn(False, " ")]))
        assert alone == silent
        assert probabilities(reader.infer([alone])[0]).tolist() == (
            probabilities(reader.infer([silent])[0]).tolist()
        )


def test_cost_is_in_tokens_of_all_windows(reader: TextReader) -> None:
    item = reader.prepare(TEXTS[4], BEFORE)
    assert reader.cost(item) == sum(len(window.ids) for window in item.windows) > reader.dims.n_ctx
    answers = infer_all(reader, prepared(reader), 3)
    assert len(answers) == len(TEXTS)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    for name, content in (("pickle.safetensors", b"\x80\x04K\x01."), ("none.safetensors", None)):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UnavailableError) as error:
            TextReader.load(path)
        assert error.value.remedy
