"""Prepared texts → Readings, all their windows in batches of similar length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from modalities import checkpoint
from modalities.device import default_precision, to_device
from modalities.model import alike
from modalities.reading import Quality, Reading, Source
from modalities.text.model import TextDimensions, TextModel, pad
from modalities.text.prepare import PreparedText, prepare


class TextReader:
    """A BatchModel over texts; cost in tokens. Calibration is part of the heads' weights."""

    name = "text"
    cost_unit = "tokens"
    max_batch_cost = 8192.0

    def __init__(self, saved: checkpoint.Checkpoint, device: str) -> None:
        self.revision = saved.revision
        self.device = device
        self.dims = TextDimensions(**saved.dims)
        self.tokenizer = Tokenizer.from_str(saved.extra["tokenizer"])
        self.model = TextModel(self.dims)
        self.model.load_state_dict(saved.state)
        self.model.eval().to(device)
        self.precision = self.model.precision = default_precision(device)
        if device == "cpu":  # what is larger leaves the processor's cache
            self.max_batch_cost = 1024.0

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
        windows = [(n, window) for n, item in enumerate(items) for window in item.windows]
        costs = [float(len(window)) for _, window in windows]
        totals: tuple[Tensor, ...] = ()  # (items, 3), (items, 7) and (items, e)
        for rows in alike(costs, self.max_batch_cost):
            ids, mask = pad([windows[row][1] for row in rows], self.dims.pad_id)
            sentiment, emotions, pooled = self.model(
                to_device(ids, self.device), to_device(mask, self.device)
            )
            owner = torch.tensor([windows[row][0] for row in rows])  # (windows,)
            length = torch.tensor([costs[row] for row in rows], dtype=torch.double).unsqueeze(-1)
            said = [
                part.double().cpu()
                for part in (sentiment.softmax(-1), emotions.softmax(-1), pooled)
            ]
            if not totals:
                totals = tuple(part.new_zeros(len(items), part.shape[1]) for part in said)
            for total, part in zip(totals, said, strict=True):
                total.index_add_(0, owner, length * part)
        of_item = torch.tensor([[self.cost(item)] for item in items], dtype=torch.double)
        sentiment, emotions, pooled = (total / of_item for total in totals)
        log_sentiment, log_emotions, embeddings = (
            part.float().numpy() for part in (sentiment.log(), emotions.log(), pooled)
        )
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
