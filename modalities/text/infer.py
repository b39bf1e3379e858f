"""Prepared texts → Readings, one padded batch of all their windows at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from modalities import checkpoint
from modalities.reading import Quality, Reading, Source
from modalities.text.model import TextDimensions, TextModel, pad
from modalities.text.prepare import PreparedText, prepare


class TextReader:
    """A BatchModel over texts; cost in tokens. Calibration is part of the heads' weights."""

    name = "text"
    max_batch_cost = 8192.0

    def __init__(self, saved: checkpoint.Checkpoint, device: str) -> None:
        self.revision = saved.revision
        self.device = device
        self.dims = TextDimensions(**saved.dims)
        self.tokenizer = Tokenizer.from_str(saved.extra["tokenizer"])
        self.model = TextModel(self.dims)
        self.model.load_state_dict(saved.state)
        self.model.eval().to(device)

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
        ids, mask = pad([window for item in items for window in item.windows], self.dims.pad_id)
        sentiment, emotions, pooled = self.model(ids.to(self.device), mask.to(self.device))
        sentiment = sentiment.double().softmax(-1).cpu()
        emotions = emotions.double().softmax(-1).cpu()
        pooled = pooled.double().cpu()
        readings, start = [], 0
        for item in items:
            rows = slice(start, start + len(item.windows))
            start = rows.stop
            length = torch.tensor([len(window) for window in item.windows], dtype=torch.double)
            share = (length / length.sum()).unsqueeze(-1)  # (windows, 1)
            readings.append(
                Reading(
                    Source.TEXT,
                    (share * sentiment[rows]).sum(0).log().float().numpy(),
                    (share * emotions[rows]).sum(0).log().float().numpy(),
                    (share * pooled[rows]).sum(0).float().numpy(),
                    Quality(characters=item.characters, unknown_share=item.unknown_share),
                )
            )
        return readings
