"""A model as one call that runs in C++ from end to end, without Python's lock.

Between two of its operations a PyTorch module holds that lock and, while other threads answer
requests, waits for it up to 5 ms each time; a traced one does not, and a small model spends half
of its time there even alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Outputs = Any  # as the module's: a tensor or tuples of them


def traced(module: nn.Module, examples: Sequence[tuple[Tensor, ...]]) -> Callable[..., Outputs]:
    """`module` traced on the first of `examples`, inputs of different shapes, if on all of them it
    gives what the module gives; else `module`, as where its steps hang on what is in its inputs.

    It keeps the module's weights, and the precision and the mode of now.
    """
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps that may differ: whether they do is seen below
        try:
            script = torch.jit.trace(module, examples[0], check_trace=False)
        except RuntimeError:
            return module

        def call(*inputs: Tensor) -> Outputs:
            # Nothing is specialised to shapes: that would take seconds for each that comes anew.
            with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
                return script(*inputs)

        agrees = all(_equal(call(*inputs), module(*inputs)) for inputs in examples)
    return call if agrees else module


def _equal(some: Outputs, others: Outputs) -> bool:
    if isinstance(some, Tensor):
        return some.shape == others.shape and torch.allclose(some, others, rtol=0, atol=1e-6)
    return all(map(_equal, some, others))
