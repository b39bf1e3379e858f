"""The vision model: an encoder of transformers with a sentiment head and an emotion head.

The embedded one is a MobileNet: Howard et al., "MobileNets: efficient convolutional neural networks
for mobile vision applications", 2017, width 1, whose batch norms are folded into its convolutions.
It starts from one that knows nine thousand people's faces (`training.faceres`). Fine-tuned ones are
whatever published encoder they started from: ViT, SigLIP's or CLIP's vision tower, a ResNet.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from modalities.device import autocast
from modalities.reading import EMOTIONS, SENTIMENTS

SIZE = 112  # side of the embedded model's input, pixels: half that of its pre-training


def mobilenet(width: float = 1.0) -> dict[str, Any]:
    """The embedded encoder's config; `width` multiplies the channels of every layer."""
    return {"model_type": "mobilenet_v1", "depth_multiplier": width, "image_size": SIZE}


@dataclass(frozen=True)
class VisionDimensions:
    """Saved with the weights; enough to build the model again, with no network."""

    config: Mapping[str, Any]  # of the encoder, as transformers reads it; `model_type` is in it
    size: int = SIZE  # side of the square input, pixels
    folded: bool = False  # of a MobileNet: biases stand for its batch norms
    # Of pixels in [0, 1], by channel; None brings each picture to its own mean and deviation.
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None
    n_sentiments: int = len(SENTIMENTS)
    n_emotions: int = len(EMOTIONS)


def embedded_dimensions() -> VisionDimensions:
    return VisionDimensions(mobilenet(), folded=True)


class VisionModel(nn.Module):
    """Pixels (b, 3, s, s) uint8 → sentiment and emotion logits, pooled state.

    In eval mode a picture's answer does not depend on the others in its batch: BatchNorm, where
    there is one, uses stored statistics.
    """

    def __init__(self, dims: VisionDimensions, dropout: float = 0.0) -> None:
        super().__init__()
        self.dims = dims
        self.precision = torch.float32  # of the encoder
        config = AutoConfig.for_model(**dims.config)
        self.backbone = AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False)
        without_pooler(self.backbone)
        if dims.folded:
            fold_norms(self.backbone)
            pad_as_needed(self.backbone)
        self.dropout = nn.Dropout(dropout)
        width = _width(config)
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

    def both_ways(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, the mean over each picture and its mirror image: a mood has no side."""
        first, second = self(pixels), self(pixels.flip(-1))
        sentiment, emotion, pooled = ((a + b) / 2 for a, b in zip(first, second, strict=True))
        return sentiment, emotion, pooled

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


def _width(config: Any) -> int:
    """Of an encoder's last states; what a MobileNet's config multiplies is 1024."""
    if hasattr(config, "depth_multiplier"):
        return int(1024 * config.depth_multiplier)
    return int(getattr(config, "hidden_size", None) or config.hidden_sizes[-1])


def fold_norms(backbone: nn.Module) -> None:
    """Put what a MobileNet's batch norms do into the weights and a bias of its convolutions."""
    layer: Any
    for layer in backbone.modules():
        norm = getattr(layer, "normalization", None)
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        convolution = layer.convolution
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()  # (channels,)
        convolution.weight.data *= scale.view(-1, 1, 1, 1)
        convolution.bias = nn.Parameter(norm.bias.detach() - scale * norm.running_mean)
        layer.normalization = None


def pad_as_needed(backbone: Any) -> None:
    """Leave TensorFlow's padding to a MobileNet's wide convolutions: it adds nothing to those of
    1 × 1, but asks for their stride, and an adapter around one has none."""
    config = copy.copy(backbone.config)
    config.tf_padding = False
    for layer in backbone.modules():
        convolution = getattr(layer, "convolution", None)
        if isinstance(convolution, nn.Conv2d) and convolution.kernel_size == (1, 1):
            layer.config = config


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
        if name.rpartition(".")[2] in ("embeddings", "embedder", "conv_stem")
    ]
    return list(blocks), before[:1]
