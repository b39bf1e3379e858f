"""What differs between the CPU and CUDA: the encoders' precision, and how inputs get there."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def default_precision(device: str) -> torch.dtype:
    """bf16 on CUDA, fp32 on the CPU, where bf16 is emulated and up to ten times slower."""
    return torch.bfloat16 if device.startswith("cuda") else torch.float32


def autocast(device: str | torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """For an encoder alone: its matrix products and convolutions run in `precision`; weights, the
    sums along its blocks, norms and softmax stay fp32, and so do the heads outside."""
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(torch.device(device).type, precision)


def to_device(tensor: Tensor, device: str) -> Tensor:
    """From the CPU's memory; to CUDA through pinned memory, so that the copy runs beside what the
    device still works on."""
    if device.startswith("cuda"):
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor
