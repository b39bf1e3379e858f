from __future__ import annotations

import pytest
import torch
from tiny_bert import tiny_bert
from transformers import BertModel

from modalities.device import autocast
from training.precision import IN_FP32, fastest

IDS = torch.tensor([[2, 5, 6, 7, 3], [2, 8, 3, 0, 0]])
MASK = (IDS != 0).long()


def encoder(attention: str = "sdpa") -> BertModel:
    return tiny_bert(vocab_size=10, attn_implementation=attention)


def gradient(model: BertModel, precision: torch.dtype) -> torch.Tensor:
    with autocast("cpu", precision):
        states = model(input_ids=IDS, attention_mask=MASK).last_hidden_state  # (b, t, d)
    (states.float()[MASK.bool()][:, :5] ** 3).sum().backward()
    found = model.encoder.layer[0].attention.self.query.weight.grad
    assert found is not None
    return found


def on_one_with(monkeypatch: pytest.MonkeyPatch, *capabilities: str) -> None:
    can = dict.fromkeys(("amx_bf16", "avx512_bf16", "avx2"), False)
    found = can | dict.fromkeys(capabilities, True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)


@pytest.mark.parametrize(
    ("capability", "precision", "attention"),
    [
        ("amx_bf16", torch.bfloat16, IN_FP32),
        ("avx512_bf16", torch.bfloat16, IN_FP32),
        ("avx2", torch.float32, "sdpa"),
    ],
)
def test_bf16_where_the_processor_multiplies_it_faster(
    monkeypatch: pytest.MonkeyPatch, capability: str, precision: torch.dtype, attention: str
) -> None:
    on_one_with(monkeypatch, capability)
    model = encoder()
    with fastest(model) as found:
        assert (found, model.config._attn_implementation) == (precision, attention)
    assert model.config._attn_implementation == "sdpa"


def test_an_attention_that_is_not_torchs_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    on_one_with(monkeypatch, "amx_bf16")
    model = encoder("eager")
    with fastest(model):
        assert model.config._attn_implementation == "eager"


def test_attention_in_fp32_is_torchs_own() -> None:
    exact = gradient(encoder(), torch.float32)
    assert torch.equal(gradient(encoder(IN_FP32), torch.float32), exact)
    near = gradient(encoder(IN_FP32), torch.bfloat16)
    assert near.dtype == torch.float32
    assert (near - exact).norm() < 0.05 * exact.norm()
