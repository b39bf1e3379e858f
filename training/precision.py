"""bf16 while a text encoder trains, on processors that multiply it faster than fp32.

Weights, norms, losses and the optimiser stay in fp32; so is what is validated and served.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

IN_FP32 = "sdpa_in_fp32"


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Queries, keys and values (b, h, t, d) → (b, t, h, d), in fp32: the gradient of torch's
    attention takes five times as long in bf16 on the CPU."""
    with torch.autocast(query.device.type, enabled=False):
        states, none = sdpa_attention_forward(
            module, query.float(), key.float(), value.float(), mask, **options
        )
    return states.to(query.dtype), none


AttentionInterface.register(IN_FP32, _attention)
AttentionMaskInterface.register(IN_FP32, sdpa_mask)


@contextmanager
def fastest(encoder: Any) -> Iterator[torch.dtype]:
    """What `encoder`, one of transformers', trains in within this context: bf16 on a CPU that has
    AMX or AVX-512 for it, else fp32; a GPU is `fit`'s own matter."""
    on_cpu = next(encoder.parameters()).device.type == "cpu"
    can = torch.cpu.get_capabilities()
    if not (on_cpu and (can.get("amx_bf16") or can.get("avx512_bf16"))):
        yield torch.float32
        return
    usual = encoder.config._attn_implementation
    if usual == "sdpa":
        encoder.set_attn_implementation(IN_FP32)
    try:
        yield torch.bfloat16
    finally:
        encoder.set_attn_implementation(usual)
