"""A small model as one call that runs in C++ from end to end, without Python's lock.

Between two of its operations a PyTorch module holds that lock, and while other threads answer
requests it waits for it each time, often for milliseconds; a traced one does not, and a small
model spends half of its time there even alone. So all batches of a call go in one: what TorchScript
is given and gives are few tensors, for even to let one of Python's go it takes the lock.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

Shape: TypeAlias = tuple[int, int]
Inputs: TypeAlias = tuple[list[Tensor], list[Shape]]
Run: TypeAlias = Callable[[list[Tensor], list[Shape]], Tensor]


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


def traced(module: nn.Module, examples: Sequence[Inputs]) -> Run:
    """`module` as `InTurn` runs it, traced on the first batch of the first of `examples`, if on all
    of them it gives what the module gives; else the module as it is, as where its steps hang on
    what is in its inputs.

    It keeps the module's weights, and the precision of now; the module is in eval mode.
    """
    plain = InTurn(module)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps that may differ: whether they do is seen below
        [one, other], [(b, t), *_] = examples[0]
        try:
            trace = torch.jit.trace(
                module, (one[: b * t].view(b, t), other[: b * t].view(b, t)), check_trace=False
            )
        except RuntimeError:
            return plain
        script = torch.jit.freeze(torch.jit.script(InTurn(trace).eval()))

        def run(inputs: list[Tensor], shapes: list[Shape]) -> Tensor:
            # A second reference, without which C++ asks Python for its lock where it lets go of one
            # of them, and two thirds of the waiting were for that.
            held = torch.jit.script(inputs)
            # Nothing is specialised to shapes: that would take seconds for each that comes anew.
            with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
                found: Tensor = script(held, shapes)
            return found

        agrees = all(torch.allclose(run(*x), plain(*x), rtol=0, atol=1e-6) for x in examples)
    return run if agrees else plain
