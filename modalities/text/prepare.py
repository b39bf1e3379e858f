"""Text → token windows. CPU only; a text longer than the model's context becomes several."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

from modalities.errors import InputError


@dataclass(frozen=True)
class PreparedText:
    """Token ids by window, each [CLS] … [SEP] (or <s> … </s>), at most the model's `n_ctx` long."""

    windows: tuple[tuple[int, ...], ...]
    characters: int
    unknown_share: float  # of the tokens, [0, 1]


def prepare(text: str, tokenizer: Tokenizer, n_ctx: int, unk_id: int) -> PreparedText:
    """Tokenize `text`; raises InputError where it is empty or only white space.

    The tokenizer's own post-processor frames a text by one special token at each end.
    """
    stripped = text.strip()
    if not stripped:
        raise InputError("the text is empty or only white space")
    cls, *ids, sep = tokenizer.encode(stripped).ids
    if not ids:  # only control characters
        raise InputError("the text has no readable character")
    body = n_ctx - 2
    # Equal windows, so that the last one is never a meaningless stub of two tokens.
    size = -(-len(ids) // -(-len(ids) // body))
    windows = tuple((cls, *ids[start : start + size], sep) for start in range(0, len(ids), size))
    return PreparedText(windows, len(stripped), ids.count(unk_id) / len(ids))
