"""A traced module gives what the module gives, or the module itself is used."""

from __future__ import annotations

import gc
import resource
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import weights
from modalities.text.infer import TextReader
from modalities.traced import InTurn, traced


class Branching(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y if x.sum() > 0 else x - y


class Product(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return (x * y).cumsum(0)


def test_shapes_that_were_no_example_give_the_same_batch_by_batch() -> None:
    module, examples = Product().eval(), [([torch.randn(12), torch.randn(12)], [(2, 4), (1, 4)])]
    run = traced(InTurn, [(module, (torch.randn(2, 4), torch.randn(2, 4)))], examples)
    assert not isinstance(run, InTurn)
    one, other, shapes = torch.randn(48), torch.randn(48), [(7, 4), (1, 4), (4, 4)]
    ends = [28, 32, 48]
    parts = [(one[a:b].view(-1, 4), other[a:b].view(-1, 4)) for a, b in zip([0, *ends], ends)]  # noqa: B905
    expected = torch.cat([module(x, y) for x, y in parts])
    assert torch.equal(run([one, other], shapes), expected)


def test_a_module_whose_steps_hang_on_its_inputs_runs_as_it_is() -> None:
    ones, shapes = torch.ones(2), [(1, 2)]
    examples = [([ones, ones], shapes), ([-ones, ones], shapes)]
    run = traced(InTurn, [(Branching().eval(), (ones, ones))], examples)
    assert isinstance(run, InTurn)
    found = run([torch.tensor([1.0, 1.0, -1.0, -1.0]), torch.ones(4)], [(1, 2), (1, 2)])
    assert found.tolist() == [[2.0, 2.0], [-2.0, -2.0]]


class Weighted(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return (x + y) @ self.weight


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc: memory is not known")
def test_weights_are_let_go_with_their_run() -> None:
    width, sizes = 2048, []
    for _ in range(6):
        ones = torch.ones(width)
        examples = [([ones, ones], [(1, width)])]
        part = (Weighted(width).eval(), (torch.ones(1, width), torch.ones(1, width)))
        run = traced(InTurn, [part], examples)
        assert not isinstance(run, InTurn)
        del part, run
        gc.collect()
        sizes.append(resident_bytes())
    assert sizes[-1] - sizes[1] < 2 * 4 * width**2  # the bytes of two of four models


def test_the_shipped_model_of_text_is_traced() -> None:
    assert not isinstance(TextReader.load(weights.path_of("text")).run, InTurn)
