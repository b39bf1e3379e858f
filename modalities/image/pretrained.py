"""Published vision models by name or folder: SigLIP zero-shot, or any image classifier.

Zero-shot: Zhai et al., "Sigmoid loss for language image pre-training", ICCV 2023. A picture's
emotion is the softmax over the emotions of its mean logit with our prompts, in Chinese and English.
A classifier's labels are taken over where they are known to be an emotion or a sentiment.

Nothing is fetched here: what is not on this machine is UNAVAILABLE, and says how to get it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageClassification,
    AutoTokenizer,
    ImageProcessingMixin,
)

from modalities.checkpoint import sha256
from modalities.errors import UnavailableError
from modalities.image.infer import VisionItem
from modalities.image.kinds import ImageKind
from modalities.reading import (
    EMOTIONS,
    SENTIMENT_GROUPS,
    SENTIMENT_OF,
    SENTIMENTS,
    Reading,
    Source,
)

LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
ZERO_SHOT = ("siglip", "siglip2")
PROMPTS = {
    "neutral": ("a picture with a neutral, calm mood", "一张平静、没有情绪的图片"),
    "happy": ("a picture of someone happy and smiling", "一张开心、满意的图片"),
    "angry": ("a picture of someone angry", "一张生气、愤怒的图片"),
    "sad": ("a picture of someone sad and crying", "一张难过、伤心的图片"),
    "fear": ("a picture of someone afraid", "一张害怕、担心的图片"),
    "disgust": ("a picture of someone disgusted", "一张厌恶、嫌弃的图片"),
    "surprise": ("a picture of someone surprised", "一张惊讶的图片"),
}
MAX_TOKENS = 64  # SigLIP was trained on texts padded to this
BATCH = 16  # pictures
UNSAID = (0.5, 0.5, 0.5)  # mean and deviation where a checkpoint states none


class PretrainedVisionReader:
    """A BatchModel over VisionItems of any kind of picture; cost in pixels."""

    name = "image"
    cost_unit = "pixels"
    precision = torch.float32

    def __init__(
        self, name_or_path: str, device: str, label_of: Callable[[str], str | None]
    ) -> None:
        """Load; `label_of` gives the emotion or sentiment of ours that a label means, if any.

        Raises UnavailableError where the model is not on this machine, is no such model, or has no
        label that we know.
        """
        self.device = device
        try:
            config = AutoConfig.from_pretrained(name_or_path, **LOCAL)
            self._zero_shot = config.model_type in ZERO_SHOT
            kind = AutoModel if self._zero_shot else AutoModelForImageClassification
            model, report = kind.from_pretrained(
                name_or_path,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                **LOCAL,
            )
            self._model: Any = model.eval().to(device)
            stated = dict(ImageProcessingMixin.get_image_processor_dict(name_or_path, **LOCAL)[0])
            tokens = self._prompts(name_or_path) if self._zero_shot else None
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise UnavailableError(
                f"the vision model {name_or_path!r} cannot be loaded: {type(error).__name__}",
                f"on a networked machine: hf download {name_or_path} --local-dir DIR, "
                "then --set vision=DIR",
            ) from error
        if report["missing_keys"]:
            raise UnavailableError(
                f"the vision model {name_or_path!r} lacks {len(report['missing_keys'])} tensors",
                "name a whole SigLIP, or an image classifier with its head",
            )
        vision = getattr(config, "vision_config", config)
        self.size = _side(stated.get("size")) or int(getattr(vision, "image_size", 224))
        self.max_batch_cost = float(BATCH * self.size**2)
        self.revision = _revision(config, name_or_path)
        self._mean = torch.tensor(stated.get("image_mean") or UNSAID).view(3, 1, 1)
        self._deviation = torch.tensor(stated.get("image_std") or UNSAID).view(3, 1, 1)
        if tokens is not None:
            self._texts = self._text_features(tokens)  # (7, prompts, d)
        else:
            self._to_emotions = _emotions_of(config.id2label, label_of, name_or_path)  # (labels, 7)

    def knows(self, kind: ImageKind, item: VisionItem) -> bool:
        """Whether it can say something of such a picture."""
        return kind in (ImageKind.FACE, ImageKind.STICKER, ImageKind.PHOTO)

    def cost(self, item: VisionItem) -> float:
        return float(item.pixels.shape[0] * item.pixels.shape[1])

    @torch.inference_mode()
    def infer(self, items: Sequence[VisionItem]) -> list[Reading]:
        """One Reading (source VISION) an item of (size, size, 3) pixels."""
        stacked = torch.from_numpy(np.stack([item.pixels for item in items]))  # (b, s, s, 3)
        pixels = stacked.permute(0, 3, 1, 2).float() / 255  # (b, 3, s, s)
        pixels = ((pixels - self._mean) / self._deviation).to(self.device)
        emotions, features = self._look(pixels)
        sentiments = _sentiments(emotions)
        return [
            Reading(
                Source.VISION,
                sentiments[row].log().numpy(),
                emotions[row].log().numpy(),
                features[row].numpy(),
                item.quality,
            )
            for row, item in enumerate(items)
        ]

    def _look(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(b, 3, s, s) → P(emotion) (b, 7) and the picture's features (b, d), on the CPU."""
        if self._zero_shot:
            features = _pooled(self._model.get_image_features(pixel_values=pixels))  # (b, d)
            features = features / features.norm(dim=-1, keepdim=True)
            logits = torch.einsum("bd,epd->bep", features, self._texts)  # (b, 7, prompts)
            logits = logits * self._model.logit_scale.exp() + self._model.logit_bias
            return logits.mean(-1).softmax(-1).clamp_min(1e-6).cpu(), features.cpu()
        logits = self._model(pixel_values=pixels).logits  # (b, labels)
        emotions = logits.softmax(-1).cpu() @ self._to_emotions + 1e-6  # (b, 7)
        return emotions / emotions.sum(-1, keepdim=True), logits.cpu()

    def _prompts(self, name_or_path: str) -> Any:
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, **LOCAL)
        texts = [prompt for emotion in EMOTIONS for prompt in PROMPTS[emotion]]
        length = min(MAX_TOKENS, self._model.config.text_config.max_position_embeddings)
        return tokenizer(
            texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        )

    @torch.inference_mode()
    def _text_features(self, tokens: Any) -> Tensor:
        ids = tokens["input_ids"].to(self.device)
        features = _pooled(self._model.get_text_features(input_ids=ids))  # (7 · prompts, d)
        features = features / features.norm(dim=-1, keepdim=True)
        return features.view(len(EMOTIONS), -1, features.shape[-1])


