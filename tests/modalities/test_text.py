"""Text: what is prepared, what is read, and that a batch changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import weights
from modalities.errors import InputError, UnavailableError
from modalities.reading import Array, Reading, Source
from modalities.text.infer import TextReader, _Said
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


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader.load(weights.path_of("text"))


def test_a_reading_holds_two_distributions(reader: TextReader) -> None:
    (reading,) = reader.infer([reader.prepare(TEXTS[1])])
    assert reading.source is Source.TEXT
    assert np.exp(reading.log_sentiment).sum() == pytest.approx(1, abs=1e-5)
    assert np.exp(reading.log_emotions).sum() == pytest.approx(1, abs=1e-5)
    assert -1 <= reading.score <= 1
    assert reading.quality.characters == len(TEXTS[1])


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
def test_alone_and_in_a_batch_of_16_mixed_lengths_it_is_the_same(precision: torch.dtype) -> None:
    """However the batch is cut; bf16 is what CUDA runs in."""
    reader = TextReader.load(weights.path_of("text"))
    prepared = [reader.prepare(text) for text in TEXTS]
    exact = [probabilities(reader.infer([item])[0]) for item in prepared]
    if precision != torch.float32:
        reader.run, reader.model.precision = InTurn(_Said(reader.model)), precision
    for max_batch_cost in (100.0, 1e9):
        reader.max_batch_cost = max_batch_cost
        for answer, expected in zip(reader.infer(prepared), exact, strict=True):
            difference = np.abs(probabilities(answer) - expected).max()
            assert difference <= (1e-4 if precision == torch.float32 else 2e-2)


def probabilities(reading: Reading) -> Array:
    return np.exp(np.concatenate([reading.log_sentiment, reading.log_emotions]))


def test_a_long_text_is_read_whole_in_even_windows(reader: TextReader) -> None:
    prepared = reader.prepare("I waited for hours. " * 200)
    lengths = [len(window) for window in prepared.windows]
    assert len(lengths) > 1
    assert max(lengths) <= reader.dims.n_ctx
    assert max(lengths) - min(lengths) <= len(lengths)
    # The complaint stands only in the last words: a cut-off text would not notice it.
    plain = "The parcel is on the table. " * 30
    angry = plain + "This is the worst service ever, I hate it, awful, terrible! " * 8
    calm, upset = reader.infer([reader.prepare(plain), reader.prepare(angry)])
    assert upset.score < calm.score


def test_emoji_and_unknown_letters_are_told_apart(reader: TextReader) -> None:
    assert reader.prepare("😡").unknown_share == 0
    assert reader.prepare("我😡了").unknown_share == 0
    assert reader.prepare("ᚠᚢᚦᚨ ᚱᚲ").unknown_share > 0.5


@pytest.mark.parametrize("text", ["", " \n\t ", "\u3000", "\x00\x01"])
def test_nothing_to_read_is_refused(reader: TextReader, text: str) -> None:
    with pytest.raises(InputError):
        reader.prepare(text)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: pytest.TempPathFactory) -> None:
    for name, content in (("pickle.safetensors", b"\x80\x04K\x01."), ("none.safetensors", None)):
        path = tmp_path / name  # type: ignore[operator]
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UnavailableError) as error:
            TextReader.load(path)
        assert error.value.remedy
