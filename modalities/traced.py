"""A small model as one call that runs in C++ from end to end, without Python's lock.

Between two of its operations a PyTorch module holds that lock and, while other threads answer
requests, waits for it up to 5 ms each time; a traced one does not, and a small model spends half
of its time there even alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

Inputs: TypeAlias = tuple[Tensor, Tensor]
Run: TypeAlias = Callable[[Sequence[Inputs]], list[Tensor]]  # batch by batch


class _EachInTurn(nn.Module):
    def __init__(self, script: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.script = script

    # Read by TorchScript, which knows no other names of these types.
    def forward(self, batches: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        return [self.script(one, other) for one, other in batches]


def traced(module: nn.Module, examples: Sequence[Inputs]) -> Run:
    """`module` of two tensors, traced on the first of `examples`, which differ in shape, if on all
    of them it gives what the module gives; else the module as it is (see `plain`), as where its
    steps hang on what is in its inputs.

    It keeps the module's weights, and the precision and the mode of now.
    """
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps that may differ: whether they do is seen below
        try:
            trace = torch.jit.trace(module, examples[0], check_trace=False)
        except RuntimeError:
            return plain(module)
        script = torch.jit.script(_EachInTurn(trace))

        def run(batches: Sequence[Inputs]) -> list[Tensor]:
            # Nothing is specialised to shapes: that would take seconds for each that comes anew.
            with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
                found: list[Tensor] = script(list(batches))
            return found

        pairs = zip(run(examples), plain(module)(examples), strict=True)
        agrees = all(a.shape == b.shape and torch.allclose(a, b, 0, 1e-6) for a, b in pairs)
    return run if agrees else plain(module)


def plain(module: nn.Module) -> Run:
    """`module` batch by batch."""
    return lambda batches: [module(one, other) for one, other in batches]