def _pooled(output: Any) -> Tensor:
    """transformers 5 gives the features of a tower within its output."""
    return output if isinstance(output, Tensor) else output.pooler_output


def _sentiments(emotions: Tensor) -> Tensor:
    """P(emotion) (b, 7) → P(sentiment) (b, 3); surprise goes as the others do."""
    groups = emotions @ torch.from_numpy(SENTIMENT_GROUPS).T  # (b, 3)
    return groups / groups.sum(-1, keepdim=True)


def _emotions_of(
    labels: dict[int, str], label_of: Callable[[str], str | None], name: str
) -> Tensor:
    """(labels, 7): what each label of a classifier says of our emotions; zero where it is none.

    A sentiment says as much of each of its emotions.
    """
    matrix = torch.zeros(len(labels), len(EMOTIONS))
    for index, label in labels.items():
        ours = label_of(label)
        if ours in EMOTIONS:
            matrix[int(index), EMOTIONS.index(ours)] = 1.0
        elif ours in SENTIMENTS:
            own = [e for e in EMOTIONS if SENTIMENT_OF.get(e) == ours]
            for emotion in own:
                matrix[int(index), EMOTIONS.index(emotion)] = 1.0 / len(own)
    if not matrix.any():
        raise UnavailableError(
            f"the vision model {name!r} has no label that is an emotion or a sentiment",
            "name a model of emotions, or a SigLIP",
        )
    return matrix


def _side(stated: Any) -> int | None:
    """Pixels of preprocessor_config.json's `size`, as it is written in one of three ways."""
    if isinstance(stated, dict):
        stated = stated.get("height") or stated.get("shortest_edge")
    return int(stated) if stated else None


def _revision(config: Any, name_or_path: str) -> str:
    """The hub's commit, or for a folder the hash of its first file of weights; 12 hex digits."""
    commit = getattr(config, "_commit_hash", None)
    if commit:
        return str(commit)[:12]
    return sha256(min(Path(name_or_path).glob("*.safetensors")))[:12]
