"""A small model as one call that runs in C++ from end to end, without Python's lock.

Between two of its operations a PyTorch module holds that lock, and while other threads answer
requests it waits for it each time, often for milliseconds; a traced one does not, and a small
model spends half of its time there even alone. So all batches of a call go in one: what TorchScript
is given and gives are few tensors, for even to let one of Python's go it takes the lock.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

Rows: TypeAlias = Any  # what says how the inputs are batched, in TorchScript's types
Inputs: TypeAlias = tuple[list[Tensor], Rows]
Run: TypeAlias = Callable[[list[Tensor], Rows], Tensor]


class InTurn(nn.Module):
    """A module of two tensors, run on one batch after another."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    # TorchScript reads these types, and knows none of the names above.
    def forward(self, inputs: list[Tensor], shapes: list[tuple[int, int]]) -> Tensor:
        """Both inputs of all batches, flat, and the batches' shapes (b, t) → their outputs, row by
        row."""
        one, other = inputs
        found: list[Tensor] = []
        start = 0
        for b, t in shapes:
            end = start + b * t
            found.append(self.module(one[start:end].view(b, t), other[start:end].view(b, t)))
            start = end
        return torch.cat(found)


def traced(
    made_of: Callable[..., nn.Module],
    parts: Sequence[tuple[nn.Module, tuple[Tensor, ...]]],
    examples: Sequence[Inputs],
) -> Run:
    """What `made_of` makes of the parts, each of them traced on the inputs beside it, if on all of
    `examples` it gives what it gives with the parts as they are; else with these, as where their
    steps hang on what is in their inputs.

    It keeps the parts' weights, and the precision of now; they are in eval mode.
    """
    plain = made_of(*(part for part, _ in parts))
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps that may differ: whether they do is seen below
        try:
            traces = [torch.jit.trace(part, given, check_trace=False) for part, given in parts]
        except RuntimeError:
            return plain
        # Not frozen: what is, weights and all, stays in the registry of all code that was scripted.
        script = torch.jit.script(made_of(*traces).eval())

        def run(inputs: list[Tensor], rows: Rows) -> Tensor:
            # A second reference, without which C++ waits for Python's lock to let go of the first.
            held = torch.ScriptList(inputs)
            # Nothing is specialised to shapes: that would take seconds for each that comes anew.
            with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
                found: Tensor = script(held, rows)
            return found

        agrees = all(torch.allclose(run(*x), plain(*x), rtol=1e-5, atol=1e-5) for x in examples)
    return run if agrees else plain
