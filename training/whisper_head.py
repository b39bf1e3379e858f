"""An emotion head on the frozen states of a Whisper checkpoint, which itself stays as it is."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from modalities import checkpoint
from modalities.voice.infer import encode_whisper, head_path_of
from modalities.voice.model import EmotionHead, VoiceDimensions
from modalities.voice.whisper_checkpoint import load
from training.loop import Recipe, fit
from training.voice import BATCH, Clip, clips, head_loss, temperatures, uar


def train_head(path: Path, run_dir: Path, limit: int = 1200, epochs: int = 12) -> None:
    """Train an emotion head on the frozen states of the Whisper checkpoint `path`, beside it.

    The encoder runs once over `limit` clips of the voice recipe's train split and a quarter as
    many of dev; the head then trains on the kept states.
    """
    whisper = load(str(path), path, "cpu")
    dims = VoiceDimensions.of_whisper(whisper.dims)
    kept = {
        split: _encoded(whisper.encoder, dims, clips(run_dir, split, most))
        for split, most in (("train", limit), ("dev", limit // 4))
    }
    (items, states), (dev_items, dev_states) = kept["train"], kept["dev"]
    recipe = Recipe(epochs=epochs, learning_rate=3e-3, patience=epochs)
    torch.manual_seed(recipe.seed)
    head = EmotionHead(dims, dropout=0.3)
    counts = torch.bincount(torch.tensor([i.sentiment for i in items if i.sentiment >= 0]))
    weights = counts.sum() / (3 * counts)

    def batches(epoch: int) -> Iterator[list[int]]:
        order = random.Random(epoch).sample(range(len(items)), len(items))
        for start in range(0, len(order), BATCH):
            yield order[start : start + BATCH]

    def run(rows: Sequence[int], of: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        sentiment, emotions, _ = head(*_stacked([of[i] for i in rows]))
        return sentiment, emotions

    def head_step(rows: list[int]) -> Tensor:
        return head_loss(*run(rows, states), [items[i] for i in rows], weights)

    def dev_logits() -> tuple[Tensor, Tensor]:
        chunks = range(0, len(dev_items), BATCH)
        parts = [run(range(i, min(i + BATCH, len(dev_items))), dev_states) for i in chunks]
        sentiment, emotions = zip(*parts, strict=True)
        return torch.cat(sentiment), torch.cat(emotions)

    def validate() -> float:
        figures = uar(dev_logits()[1], dev_items)
        return sum(figures.values()) / len(figures)

    digest = checkpoint.sha256(path)
    fit(
        head,
        batches=batches,
        steps_per_epoch=-(-len(items) // BATCH),
        loss=head_step,
        validate=validate,
        recipe=recipe,
        run_dir=run_dir / f"head-{digest[:12]}",
    )
    with torch.inference_mode():
        sentiment, emotions = dev_logits()
    checkpoint.save(
        head_path_of(path),
        dims,
        head.state_dict(),
        temperature=temperatures(sentiment, emotions, dev_items),
        whisper_sha256=digest,
    )


@torch.inference_mode()
def _encoded(
    encoder: nn.Module, dims: VoiceDimensions, items: list[Clip]
) -> tuple[list[Clip], list[Tensor]]:
    """The clips and their states (layers, t, d), fp16, where they hold sound."""
    kept = []
    for item in items:
        states, positions = encode_whisper(encoder, [item.samples()], dims)
        kept.append(torch.stack([s[0, : int(positions)] for s in states]).half())
    return items, kept


def _stacked(states: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """(layers, t, d) of mixed t → the layers' padded (b, t, d) and the lengths (b,)."""
    lengths = torch.tensor([s.shape[1] for s in states])
    padded = nn.utils.rnn.pad_sequence(
        [s.float().transpose(0, 1) for s in states], batch_first=True
    )  # (b, t, layers, d)
    return list(padded.unbind(2)), lengths
