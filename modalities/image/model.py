"""The vision model: an encoder of transformers with a sentiment head and an emotion head.

The embedded one is a small ResNet: He et al., "Deep residual learning for image recognition",
CVPR 2016, basic blocks. Chosen over a ViT with a convolutional stem of the same size (2.3M
parameters, half the learning rate, neither tuned): after 5 epochs, one run each, FER2013 dev
macro-F1 was .465 against .192. A short race favours the ConvNet; it is also all that the
training's time allows. Fine-tuned ones are whatever published encoder they started from: ViT,
SigLIP's or CLIP's vision tower, a full ResNet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from modalities.device import autocast
from modalities.reading import EMOTIONS, SENTIMENTS

SIZE = 48  # side of the embedded model's input, pixels: FER2013's


def small_resnet(widths: tuple[int, ...] = (24, 48, 96, 256)) -> dict[str, Any]:
    """The embedded encoder's config: basic blocks, the last stage of two."""
    return {
        "model_type": "resnet",
        "embedding_size": widths[0],
        "hidden_sizes": list(widths),
        "depths": [1] * (len(widths) - 1) + [2],
        "layer_type": "basic",
    }


@dataclass(frozen=True)
class VisionDimensions:
    """Saved with the weights; enough to build the model again, with no network."""

    config: Mapping[str, Any]  # of the encoder, as transformers reads it; `model_type` is in it
    size: int = SIZE  # side of the square input, pixels
    stem_pooling: bool = True  # of a ResNet: its stem is made for 224 px
    # Of pixels in [0, 1], by channel; None brings each picture to its own mean and deviation.
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None
    n_sentiments: int = len(SENTIMENTS)
    n_emotions: int = len(EMOTIONS)


def embedded_dimensions() -> VisionDimensions:
    # Max pooling in the stem would leave 12 × 12 positions of 48 × 48 pixels.
    return VisionDimensions(small_resnet(), stem_pooling=False)


class VisionModel(nn.Module):
    """Pixels (b, 3, s, s) uint8 → sentiment and emotion logits, pooled state.

    BatchNorm in eval mode uses stored statistics, so that a picture's answer does not depend
    on the others in its batch.
    """

    def __init__(self, dims: VisionDimensions, dropout: float = 0.0) -> None:
        super().__init__()
        self.dims = dims
        self.precision = torch.float32  # of the encoder
        config = AutoConfig.for_model(**dims.config)
        self.backbone = AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False)
        without_pooler(self.backbone)
        if not dims.stem_pooling:
            self.backbone.embedder.pooler = nn.Identity()
        self.dropout = nn.Dropout(dropout)
        width = getattr(config, "hidden_size", None) or config.hidden_sizes[-1]
        self.sentiment_head = nn.Linear(width, dims.n_sentiments)
        self.emotion_head = nn.Linear(width, dims.n_emotions)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values = self._normal(pixels.float())
        with autocast(pixels.device, self.precision):
            states = self.backbone(values).last_hidden_state
        states = states.float()
        # A ViT's positions (b, t, d) or a ConvNet's (b, d, h, w), the mean over them: a published
        # ViT's own pooler was made for its pre-training task, or is missing.
        pooled = states.mean(1) if states.ndim == 3 else states.mean((2, 3))  # (b, d)
        features = self.dropout(pooled)
        return self.sentiment_head(features), self.emotion_head(features), pooled

    def _normal(self, values: Tensor) -> Tensor:
        if self.dims.mean is None or self.dims.deviation is None:
            # Light and contrast are no emotion.
            mean = values.mean((1, 2, 3), keepdim=True)  # (b, 1, 1, 1)
            deviation = values.std((1, 2, 3), keepdim=True).clamp_min(1.0)
            return (values - mean) / deviation  # (b, 3, s, s)
        mean, deviation = (
            values.new_tensor(value).view(-1, 1, 1)
            for value in (self.dims.mean, self.dims.deviation)
        )  # (3, 1, 1)
        return (values / 255 - mean) / deviation


def without_pooler(backbone: Any) -> None:
    """Drop the parameters that pool: the model takes the mean of the last states."""
    if getattr(backbone, "use_head", False):  # SigLIP's
        backbone.use_head = False
        del backbone.head
    pooler = getattr(backbone, "pooler", None)
    if pooler is not None and any(True for _ in pooler.parameters()):  # ViT's
        backbone.pooler = None


def layers_of(backbone: nn.Module) -> tuple[list[nn.Module], list[nn.Module]]:
    """The blocks or stages of an encoder from the lowest up, and what comes before them."""
    blocks = next(m for m in backbone.modules() if isinstance(m, nn.ModuleList))
    before = [
        module
        for name, module in backbone.named_modules()
        if name.rpartition(".")[2] in ("embeddings", "embedder")
    ]
    return list(blocks), before[:1]
