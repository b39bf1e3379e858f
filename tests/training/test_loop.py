"""The training loop: a killed run that is resumed ends as an unbroken one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from modalities.errors import InputError
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


def long_run(run_dir: Path) -> nn.Module:
    """A run whose checkpoints take a moment to write: a large buffer is part of them."""
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.2), nn.Linear(16, 2))
    model.register_buffer("ballast", torch.zeros(1_000_000))
    fit(
        model,
        batches=lambda _: INPUTS.split(64),
        steps_per_epoch=4,
        loss=lambda x: nn.functional.cross_entropy(model(x), (x[:, 0] > 0).long()),
        validate=lambda: -nn.functional.cross_entropy(model(INPUTS), TARGETS).item(),
        recipe=Recipe(epochs=6, learning_rate=1e-2),
        run_dir=run_dir,
    )
    return model


def test_a_process_killed_while_it_writes_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    run_dir = tmp_path / "killed"
    last, partial = run_dir / "last.pt", run_dir / "last.partial"
    code = "import sys, pathlib, test_loop; test_loop.long_run(pathlib.Path(sys.argv[1]))"
    folders = os.pathsep.join((str(Path.cwd()), str(Path(__file__).parent)))
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(run_dir)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": folders},
    )
    deadline = time.monotonic() + 180
    while not (last.exists() and partial.exists()):  # the second checkpoint is being written
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.0005)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert 1 <= torch.load(last, weights_only=True)["progress"]["epoch"] < 6
    resumed, unbroken = (long_run(folder).state_dict() for folder in (run_dir, tmp_path / "other"))
    assert all(torch.equal(resumed[name], unbroken[name]) for name in unbroken)


@pytest.mark.parametrize("other", ["model", "recipe", "data"])
def test_a_run_of_something_else_is_not_resumed(other: str, tmp_path: Path) -> None:
    def attempt(width: int, recipe: Recipe, inputs: str) -> None:
        model = nn.Linear(width, 2)
        fit(
            model,
            batches=lambda _: range(2),
            steps_per_epoch=2,
            loss=lambda _: model(torch.ones(1, width)).square().sum(),
            validate=lambda: 0.0,
            recipe=recipe,
            run_dir=tmp_path,
            inputs=inputs,
        )

    recipe = Recipe(epochs=1, learning_rate=1e-2)
    attempt(4, recipe, "rows")
    attempt(4, recipe, "rows")
    changed = replace(recipe, learning_rate=2e-2) if other == "recipe" else recipe
    with pytest.raises(InputError, match=other) as error:
        attempt(5 if other == "model" else 4, changed, "others" if other == "data" else "rows")
    assert error.value.field == "run"


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(InputError) as error:
        fit(
            model,
            batches=lambda _: range(2),
            steps_per_epoch=2,
            loss=lambda _: model(torch.full((1, 2), torch.nan)).sum(),
            validate=lambda: 0.0,
            recipe=Recipe(epochs=1, learning_rate=1e-2),
            run_dir=tmp_path,
        )
    assert error.value.field == "learning-rate"


def test_a_parameter_learns_at_its_share_of_the_rate(tmp_path: Path) -> None:
    """Adam's first step is the learning rate itself."""
    torch.manual_seed(5)
    model = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(3)))
    before = [p.detach().clone() for p in model.parameters()]
    rates = {"0.weight": 0.0, "1.weight": 0.5, "2.weight": 3.0}
    fit(
        model,
        batches=lambda _: [INPUTS[:, :2]],
        steps_per_epoch=1,
        loss=lambda x: model(x).square().sum(),
        validate=lambda: 0.0,
        recipe=Recipe(epochs=1, learning_rate=1e-3, weight_decay=0.0),
        run_dir=tmp_path,
        rate_of=rates.__getitem__,
    )
    steps = [
        (p - old).abs().mean().item() for p, old in zip(model.parameters(), before, strict=True)
    ]
    assert steps[0] == 0
    assert steps[1:] == pytest.approx([0.5e-3, 3e-3], rel=1e-3)


def test_curves_are_written_for_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "learning rate", "validation"}
    assert [event.step for event in events.Scalars("validation")] == [8, 16, 24, 32]


def test_the_temperature_undoes_overconfidence() -> None:
    torch.manual_seed(0)
    logits = torch.randn(4000, 3)
    target = torch.distributions.Categorical(logits=logits).sample()
    assert fit_temperature(4 * logits, target) == pytest.approx(4, rel=0.1)
    target[:100] = -1
    assert fit_temperature(logits, target) == pytest.approx(1, rel=0.1)
