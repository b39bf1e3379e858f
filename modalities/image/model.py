"""The vision model: a small ResNet with a sentiment head and an emotion head.

He et al., "Deep residual learning for image recognition", CVPR 2016, basic blocks. Chosen over a
ViT with a convolutional stem of the same size (2.3M parameters, half the learning rate, neither
tuned): after 5 epochs, one run each, FER2013 dev macro-F1 was .465 against .192. A short race
favours the ConvNet; it is also all that the training's time allows.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from transformers import ResNetConfig, ResNetModel

from modalities.reading import EMOTIONS, SENTIMENTS


@dataclass(frozen=True)
class VisionDimensions:
    """Saved with the weights; enough to build the model again."""

    size: int = 48  # side of the square input, pixels
    widths: tuple[int, ...] = (24, 48, 96, 256)
    depths: tuple[int, ...] = (1, 1, 1, 2)
    n_sentiments: int = len(SENTIMENTS)
    n_emotions: int = len(EMOTIONS)


class VisionModel(nn.Module):
    """Pixels (b, 3, s, s) uint8 → sentiment and emotion logits, pooled state.

    BatchNorm in eval mode uses stored statistics, so that a picture's answer does not depend
    on the others in its batch.
    """

    def __init__(self, dims: VisionDimensions, dropout: float = 0.0) -> None:
        super().__init__()
        self.dims = dims
        self.backbone = ResNetModel(
            ResNetConfig(
                embedding_size=dims.widths[0],
                hidden_sizes=list(dims.widths),
                depths=list(dims.depths),
                layer_type="basic",
            )
        )
        # The stem's max pooling is made for 224 px: at 48 px it would leave 12 × 12 positions.
        self.backbone.embedder.pooler = nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.sentiment_head = nn.Linear(dims.widths[-1], dims.n_sentiments)
        self.emotion_head = nn.Linear(dims.widths[-1], dims.n_emotions)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values = pixels.float()
        # Each picture to zero mean and unit deviation: light and contrast are no emotion.
        mean = values.mean((1, 2, 3), keepdim=True)  # (b, 1, 1, 1)
        deviation = values.std((1, 2, 3), keepdim=True).clamp_min(1.0)
        normal = (values - mean) / deviation  # (b, 3, s, s)
        pooled = self.backbone(normal).pooler_output.flatten(1)  # (b, d)
        features = self.dropout(pooled)
        return self.sentiment_head(features), self.emotion_head(features), pooled
