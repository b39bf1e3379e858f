"""The text model: a transformer encoder with a sentiment and an emotion head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from modalities.device import autocast
from modalities.reading import EMOTIONS, SENTIMENTS

if TYPE_CHECKING:
    from modalities.text.prepare import Window

Ids = NDArray[np.int64]
CONTEXT, MESSAGE = 1, 2  # what a token belongs to; 0 is padding


@dataclass(frozen=True)
class TextDimensions:
    """Saved with the weights; enough to build the model again."""

    encoder: dict[str, Any]  # a transformers configuration, its `model_type` included
    n_ctx: int  # tokens in a window, the first and last special ones included
    pad_id: int  # RoBERTa counts positions by it
    unk_id: int  # −1 where the tokenizer has none
    same_id: int  # before a turn of the message's own writer, and
    other_id: int  # of the other side; the tokenizer knows neither, so that no text can hold them
    n_sentiments: int = len(SENTIMENTS)
    n_emotions: int = len(EMOTIONS)


class TextModel(nn.Module):
    """Token ids (b, t) and what they belong to (b, t) → sentiment and emotion logits, pooled state.

    `encoder` is any of transformers' bidirectional encoders, its pooling layer left out.
    """

    def __init__(self, dims: TextDimensions) -> None:
        super().__init__()
        self.dims = dims
        self.precision = torch.float32  # of the encoder
        config = AutoConfig.for_model(**dims.encoder)
        self.encoder = without_pooler(AutoModel.from_config(config))
        self.dropout = nn.Dropout(0.1)
        self.sentiment_head = nn.Linear(config.hidden_size, dims.n_sentiments)
        self.emotion_head = nn.Linear(config.hidden_size, dims.n_emotions)

    def forward(self, ids: Tensor, part: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with autocast(ids.device, self.precision):
            mask = (part > 0).to(ids.dtype)
            states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        own = (part == MESSAGE).unsqueeze(-1)  # (b, t, 1)
        pooled = (states.float() * own).sum(1) / own.sum(1)  # (b, d)
        features = self.dropout(pooled)
        return self.sentiment_head(features), self.emotion_head(features), pooled


def without_pooler(encoder: nn.Module) -> nn.Module:
    """Drop BERT's own pooling layer, which we never read; not every architecture has one."""
    if hasattr(encoder, "pooler"):
        encoder.pooler = None  # type: ignore[assignment]
    # Tracing looks at every property, that of a loss too, and transformers warns where none is set.
    encoder.loss_type = "ForMaskedLM"  # type: ignore[assignment]
    return encoder


def pad(windows: Sequence[Window], pad_id: int) -> tuple[Tensor, Tensor]:
    """Windows of mixed lengths → ids (b, t) padded with `pad_id` and what they belong to (b, t)."""
    ids, part = padded(windows, pad_id)
    return torch.from_numpy(ids), torch.from_numpy(part)


def padded(windows: Sequence[Window], pad_id: int, length: int = 0) -> tuple[Ids, Ids]:
    """As `pad`, in numpy, and to at least `length` tokens."""
    lengths = np.array([len(window.ids) for window in windows])
    starts = np.array([window.start for window in windows])
    ids = np.full((len(windows), max(length, lengths.max())), pad_id)  # (b, t)
    for row, window in enumerate(windows):
        ids[row, : len(window.ids)] = window.ids
    place = np.arange(ids.shape[1])
    part = np.where(place < starts[:, None], CONTEXT, MESSAGE)
    part[place >= lengths[:, None]] = 0
    return ids, part.astype(ids.dtype)
