"""The text model: BERT (Devlin et al. 2019) with a sentiment head and an emotion head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from modalities.reading import EMOTIONS, SENTIMENTS


@dataclass(frozen=True)
class TextDimensions:
    """Saved with the weights; enough to build the model again."""

    n_vocab: int
    n_ctx: int  # tokens in a window, [CLS] and [SEP] included
    n_state: int
    n_head: int
    n_layer: int
    n_sentiments: int = len(SENTIMENTS)
    n_emotions: int = len(EMOTIONS)


class TextModel(nn.Module):
    """Token ids (b, t) and their mask (b, t) → sentiment and emotion logits, pooled state."""

    def __init__(self, dims: TextDimensions, dropout: float = 0.0) -> None:
        super().__init__()
        self.dims = dims
        self.bert = BertModel(
            BertConfig(
                vocab_size=dims.n_vocab,
                hidden_size=dims.n_state,
                num_hidden_layers=dims.n_layer,
                num_attention_heads=dims.n_head,
                intermediate_size=4 * dims.n_state,
                max_position_embeddings=dims.n_ctx,
                type_vocab_size=1,
                hidden_dropout_prob=dropout,
                attention_probs_dropout_prob=dropout,
            ),
            add_pooling_layer=False,
        )
        self.dropout = nn.Dropout(2 * dropout)
        self.sentiment_head = nn.Linear(2 * dims.n_state, dims.n_sentiments)
        self.emotion_head = nn.Linear(2 * dims.n_state, dims.n_emotions)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state  # (b, t, d)
        real = mask.unsqueeze(-1).bool()  # (b, t, 1)
        # Mean and max together: the mean says what the text is about, the max keeps one
        # strong word in a long review from being averaged away.
        mean = (states * real).sum(1) / real.sum(1)  # (b, d)
        peak = states.masked_fill(~real, -torch.inf).amax(1)  # (b, d)
        pooled = torch.cat([mean, peak], dim=-1)  # (b, 2d)
        features = self.dropout(pooled)
        return self.sentiment_head(features), self.emotion_head(features), pooled


def pad(windows: list[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    """Windows of mixed lengths → ids (b, t) padded with 0 ([PAD]) and their mask (b, t)."""
    longest = max(map(len, windows))
    ids = torch.zeros(len(windows), longest, dtype=torch.long)
    mask = torch.zeros(len(windows), longest, dtype=torch.long)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = torch.tensor(window)
        mask[row, : len(window)] = 1
    return ids, mask
