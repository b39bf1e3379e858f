"""The training loop: a killed run that is resumed ends as an unbroken one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from training.calibrate import fit_temperature
from training.loop import Recipe, fit

TORCH = torch.Generator().manual_seed(1)
INPUTS = torch.randn(256, 8, generator=TORCH)
TARGETS = (INPUTS[:, 0] + INPUTS[:, 1] > 0).long()


def run(run_dir: Path, kill_in_epoch: int | None = None) -> nn.Module:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.2), nn.ReLU(), nn.Linear(16, 2))

    def batches(epoch: int) -> Iterator[torch.Tensor]:
        order = torch.randperm(256, generator=torch.Generator().manual_seed(epoch))
        for place, rows in enumerate(order.split(32)):
            if epoch == kill_in_epoch and place == 3:
                raise KeyboardInterrupt
            yield rows

    fit(
        model,
        batches=batches,
        steps_per_epoch=8,
        loss=lambda rows: nn.functional.cross_entropy(model(INPUTS[rows]), TARGETS[rows]),
        validate=lambda: (model(INPUTS).argmax(-1) == TARGETS).float().mean().item(),
        recipe=Recipe(epochs=4, learning_rate=1e-2),
        run_dir=run_dir,
    )
    return model


def test_a_killed_run_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    unbroken = run(tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", kill_in_epoch=2)
    resumed = run(tmp_path / "killed")
    for a, b in zip(unbroken.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    assert (unbroken(INPUTS).argmax(-1) == TARGETS).float().mean() > 0.8


def test_the_temperature_undoes_overconfidence() -> None:
    torch.manual_seed(0)
    logits = torch.randn(4000, 3)
    target = torch.distributions.Categorical(logits=logits).sample()
    assert fit_temperature(4 * logits, target) == pytest.approx(4, rel=0.1)
    target[:100] = -1
    assert fit_temperature(logits, target) == pytest.approx(1, rel=0.1)
