"""Eight bits say what fp32 says, nearly, and nothing of it hangs on the batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_text import save_tiny_text
from torch import Tensor, nn
from torch.nn import functional as F

import weights
from modalities import eight_bits
from modalities.eight_bits import EightBitEmbedding, EightBitLinear
from modalities.text.infer import TextReader

LARGE_COLUMN = 7


@pytest.fixture
def inputs() -> Tensor:
    torch.manual_seed(0)
    x = torch.randn(40, 384)
    x[:, LARGE_COLUMN] *= 50  # as some columns of every trained encoder
    return x


def off(linear: nn.Linear, eight: EightBitLinear, x: Tensor) -> float:
    """Deviation of the outputs, relative to the output's own."""
    with torch.inference_mode():
        return float((eight(x) - linear(x)).std() / linear(x).std())


def test_a_column_of_large_inputs_costs_the_others_nothing(inputs: Tensor) -> None:
    linear = nn.Linear(384, 300)
    aware = EightBitLinear(linear, inputs.abs().amax(0))
    unaware = EightBitLinear(linear, torch.arange(384.0))  # takes the last for the large ones
    assert off(linear, aware, inputs) < 0.02
    assert off(linear, unaware, inputs) > 3 * off(linear, aware, inputs)


def test_a_row_is_the_same_alone_and_among_others(inputs: Tensor) -> None:
    eight = EightBitLinear(nn.Linear(384, 300), inputs.abs().amax(0))
    with torch.inference_mode():
        together = eight(inputs.view(4, 10, 384)).view(40, 300)
        assert torch.equal(together, torch.cat([eight(x.view(1, 384)) for x in inputs]))


def test_gradients_are_those_of_the_matrix_in_fp32(inputs: Tensor) -> None:
    eight = EightBitLinear(linear := nn.Linear(384, 300), inputs.abs().amax(0))
    x = inputs.requires_grad_()
    (found,) = torch.autograd.grad(eight(x).sum(), x)
    (expected,) = torch.autograd.grad(linear(x).sum(), x)
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)


def test_rows_of_a_table_are_found_again() -> None:
    table = nn.Embedding(50, 384)
    ids = torch.tensor([[3, 49], [0, 3]])
    torch.testing.assert_close(EightBitEmbedding(table)(ids), table(ids), rtol=0, atol=0.02)
    once = EightBitEmbedding(table)
    table.weight.data = once.weight * once.scale  # as a checkpoint holds it
    assert torch.equal(EightBitEmbedding(table)(ids), F.embedding(ids, table.weight))


def test_what_is_not_stored_in_eight_bits_is_not_read_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eight_bits, "is_fast", lambda: True)
    learned = save_tiny_text(
        tmp_path / "text.safetensors", ["the quick brown fox jumps over the lazy dog"]
    )
    assert TextReader.load(learned).precision == torch.float32


@pytest.mark.skipif(not eight_bits.is_fast(), reason="this processor has no eight-bit products")
def test_the_text_model_says_what_it_says_in_fp32_in_any_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = TextReader.load(weights.path_of("text"))
    assert reader.precision == torch.int8
    texts = ("Where is it?", "I want my money back right now, this is a joke!", "谢谢", "ok " * 60)
    items = [reader.prepare(text) for text in texts]
    together = reader.infer(items)
    for item, reading in zip(items, together, strict=True):
        (alone,) = reader.infer([item])
        assert abs(alone.embedding - reading.embedding).max() == 0.0
    monkeypatch.setattr(eight_bits, "is_fast", lambda: False)
    exact = TextReader.load(weights.path_of("text"))
    assert exact.precision == torch.float32
    for one, other in zip(together, exact.infer(items), strict=True):
        assert one.score == pytest.approx(other.score, abs=0.1)
