"""An emotion head on the frozen states of a Whisper checkpoint, which itself stays as it is."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from modalities import checkpoint
from modalities.errors import InputError
from modalities.voice import whisper_checkpoint
from modalities.voice.infer import encode_whisper
from modalities.voice.model import EmotionHead, VoiceDimensions
from training.clips import Clip, clips, head_loss, sentiment_weights, temperatures, uar
from training.loop import Recipe, fingerprint, fit
from training.options import Options
from training.rows import Row

BATCH = 16


def train_head(rows: Sequence[Row], run_dir: Path, out: Path, options: Options) -> None:
    """Train an emotion head on the states of the Whisper checkpoint `options.base`.

    The encoder runs once over the `train` and `dev` rows; the head then trains on the kept
    states. The service finds the head where `modalities.voice.infer.head_path_of` says. Raises
    UnavailableError where the checkpoint cannot be had, InputError where its encoder is to train.
    """
    if options.peft or options.freeze:
        raise InputError("a Whisper encoder is used as it is: only its head trains", "peft")
    assert options.base is not None
    path = whisper_checkpoint.locate(options.base, whisper_dir())
    whisper = whisper_checkpoint.load(options.base, path, options.device)
    dims = VoiceDimensions.of_whisper(whisper.dims)
    items, dev_items = (clips(rows, split, run_dir) for split in ("train", "dev"))
    states, dev_states = (_encoded(whisper.encoder, dims, of) for of in (items, dev_items))
    epochs = options.epochs or 12
    recipe = Recipe(epochs, options.learning_rate or 3e-3, patience=epochs)
    torch.manual_seed(recipe.seed)
    head = EmotionHead(dims, dropout=0.3).to(options.device)
    weights = sentiment_weights(items, [1.0] * len(items))

    def batches(epoch: int) -> Iterator[list[int]]:
        order = random.Random(epoch).sample(range(len(items)), len(items))
        for start in range(0, len(order), BATCH):
            yield order[start : start + BATCH]

    def run(rows: Sequence[int], of: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        found, lengths = _stacked([of[i] for i in rows])
        sentiment, emotions, _ = head(
            [state.to(options.device) for state in found], lengths.to(options.device)
        )
        return sentiment, emotions

    def head_step(rows: list[int]) -> Tensor:
        return head_loss(*run(rows, states), [items[i] for i in rows], weights)

    def dev_logits() -> tuple[Tensor, Tensor]:
        chunks = range(0, len(dev_items), BATCH)
        parts = [run(range(i, min(i + BATCH, len(dev_items))), dev_states) for i in chunks]
        sentiment, emotions = zip(*parts, strict=True)
        return torch.cat(sentiment).cpu(), torch.cat(emotions).cpu()

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
        inputs=fingerprint([(r.data_set, r.content, r.split, r.emotion) for r in rows]),
    )
    with torch.inference_mode():
        sentiment, emotions = dev_logits()
    checkpoint.save(
        out,
        dims,
        head.state_dict(),
        temperature=temperatures(sentiment, emotions, dev_items),
        whisper_sha256=digest,
    )


def whisper_dir() -> Path:
    """Where openai-whisper keeps what it downloads, and `emotion models pull` by default."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "whisper"


@torch.inference_mode()
def _encoded(encoder: nn.Module, dims: VoiceDimensions, items: list[Clip]) -> list[Tensor]:
    """The clips' states (layers, t, d), fp16 on the CPU, where they hold sound."""
    device = next(encoder.parameters()).device
    kept = []
    for item in items:
        states, positions = encode_whisper(encoder, [item.samples().to(device)], dims)
        kept.append(torch.stack([s[0, : int(positions)] for s in states]).half().cpu())
    return kept


def _stacked(states: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """(layers, t, d) of mixed t → the layers' padded (b, t, d) and the lengths (b,)."""
    lengths = torch.tensor([s.shape[1] for s in states])
    padded = nn.utils.rnn.pad_sequence(
        [s.float().transpose(0, 1) for s in states], batch_first=True
    )  # (b, t, layers, d)
    return list(padded.unbind(2)), lengths
