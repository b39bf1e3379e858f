"""A traced module gives what the module gives, or the module itself is used."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import weights
from fusion.pool import FusionPool, _Answers
from modalities.text.infer import TextReader
from modalities.traced import traced


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1 if x.sum() > 0 else x - 1


class Squaring(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return x @ x.T, (x, x.sum(0))


def test_shapes_that_were_no_example_give_the_same() -> None:
    module = Squaring()
    run = traced(module, [(torch.randn(2, 3),), (torch.randn(1, 4),)])
    assert run is not module
    x = torch.randn(7, 5)
    square, (same, total) = run(x)
    assert torch.equal(square, x @ x.T) and torch.equal(same, x) and torch.equal(total, x.sum(0))


def test_a_module_whose_steps_hang_on_its_inputs_runs_as_it_is() -> None:
    module = Branching()
    assert traced(module, [(torch.ones(2),), (-torch.ones(2),)]) is module


def test_the_shipped_models_are_traced() -> None:
    reader = TextReader.load(weights.path_of("text"))
    pool = FusionPool.load(weights.path_of("fusion"))
    assert reader.run is not reader.model and not isinstance(pool.run, _Answers)
