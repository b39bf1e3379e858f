"""A BERT to train in a test."""

from __future__ import annotations

from typing import Any

import torch
from transformers import BertConfig, BertModel


def tiny_bert(**changes: Any) -> BertModel:
    """The same random weights each time, no dropout; `changes` are of its configuration."""
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 16,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    return BertModel(BertConfig(**sizes | changes), add_pooling_layer=False)
