"""The text model: a transformer encoder and a wide path, with a sentiment and an emotion head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from modalities.device import autocast
from modalities.reading import EMOTIONS, SENTIMENTS
from modalities.text.wide import WidePath

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class TextDimensions:
    """Saved with the weights; enough to build the model again."""

    encoder: dict[str, Any]  # a transformers configuration, its `model_type` included
    n_ctx: int  # tokens in a window, the first and last special ones included
    pad_id: int  # RoBERTa counts positions by it
    unk_id: int  # −1 where the tokenizer has none
    n_buckets: int  # of the wide path, a power of two
    n_sentiments: int = len(SENTIMENTS)
    n_emotions: int = len(EMOTIONS)


class TextModel(nn.Module):
    """Token ids (b, t) and their mask (b, t) → sentiment and emotion logits, pooled state.

    `encoder` is any of transformers' bidirectional encoders, its pooling layer left out.
    """

    def __init__(self, dims: TextDimensions) -> None:
        super().__init__()
        self.dims = dims
        self.precision = torch.float32  # of the encoder
        config = AutoConfig.for_model(**dims.encoder)
        self.encoder = without_pooler(AutoModel.from_config(config))
        self.dropout = nn.Dropout(2 * getattr(config, "hidden_dropout_prob", 0.1))
        self.sentiment_head = nn.Linear(2 * config.hidden_size, dims.n_sentiments)
        self.emotion_head = nn.Linear(2 * config.hidden_size, dims.n_emotions)
        self.wide = WidePath(dims.n_buckets, dims.n_sentiments + dims.n_emotions)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sentiment, emotions, pooled = self.deep(ids, mask)
        wide = self.wide(ids, mask).split([self.dims.n_sentiments, self.dims.n_emotions], -1)
        return sentiment + wide[0], emotions + wide[1], pooled

    def deep(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `forward` gives, without the wide path."""
        with autocast(ids.device, self.precision):
            states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        states = states.float()  # (b, t, d)
        real = mask.unsqueeze(-1).bool()  # (b, t, 1)
        # Mean and max together: the mean says what the text is about, the max keeps one
        # strong word in a long review from being averaged away.
        mean = (states * real).sum(1) / real.sum(1)  # (b, d)
        peak = states.masked_fill(~real, -torch.inf).amax(1)  # (b, d)
        pooled = torch.cat([mean, peak], dim=-1)  # (b, 2d)
        features = self.dropout(pooled)
        return self.sentiment_head(features), self.emotion_head(features), pooled


def without_pooler(encoder: nn.Module) -> nn.Module:
    """Drop BERT's own pooling layer, which we never read; not every architecture has one."""
    if hasattr(encoder, "pooler"):
        encoder.pooler = None  # type: ignore[assignment]
    return encoder


def pad(windows: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Windows of mixed lengths → ids (b, t) padded with `pad_id` and their mask (b, t)."""
    ids, mask = padded(windows, pad_id)
    return torch.from_numpy(ids), torch.from_numpy(mask)


def padded(windows: Sequence[Sequence[int]], pad_id: int) -> tuple[Ids, Ids]:
    """As `pad`, in numpy."""
    lengths = np.array([len(window) for window in windows])
    ids = np.full((len(windows), lengths.max()), pad_id)  # (b, t)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
    mask = np.arange(ids.shape[1]) < lengths[:, None]  # (b, t)
    return ids, mask.astype(ids.dtype)
