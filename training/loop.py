"""One training loop for every model: AdamW, warm-up, early stopping, resume after a kill."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm


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


def fit(
    model: nn.Module,
    *,
    batches: Callable[[int], Iterable[Any]],
    steps_per_epoch: int,
    loss: Callable[[Any], torch.Tensor],
    validate: Callable[[], float],
    recipe: Recipe,
    run_dir: Path,
) -> float:
    """Train `model` in place and leave it with its best weights; returns the best validation.

    batches    epoch → its batches, the same for the same epoch (seeded by the caller)
    loss       one batch → a scalar tensor
    validate   the figure to maximise (macro-F1), called after every epoch in eval mode

    Randomness is reseeded per epoch from `recipe.seed`, and a checkpoint is written after each
    one, so that a run killed at any point and started again ends as an unbroken one does.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    last = run_dir / "last.pt"
    decay = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    rest = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [
            {"params": decay, "weight_decay": recipe.weight_decay},
            {"params": rest, "weight_decay": 0.0},
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
    progress: dict[str, Any] = {"epoch": 0, "best": -math.inf, "best_epoch": -1, "best_state": None}
    if last.exists():
        saved = torch.load(last, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        progress = saved["progress"]
        print(f"resumed after epoch {progress['epoch']}, best {progress['best']:.4f}", flush=True)

    for epoch in range(progress["epoch"], recipe.epochs):
        if epoch - progress["best_epoch"] > recipe.patience:
            break
        torch.manual_seed(recipe.seed + epoch)
        model.train()
        started, summed, step = time.monotonic(), 0.0, 0
        bar = tqdm(batches(epoch), total=steps_per_epoch, desc=f"epoch {epoch + 1}", mininterval=10)
        for step, batch in enumerate(bar, start=1):
            optimizer.zero_grad(set_to_none=True)
            value = loss(batch)
            value.backward()
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
            optimizer.step()
            schedule.step()
            summed += value.item()
            if step == 20 and epoch == 0:
                per_step = (time.monotonic() - started) / step
                print(
                    f"{per_step:.3f} s/step × {total} steps = {per_step * total / 60:.1f} min",
                    flush=True,
                )
        model.eval()
        with torch.inference_mode():
            figure = validate()
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
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "progress": progress,
            },
        )
    model.load_state_dict(progress["best_state"])
    model.eval()
    return float(progress["best"])


def _save(path: Path, content: Any) -> None:
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)
