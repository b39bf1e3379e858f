"""Masked-language pre-training (Devlin et al. 2019), the first stage of the embedded text model.

One token in five is chosen; of these 80 % become [MASK], 10 % another token, 10 % stay. Only the
chosen positions go through the output layer, which is tied to the embeddings: with a small
encoder the vocabulary's logits would cost more than all else.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from modalities.text.model import pad
from training.loop import Recipe, fingerprint, fit
from training.precision import fastest

CHOSEN_SHARE = 0.2
HELD_OUT = 100  # every hundredth text tells how the training goes and is not learned
BATCH_TOKENS = 4096

Window = tuple[int, ...]


class MaskedLanguageModel(nn.Module):
    """`encoder` with BERT's output layer over its own word embeddings."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        embeddings = encoder.get_input_embeddings()  # type: ignore[operator]
        self.embedding: Tensor = embeddings.weight  # (v, d), tied
        n_vocab, n_state = self.embedding.shape
        self.transform = nn.Sequential(
            nn.Linear(n_state, n_state), nn.GELU(), nn.LayerNorm(n_state)
        )
        self.bias = nn.Parameter(torch.zeros(n_vocab))

    def forward(self, ids: Tensor, mask: Tensor, chosen: Tensor) -> Tensor:
        """Ids, mask and choice (b, t) → logits (number chosen, v)."""
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state  # (b, t, d)
        told = states[chosen]
        rounded = F.pad(told, (0, 0, 0, -len(told) % 64))  # few shapes, as of the batches
        return F.linear(self.transform(rounded), self.embedding, self.bias)[: len(told)]


def length_buckets(lengths: Sequence[int], max_tokens: int, rng: random.Random) -> list[list[int]]:
    """Places in `lengths`, in batches of at most `max_tokens` padded tokens and in random order.

    Lengths are taken up to a multiple of eight: to a matrix library each new shape costs time.
    """
    padded = [-(-length // 8) * 8 for length in lengths]
    made: list[list[int]] = [[]]
    for place in sorted(range(len(padded)), key=lambda place: (padded[place], rng.random())):
        if made[-1] and (len(made[-1]) + 1) * padded[place] > max_tokens:
            made.append([])
        made[-1].append(place)
    rng.shuffle(made)
    return made


def batches(windows: Sequence[Window], seed: int) -> list[list[Window]]:
    """All windows once, in batches of similar length and at most BATCH_TOKENS padded tokens."""
    groups = length_buckets([len(window) for window in windows], BATCH_TOKENS, random.Random(seed))
    return [[windows[place] for place in group] for group in groups]


def masked(ids: Tensor, mask: Tensor, special: Tensor, mask_id: int) -> tuple[Tensor, Tensor]:
    """(b, t) ids with some replaced, and which of them are to be told; `special` ids never are."""
    chosen = (torch.rand(ids.shape) < CHOSEN_SHARE) & mask.bool() & ~torch.isin(ids, special)
    fate = torch.rand(ids.shape)
    replaced = ids.masked_fill(chosen & (fate < 0.8), mask_id)
    other = torch.randint(int(special.max()) + 1, int(ids.max()) + 1, ids.shape)
    return torch.where(chosen & (fate >= 0.9), other, replaced), chosen


def pretrain(
    encoder: nn.Module,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    n_ctx: int,
    epochs: int,
    seed: int,
    run_dir: Path,
) -> None:
    """Train `encoder` in place on the first `n_ctx` tokens of `texts`; resumes in `run_dir`."""
    recipe = Recipe(epochs, learning_rate=1e-3, weight_decay=0.01, patience=epochs, seed=seed)
    model = MaskedLanguageModel(encoder)
    special = torch.tensor(
        [i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special]
    )
    vocabulary = tokenizer.get_vocab()
    pad_id, mask_id, sep_id = (vocabulary[f"[{name}]"] for name in ("PAD", "MASK", "SEP"))
    windows = [
        tuple(ids) if len(ids) <= n_ctx else (*ids[: n_ctx - 1], sep_id)
        for ids in (encoding.ids for encoding in tokenizer.encode_batch(list(texts)))
    ]
    learned = [window for i, window in enumerate(windows) if i % HELD_OUT]
    held_out = batches(windows[::HELD_OUT], recipe.seed)

    def loss(batch: Sequence[Window]) -> Tensor:
        ids, mask = pad(batch, pad_id)
        corrupted, chosen = masked(ids, mask, special, mask_id)
        return F.cross_entropy(model(corrupted, mask, chosen).float(), ids[chosen])

    def validate() -> float:
        torch.manual_seed(recipe.seed)
        return -float(torch.stack([loss(batch) for batch in tqdm(held_out)]).mean())

    with fastest(encoder) as precision:
        fit(
            model,
            batches=lambda epoch: batches(learned, recipe.seed + epoch),
            steps_per_epoch=len(batches(learned, recipe.seed)),
            loss=loss,
            validate=validate,
            recipe=recipe,
            run_dir=run_dir,
            inputs=fingerprint(windows),
            precision=precision,
        )
