"""A traced module gives what the module gives, or the module itself is used."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import weights
from modalities.text.infer import TextReader
from modalities.traced import traced


class Branching(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y if x.sum() > 0 else x - y


class Product(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x @ y.T


def test_shapes_that_were_no_example_give_the_same_batch_by_batch() -> None:
    run = traced(Product(), [(torch.randn(2, 3), torch.randn(4, 3)), (torch.ones(1, 4),) * 2])
    x, y, z = torch.randn(7, 5), torch.randn(2, 5), torch.randn(1, 9)
    first, second = run([(x, y), (z, z)])
    assert torch.equal(first, x @ y.T) and torch.equal(second, z @ z.T)


def test_a_module_whose_steps_hang_on_its_inputs_runs_as_it_is() -> None:
    ones = torch.ones(2)
    run = traced(Branching(), [(ones, ones), (-ones, ones)])
    both = run([(ones, ones), (-ones, ones)])
    assert [x.tolist() for x in both] == [[2.0, 2.0], [-2.0, -2.0]]


def test_the_shipped_model_is_traced() -> None:
    reader = TextReader.load(weights.path_of("text"))
    assert isinstance(reader.run.__closure__[0].cell_contents, torch.jit.ScriptModule)
