"""A text model to train in a test: a few words, a small encoder, random weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from modalities import checkpoint
from modalities.text.model import TextDimensions, TextModel
from training.vocabulary import tokenizer_of

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "▁")
N_CTX = 32
ENCODER = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": N_CTX,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


def tiny_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer of the shipped one's kind that knows the words and characters of `texts`."""
    words = Counter(word for text in texts for word in text.split())
    pieces = [f"▁{word}" for word, _ in words.most_common()]
    characters = sorted({character for word in words for character in word})
    known = list(dict.fromkeys((*SPECIAL, *pieces, *characters)))
    scores = [-2.0 if piece in pieces else -4.0 for piece in known]
    return tokenizer_of(known, scores, cls_id=0, sep_id=2, unk_id=3)


def tiny_text_model(tokenizer: Tokenizer, **changes: Any) -> TextModel:
    """A model that knows the markers of turns before, without dropout and with the same random
    weights each time; `changes` are of ENCODER."""
    n = tokenizer.get_vocab_size()
    encoder = ENCODER | {"vocab_size": n + 2, "pad_token_id": 1} | changes
    torch.manual_seed(0)
    return TextModel(
        TextDimensions(encoder, N_CTX, pad_id=1, unk_id=3, same_id=n, other_id=n + 1)
    ).eval()


def save_tiny_text(path: Path, texts: Iterable[str], **changes: Any) -> Path:
    """Write the checkpoint of a tiny model that can read `texts`; returns `path`."""
    tokenizer = tiny_tokenizer(texts)
    model = tiny_text_model(tokenizer, **changes)
    checkpoint.save(path, model.dims, model.state_dict(), tokenizer=tokenizer.to_str(), recipe={})
    return path
