"""Crops → Readings, one batch at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalities import checkpoint
from modalities.device import default_precision, to_device
from modalities.image.kinds import ImageKind
from modalities.image.model import SIZE, VisionDimensions, VisionModel
from modalities.reading import Quality, Reading, Source

PLACES = ("no_face", "face")  # keys of the calibration, by Quality.face


@dataclass(frozen=True, eq=False)
class VisionItem:
    """A face or a whole picture, squared by `modalities.image.prepare.square`.

    pixels   (s, s, 3) uint8 RGB, s the model's size; a face is grey, as FER2013's are
    quality  `face` is 1 for a face, 0 for a whole picture
    """

    pixels: NDArray[np.uint8]
    quality: Quality


@dataclass(frozen=True)
class Calibration:
    """Faces and whole pictures apart: what the model knows of the first it lacks for the second.

    temperature  head → place → T; in a place that the model was not taught every answer is even
    prior_shift  head → log of the natural class prior over the training one; faces only
    """

    temperature: dict[str, dict[str, float]]
    prior_shift: dict[str, list[float]]

    def log_probabilities(self, head: str, logits: Tensor, face: Tensor) -> Tensor:
        """Logits (n, c) of a head ("sentiment", "emotion") and (n,) bool → (n, c) log p."""
        by_place = [self.temperature[head].get(place, math.inf) for place in PLACES]
        temperature = logits.new_tensor(by_place)[face.long()].unsqueeze(-1)  # (n, 1)
        shift = logits.new_tensor(self.prior_shift[head]) * face.unsqueeze(-1)  # (n, c)
        return ((logits + shift) / temperature).log_softmax(-1)


class VisionReader:
    """A BatchModel over VisionItems; cost in pixels."""

    name = "image"
    cost_unit = "pixels"

    def __init__(self, saved: checkpoint.Checkpoint, device: str) -> None:
        self.revision = saved.revision
        self.device = device
        self.dims = VisionDimensions(**saved.dims)
        self.size = self.dims.size  # side of its input, pixels
        self.max_batch_cost = max(64.0 * SIZE**2, 8.0 * self.dims.size**2)
        self.calibration = Calibration(**saved.extra["calibration"])
        self.model = VisionModel(self.dims)
        self.model.load_state_dict(saved.state)
        self.model.eval().to(device)
        self.precision = self.model.precision = default_precision(device)

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> VisionReader:
        """Read the checkpoint at `path`; raises UnavailableError where it cannot be read."""
        return cls(checkpoint.load(path), device)

    def knows(self, kind: ImageKind, item: VisionItem) -> bool:
        """Whether it was taught to read such a picture: its face, or, where it learned from whole
        pictures, a sticker."""
        whole = PLACES[0] in self.calibration.temperature["sentiment"]
        return item.quality.face > 0 or (whole and kind is ImageKind.STICKER)

    def cost(self, item: VisionItem) -> float:
        return float(item.pixels.shape[0] * item.pixels.shape[1])

    @torch.inference_mode()
    def infer(self, items: Sequence[VisionItem]) -> list[Reading]:
        """One Reading (source VISION) an item."""
        stacked = torch.from_numpy(np.stack([item.pixels for item in items]))  # (b, s, s, 3)
        face = torch.tensor([item.quality.face > 0 for item in items])  # (b,)
        pixels = to_device(stacked, self.device).permute(0, 3, 1, 2)
        *answers, pooled = self.model.both_ways(pixels)
        sentiment, emotions = (
            self.calibration.log_probabilities(head, answer.cpu(), face).numpy()
            for head, answer in zip(("sentiment", "emotion"), answers, strict=True)
        )
        embedding = pooled.cpu().numpy()
        return [
            Reading(Source.VISION, sentiment[row], emotions[row], embedding[row], item.quality)
            for row, item in enumerate(items)
        ]
