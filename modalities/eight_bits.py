"""Matrices in eight bits, as checkpoints hold them, multiplied in eight bits.

Weights have a scale a row, inputs one a token and another for the few columns whose inputs are far
larger than the rest (after Dettmers et al., "LLM.int8()", NeurIPS 2022, section 3). So no answer
hangs on what else is in its batch, and the sums, of integers, are exact. On a processor with
instructions for it that is some three times as fast as fp32, in a quarter of the memory.
"""

from __future__ import annotations

import warnings
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MOST = 127  # the largest magnitude in use: as far below zero as above
LEAST_SCALE = 1e-7
LARGE = 100_000  # elements of a matrix from which on eight bits are worth it
APART = 1 / 48  # of a matrix's columns, those with the largest inputs, have a scale of their own


@cache
def is_fast() -> bool:
    """Whether the processor multiplies eight-bit integers faster than fp32."""
    can = torch.cpu.get_capabilities()
    return any(can.get(name) for name in ("avx512_vnni", "avx_vnni", "amx_int8"))


def in_rows(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix (n, k) → its rows in eight bits, and their scales (n, 1) in half precision."""
    scale = (matrix.abs().amax(1, keepdim=True) / MOST).clamp_min(LEAST_SCALE).half()
    return (matrix / scale.float()).round().clamp(-MOST, MOST).to(torch.int8), scale


# TorchScript reads the two functions below: a traced encoder calls them, for what is traced itself
# stays in memory for ever. Of names outside it knows only what is a default here.
def _product(x: Tensor, weight: Tensor, most: int = MOST, least: float = LEAST_SCALE) -> Tensor:
    """(t, k) in fp32, rounded to eight bits a token, times (n, k) in eight bits → (t, n)."""
    scale = (x.abs().amax(1, keepdim=True) / most).clamp_min(least)
    return torch._int_mm((x / scale).round().to(torch.int8), weight.T) * scale


def _linear(
    x: Tensor,
    weight: Tensor,
    scale: Tensor,
    bias: Tensor,
    rest: Tensor,
    apart: Tensor,
    weight_apart: Tensor,
) -> Tensor:
    tokens = x.flatten(0, -2)  # (t, k)
    summed = _product(tokens * rest, weight)  # (t, n)
    summed += _product(tokens[:, apart], weight_apart)
    return (summed * scale + bias).view(x.shape[:-1] + bias.shape)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TorchScript is in maintenance: decision 15
    _scripted = torch.jit.script(_linear)


class EightBitLinear(nn.Module):
    """`linear` with weights and inputs in eight bits; `large` (k,) are its inputs' magnitudes."""

    weight: Tensor
    scale: Tensor
    bias: Tensor
    apart: Tensor
    rest: Tensor
    weight_apart: Tensor

    def __init__(self, linear: nn.Linear, large: Tensor) -> None:
        super().__init__()
        weight, scale = in_rows(linear.weight.detach())
        apart = large.topk(round(APART * len(large))).indices.sort().values
        bias = torch.zeros(len(weight)) if linear.bias is None else linear.bias.detach()
        self.register_buffer("weight", weight)  # (n, k)
        self.register_buffer("scale", scale.float().T.contiguous())  # (1, n)
        self.register_buffer("bias", bias)  # (n,)
        self.register_buffer("apart", apart)  # (a,)
        self.register_buffer("rest", torch.ones(len(large)).index_fill(0, apart, 0.0))  # (k,)
        self.register_buffer("weight_apart", weight[:, apart].contiguous())  # (n, a)

    def forward(self, x: Tensor) -> Tensor:
        """(…, k) → (…, n)."""
        if torch.is_grad_enabled():  # what is rounded has no gradient
            return F.linear(x, self.weight * self.scale.T, self.bias)
        found: Tensor = _scripted(
            x, self.weight, self.scale, self.bias, self.rest, self.apart, self.weight_apart
        )
        return found


class EightBitEmbedding(nn.Module):
    """The rows of `table` in eight bits."""

    weight: Tensor
    scale: Tensor

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        weight, scale = in_rows(table.weight.detach())
        self.register_buffer("weight", weight)  # (n, d)
        self.register_buffer("scale", scale.float())  # (n, 1)

    def forward(self, ids: Tensor) -> Tensor:
        """(…) → (…, d)."""
        return F.embedding(ids, self.weight) * F.embedding(ids, self.scale)


@torch.no_grad()  # not in inference mode, whose tensors have no part in gradients
def to_eight_bits(encoder: nn.Module, ids: Tensor) -> None:
    """Replace an encoder's large matrices; what it does with the tokens `ids` (b, t) shows which of
    their inputs are large."""
    large: dict[nn.Module, Tensor] = {}

    def look(linear: nn.Module, inputs: tuple[Tensor], _: Tensor) -> None:
        large[linear] = inputs[0].flatten(0, -2).abs().amax(0)

    hooks = [
        module.register_forward_hook(look)
        for module in encoder.modules()
        if isinstance(module, nn.Linear) and module.weight.numel() >= LARGE
    ]
    encoder(input_ids=ids)
    for hook in hooks:
        hook.remove()
    for parent in tuple(encoder.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear) and child in large:
                setattr(parent, name, EightBitLinear(child, large[child]))
            elif isinstance(child, nn.Embedding) and child.weight.numel() >= LARGE:
                setattr(parent, name, EightBitEmbedding(child))
