"""Prepared texts → Readings, all their windows in batches of similar length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from modalities import checkpoint
from modalities.device import default_precision, to_device
from modalities.model import alike
from modalities.reading import Quality, Reading, Source
from modalities.text.model import TextDimensions, TextModel, padded
from modalities.text.prepare import PreparedText, prepare
from modalities.traced import Inputs, InTurn, Run, traced

EXAMPLES = ((9, 5), (3,), (16, 7, 12))  # lengths of windows; the shortest there is has 3 tokens


class _Said(nn.Module):
    """All of the model's answer in one tensor."""

    def __init__(self, model: TextModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Ids and mask (b, t) → probabilities of sentiments and emotions, and the pooled state
        (b, 3 + 7 + e)."""
        sentiment, emotions, pooled = self.model(ids, mask)
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
        said = _Said(self.model)
        self.run: Run = InTurn(said)
        if device == "cpu":
            self.max_batch_cost = 1024.0  # what is larger leaves the processor's cache
            self.batch_overhead = 64.0  # measured on two cores
            windows = [[(n,) * n for n in lengths] for lengths in EXAMPLES]
            examples = [self._packed(x, [[*range(len(x))]]) for x in windows]
            (ids, mask), [shape] = examples[0]
            self.run = traced(InTurn, [(said, (ids.view(shape), mask.view(shape)))], examples)

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> TextReader:
        """Read the checkpoint at `path`; raises UnavailableError where it cannot be read."""
        return cls(checkpoint.load(path), device)

    def prepare(self, text: str) -> PreparedText:
        """Tokenize; raises InputError on an empty text."""
        return prepare(text, self.tokenizer, self.dims.n_ctx, self.dims.unk_id)

    def cost(self, item: PreparedText) -> float:
        return float(sum(map(len, item.windows)))

    @torch.inference_mode()
    def infer(self, items: Sequence[PreparedText]) -> list[Reading]:
        """One Reading (source TEXT) a text; its windows' probabilities averaged by length."""
        windows = [window for item in items for window in item.windows]
        lengths = [float(len(window)) for window in windows]
        batches = list(alike(lengths, self.max_batch_cost, self.batch_overhead))
        said = self.run(*self._packed(windows, batches)).cpu().numpy()
        of_window = said[np.argsort(np.concatenate(batches))].astype(np.float64)  # (windows, …)
        length = np.array(lengths)[:, None]  # (windows, 1)
        n_windows = [len(item.windows) for item in items]
        first = np.cumsum([0, *n_windows[:-1]])  # (items,)
        of_item = np.add.reduceat(length * of_window, first) / np.add.reduceat(length, first)
        ends = np.cumsum([self.dims.n_sentiments, self.dims.n_emotions])
        p_sentiment, p_emotions, embeddings = np.split(of_item.astype(np.float32), ends, axis=1)
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

    def _packed(self, windows: Sequence[Sequence[int]], batches: Sequence[Sequence[int]]) -> Inputs:
        """Ids and masks of all batches, flat, and the shapes (b, t) of each; `batches` holds places
        in `windows`."""
        parts = [padded([windows[row] for row in rows], self.dims.pad_id) for rows in batches]
        # In numpy, which keeps Python's lock: see `traced`.
        ids, mask = (np.concatenate([x.ravel() for x in of]) for of in zip(*parts, strict=True))
        flat = [to_device(torch.from_numpy(x), self.device) for x in (ids, mask)]
        return flat, [ids.shape for ids, _ in parts]
