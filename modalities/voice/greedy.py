"""Greedy decoding of many encoded segments at once, over openai-whisper's own weights.

The tokens are those of `whisper.decode` at temperature 0. The library grows its key/value cache by
concatenation in hooks, keeps finished rows to the end and runs a pass of its own to detect the
language. Here the cache lies in place beforehand, what is heard has its true length, finished
rows leave the batch, and the prompt's first token, which is the same in every language, tells the
language and the no-speech probability in passing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from whisper.decoding import DecodingOptions, DecodingResult, DecodingTask
from whisper.model import MultiHeadAttention, Whisper
from whisper.utils import compression_ratio

Pair = tuple[Tensor, Tensor]  # keys and values (n, h, t, d/h)
LEAVING = 0.25  # share of finished rows at which they leave; copying the cache costs a step, too


class _Cache:
    """What the rows have heard and said so far, as keys and values of each block."""

    def __init__(self, whisper: Whisper, heard: Sequence[Tensor], n_ctx: int) -> None:
        self.decoder, dims = whisper.decoder, whisper.dims
        self.length = 0
        lengths = [len(states) for states in heard]
        packed, n = torch.cat(list(heard)), len(heard)  # (sum of t, d): no padding is projected

        def padded(states: Tensor) -> Tensor:
            parts = pad_sequence(list(states.split(lengths)), batch_first=True)  # (n, t, d)
            return _heads(parts, dims.n_text_head)

        self.heard: list[Pair] = [
            (padded(block.cross_attn.key(packed)), padded(block.cross_attn.value(packed)))
            for block in self.decoder.blocks
        ]
        inside = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
        self.inside = (
            None if bool(inside.all()) else inside[:, None, None].to(packed.device)
        )  # (n, 1, 1, t)
        shape = (n, dims.n_text_head, n_ctx, dims.n_text_state // dims.n_text_head)
        self.said: list[Pair] = [
            (keys.new_empty(shape), values.new_empty(shape)) for keys, values in self.heard
        ]

    def advance(self, tokens: Tensor) -> Tensor:
        """The next tokens (n, s) of each row → logits (n, n_vocab) of what follows the last."""
        decoder, n_new = self.decoder, tokens.shape[1]
        start, self.length = self.length, self.length + n_new
        x = decoder.token_embedding(tokens) + decoder.positional_embedding[start : self.length]
        before = decoder.mask[start : self.length, : self.length] if n_new > 1 else None
        for block, said, heard in zip(decoder.blocks, self.said, self.heard, strict=True):
            attn, cross = block.attn, block.cross_attn
            y = block.attn_ln(x)
            keys, values = (cached[:, :, : self.length] for cached in said)
            keys[:, :, start:] = _heads(attn.key(y), attn.n_head)
            values[:, :, start:] = _heads(attn.value(y), attn.n_head)
            x = x + _attend(attn, y, (keys, values), before)
            x = x + _attend(cross, block.cross_attn_ln(x), heard, self.inside)
            x = x + block.mlp(block.mlp_ln(x))
        last = decoder.ln(x[:, -1])  # (n, d)
        return F.linear(last, decoder.token_embedding.weight).float()

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone."""
        self.heard = [(keys[rows], values[rows]) for keys, values in self.heard]
        self.said = [(keys[rows], values[rows]) for keys, values in self.said]
        if self.inside is not None:
            self.inside = self.inside[rows]


def decode(
    whisper: Whisper,
    heard: Sequence[Tensor],
    languages: Sequence[str | None],
    options: DecodingOptions,
) -> list[DecodingResult]:
    """Decode each segment's encoded states (t, d), t of its own; None detects the language.

    options  greedy and without timestamps; `sample_len` and `suppress_tokens` are heeded
    """
    task = DecodingTask(whisper, replace(options, language="en"))
    tokenizer, device = task.tokenizer, whisper.device
    n_prompt = len(task.initial_tokens)
    n_steps = min(task.sample_len, task.n_ctx - n_prompt + 1)
    cache = _Cache(whisper, heard, n_prompt + n_steps)
    prompt = torch.tensor(task.initial_tokens, device=device).repeat(len(heard), 1)  # (n, p)

    logits = cache.advance(prompt[:, :1])
    no_speech = [float("nan")] * len(heard)
    if tokenizer.no_speech is not None:
        no_speech = logits.softmax(-1)[:, tokenizer.no_speech].tolist()
    if whisper.is_multilingual:
        ids, codes = tokenizer.all_language_tokens, tokenizer.all_language_codes
        likeliest = logits[:, list(ids)].argmax(-1).tolist()
        languages = [
            language or codes[place] for language, place in zip(languages, likeliest, strict=True)
        ]
        of_code = dict(zip(codes, ids, strict=True))
        prompt[:, 1] = torch.tensor([of_code[str(language)] for language in languages])
    logits = cache.advance(prompt[:, 1:])

    suppressed = torch.tensor(task._get_suppress_tokens(), device=device)
    logits[:, [*tokenizer.encode(" "), tokenizer.eot]] = -torch.inf  # no empty text
    rows = torch.arange(len(heard), device=device)  # that are not finished, by place in the cache
    said: list[list[int]] = [[] for _ in heard]
    total = torch.zeros(len(heard), device=device)  # log-probability of each row so far
    open_ = torch.ones(len(heard), dtype=torch.bool, device=device)  # (places,)
    for step in range(n_steps):
        logits.index_fill_(1, suppressed, -torch.inf)
        best, token = logits.max(-1)  # (places,)
        total[rows] += (best - logits.logsumexp(-1)) * open_
        open_ &= token != tokenizer.eot
        for row, chosen, goes_on in zip(rows.tolist(), token.tolist(), open_.tolist(), strict=True):
            if goes_on:
                said[row].append(chosen)
        n_open = int(open_.sum())
        if not n_open or step + 1 == n_steps:
            break
        if n_open <= (1 - LEAVING) * len(rows):
            cache.keep(open_)
            rows, token, open_ = rows[open_], token[open_], open_[open_]
        logits = cache.advance(token.unsqueeze(1))

    texts = [tokenizer.decode(tokens).strip() for tokens in said]
    return [
        DecodingResult(
            audio_features=states,
            language=language or "en",
            tokens=tokens,
            text=text,
            avg_logprob=logprob / (len(tokens) + 1),
            no_speech_prob=silence,
            temperature=0.0,
            compression_ratio=compression_ratio(text),
        )
        for states, language, tokens, text, logprob, silence in zip(
            heard, languages, said, texts, total.tolist(), no_speech, strict=True
        )
    ]


def _attend(attention: MultiHeadAttention, x: Tensor, cached: Pair, mask: Tensor | None) -> Tensor:
    """States (n, s, d) over what is cached → (n, s, d)."""
    query = _heads(attention.query(x), attention.n_head)
    heard = F.scaled_dot_product_attention(query, *cached, attn_mask=mask)
    out: Tensor = attention.out(heard.transpose(1, 2).flatten(2))
    return out


def _heads(x: Tensor, n_head: int) -> Tensor:
    """(n, s, d) → (n, h, s, d/h)."""
    return x.unflatten(-1, (n_head, -1)).transpose(1, 2)
