"""One training loop for every model: AdamW, warm-up, early stopping, resume after a kill."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from modalities.device import autocast
from modalities.errors import InputError
from training.adapt import RankSchedule
from training.options import Options

LOG_EVERY = 10  # steps between two points of TensorBoard's curves


@dataclass(frozen=True)
class Recipe:
    """How long and how hard to train."""

    epochs: int
    learning_rate: float
    weight_decay: float = 0.05
    warmup_share: float = 0.08
    patience: int = 3
    clip_norm: float = 1.0
    seed: int = 20261124

    def chosen(self, options: Options) -> Recipe:
        """What the user chose in place of the recipe's own."""
        return replace(
            self,
            epochs=options.epochs or self.epochs,
            learning_rate=options.learning_rate or self.learning_rate,
        )


def fingerprint(*parts: object) -> str:
    """A digest of what decides a run, such as its rows and options: `fit` takes it as `inputs`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode() + b"\0")
    return digest.hexdigest()


def fit(
    model: nn.Module,
    *,
    batches: Callable[[int], Iterable[Any]],
    steps_per_epoch: int,
    loss: Callable[[Any], torch.Tensor],
    validate: Callable[[], float],
    recipe: Recipe,
    run_dir: Path,
    inputs: str = "",
    precision: torch.dtype = torch.float32,
    rate_of: Callable[[str], float] = lambda _: 1.0,
) -> float:
    """Train `model` in place and leave it with its best weights; returns the best validation.

    batches    epoch → its batches, the same for the same epoch (seeded by the caller)
    loss       one batch → a scalar tensor; it brings the batch to the model's device
    validate   the figure to maximise (macro-F1), called after every epoch in eval mode
    inputs     fingerprint of the data and whatever else is not in the recipe or the model
    precision  of the forward pass's matrix products on the CPU; on CUDA they are in bf16
    rate_of    a parameter's name → its share of the learning rate

    Randomness is reseeded per epoch from `recipe.seed`, and a checkpoint is written after each
    one, so that a run killed at any point and started again ends as an unbroken one does (bit for
    bit on the CPU; a GPU's sums have no fixed order). Curves for TensorBoard are in
    `run_dir`/tensorboard.

    Raises InputError where `run_dir` holds a run of another model, recipe or data, and where the
    loss stops being a number.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    last = run_dir / "last.pt"
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            decay = recipe.weight_decay if p.ndim >= 2 else 0.0
            groups.setdefault((rate_of(name), decay), []).append(p)
    optimizer = torch.optim.AdamW(
        [
            {"params": params, "lr": recipe.learning_rate * rate, "weight_decay": decay}
            for (rate, decay), params in groups.items()
        ],
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
    )
    total = recipe.epochs * steps_per_epoch
    warmup = max(1, round(recipe.warmup_share * total))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(
            (step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * min(1.0, step / total))) + 1e-3
        ),
    )
    ranks = RankSchedule(model)
    made_of = {
        "model": fingerprint(
            [(n, tuple(p.shape), p.requires_grad) for n, p in model.named_parameters()]
        ),
        "recipe": fingerprint(asdict(recipe)),
        "data or options": fingerprint(inputs, steps_per_epoch),
    }
    progress: dict[str, Any] = {"epoch": 0, "best": -math.inf, "best_epoch": -1, "best_state": None}
    if last.exists():
        saved = torch.load(last, map_location="cpu", weights_only=True)
        other = [name for name, digest in made_of.items() if saved["made_of"][name] != digest]
        if other:
            raise InputError(
                f"{run_dir} holds a run of another {', '.join(other)}: "
                "name another folder, or delete it to start anew",
                "run",
            )
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        ranks.load_state_dict(saved["ranks"])
        progress = saved["progress"]
        print(f"resumed after epoch {progress['epoch']}, best {progress['best']:.4f}", flush=True)

    from torch.utils.tensorboard import SummaryWriter  # it takes seconds to import

    curves = SummaryWriter(
        str(run_dir / "tensorboard"), purge_step=progress["epoch"] * steps_per_epoch + 1
    )
    device = next(model.parameters()).device
    if device.type == "cuda":
        precision = torch.bfloat16
    for epoch in range(progress["epoch"], recipe.epochs):
        if epoch - progress["best_epoch"] > recipe.patience:
            break
        torch.manual_seed(recipe.seed + epoch)
        model.train()
        _still_frozen_statistics(model)
        started, summed, step = time.monotonic(), 0.0, 0
        bar = tqdm(batches(epoch), total=steps_per_epoch, desc=f"epoch {epoch + 1}", mininterval=10)
        for step, batch in enumerate(bar, start=1):
            optimizer.zero_grad(set_to_none=True)
            with autocast(device, precision):
                value = loss(batch)
            value.backward()
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
            optimizer.step()
            done = epoch * steps_per_epoch + step
            ranks.step(done)
            if done % LOG_EVERY == 1:
                curves.add_scalar("loss", value.item(), done)
                curves.add_scalar("learning rate", schedule.get_last_lr()[0], done)
            schedule.step()
            summed += value.item()
            if not math.isfinite(summed):
                raise InputError(
                    f"the loss is {value.item()} at step {done}: train slower", "learning-rate"
                )
            if step == 20 and epoch == 0:
                per_step = (time.monotonic() - started) / step
                print(
                    f"{per_step:.3f} s/step × {total} steps = {per_step * total / 60:.1f} min",
                    flush=True,
                )
        model.eval()
        with torch.inference_mode():
            figure = validate()
        curves.add_scalar("validation", figure, (epoch + 1) * steps_per_epoch)
        curves.flush()
        if figure > progress["best"]:
            state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            progress |= {"best": figure, "best_epoch": epoch, "best_state": state}
        progress["epoch"] = epoch + 1
        seconds = time.monotonic() - started
        print(
            f"epoch {epoch + 1}: loss {summed / max(step, 1):.4f}, validation {figure:.4f} "
            f"(best {progress['best']:.4f}), {seconds:.0f} s",
            flush=True,
        )
        _save(
            last,
            {
                "made_of": made_of,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "ranks": ranks.state_dict(),
                "progress": progress,
            },
        )
    curves.close()
    model.load_state_dict(progress["best_state"])
    model.eval()
    return float(progress["best"])


def _still_frozen_statistics(model: nn.Module) -> None:
    """Batch statistics of a layer that does not train are not to move either."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not any(
            p.requires_grad for p in module.parameters()
        ):
            module.eval()


def _save(path: Path, content: Any) -> None:
    """Written beside and renamed: a kill leaves the old file or the new one."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())  # a power cut must not find the new name before the new content
    partial.replace(path)
