"""Prepared texts → Readings, all their windows in batches of similar length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from modalities import checkpoint, eight_bits
from modalities.device import default_precision, to_device
from modalities.model import alike
from modalities.reading import NEGATIVE, POSITIVE, Quality, Reading, Source
from modalities.text.model import TextDimensions, TextModel, padded
from modalities.text.prepare import PreparedText, Turn, Window, prepare
from modalities.traced import Inputs, InTurn, Run, traced

# Attention sums up so many tokens at a time. What it says of windows padded to a multiple is the
# same to the last bit in any batch, so that rounding to eight bits tips in none.
TOKENS_AT_ONCE = 16
EXAMPLES = ((9, 5), (3,), (16, 7, 12))  # lengths of windows; the shortest there is has 3 tokens


class _Said(nn.Module):
    """All of the model's answer in one tensor."""

    def __init__(self, model: TextModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, part: Tensor) -> Tensor:
        """Ids and what they belong to (b, t) → probabilities of sentiments and emotions, and the
        pooled state (b, 3 + 7 + d)."""
        sentiment, emotions, pooled = self.model(ids, part)
        return torch.cat([sentiment.softmax(-1), emotions.softmax(-1), pooled], -1)


class TextReader:
    """A BatchModel over texts; cost in tokens. Calibration is part of the heads' weights."""

    name = "text"
    cost_unit = "tokens"
    max_batch_cost = 8192.0
    batch_overhead = math.inf  # tokens that cost as much as one more pass through the model

    def __init__(self, saved: checkpoint.Checkpoint, device: str) -> None:
        self.revision = saved.revision
        self.device = device
        self.dims = TextDimensions(**saved.dims)
        self.tokenizer = Tokenizer.from_str(saved.extra["tokenizer"])
        self.model = TextModel(self.dims)
        self.model.load_state_dict(saved.state)
        self.model.eval().to(device)
        self.precision = self.model.precision = default_precision(device)
        # What is stored more finely has learned what eight bits would round away again.
        if device == "cpu" and saved.in_eight_bits and eight_bits.is_fast():
            seeded = torch.Generator().manual_seed(0)
            ids = torch.randint(self.tokenizer.get_vocab_size(), (8, 16), generator=seeded)
            eight_bits.to_eight_bits(self.model.encoder, ids)
            self.precision = torch.int8
        said = _Said(self.model)
        self.run: Run = InTurn(said)
        if device == "cpu":
            self.max_batch_cost = 1024.0  # what is larger leaves the processor's cache
            self.batch_overhead = 64.0  # measured on two cores
            windows = [[Window((n,) * n, n // 4) for n in lengths] for lengths in EXAMPLES]
            examples = [self._packed(x, [[*range(len(x))]]) for x in windows]
            (ids, part), [shape] = examples[0]
            self.run = traced(InTurn, [(said, (ids.view(shape), part.view(shape)))], examples)

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> TextReader:
        """Read the checkpoint at `path`; raises UnavailableError where it cannot be read."""
        return cls(checkpoint.load(path), device)

    def prepare(self, text: str, before: Sequence[Turn] = ()) -> PreparedText:
        """Tokenize what was said after the turns `before`; raises InputError on an empty text."""
        return prepare(text, self.tokenizer, self.dims, before)

    def cost(self, item: PreparedText) -> float:
        return float(sum(len(window.ids) for window in item.windows))

    @torch.inference_mode()
    def infer(self, items: Sequence[PreparedText]) -> list[Reading]:
        """One Reading (source TEXT) a text: what its strongest window says, for fury at the end of
        thirty calm sentences is fury."""
        windows = [window for item in items for window in item.windows]
        lengths = [float(self._padded_length(window)) for window in windows]
        batches = list(alike(lengths, self.max_batch_cost, self.batch_overhead))
        said = self.run(*self._packed(windows, batches)).cpu().numpy()
        of_window = said[np.argsort(np.concatenate(batches))]  # (windows, …)
        ends = np.cumsum([len(item.windows) for item in items])
        strength = np.abs(of_window[:, POSITIVE] - of_window[:, NEGATIVE])
        strongest = [
            end - len(item.windows) + int(strength[end - len(item.windows) : end].argmax())
            for item, end in zip(items, ends.tolist(), strict=True)
        ]
        of_item = of_window[strongest]
        ends = np.cumsum([self.dims.n_sentiments, self.dims.n_emotions])
        p_sentiment, p_emotions, embeddings = np.split(of_item, ends, axis=1)
        with np.errstate(divide="ignore"):  # what is impossible in fp32 has a log of −∞
            log_sentiment, log_emotions = np.log(p_sentiment), np.log(p_emotions)
        return [
            Reading(
                Source.TEXT,
                log_sentiment[row],
                log_emotions[row],
                embeddings[row],
                Quality(characters=item.characters, unknown_share=item.unknown_share),
            )
            for row, item in enumerate(items)
        ]

    def _packed(self, windows: Sequence[Window], batches: Sequence[Sequence[int]]) -> Inputs:
        """Ids of all batches and what they belong to, flat, and the shapes (b, t) of each;
        `batches` holds places in `windows`."""
        parts = []
        for rows in batches:
            batch = [windows[row] for row in rows]
            length = max(map(self._padded_length, batch))
            parts.append(padded(batch, self.dims.pad_id, length))
        # In numpy, which keeps Python's lock: see `traced`.
        ids, part = (np.concatenate([x.ravel() for x in of]) for of in zip(*parts, strict=True))
        flat = [to_device(torch.from_numpy(x), self.device) for x in (ids, part)]
        return flat, [ids.shape for ids, _ in parts]

    def _padded_length(self, window: Window) -> int:
        return min(-(-len(window.ids) // TOKENS_AT_ONCE) * TOKENS_AT_ONCE, self.dims.n_ctx)
