"""What a vision encoder starts from: FaceRes, a checkpoint of ours, or a published one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel
from transformers.image_processing_base import ImageProcessingMixin

import weights
from modalities import checkpoint
from modalities.errors import InputError, UnavailableError
from modalities.image.model import (
    VisionDimensions,
    VisionModel,
    embedded_dimensions,
    without_pooler,
)
from training import faceres
from training.options import is_published

UNSAID = (0.5, 0.5, 0.5)  # mean and deviation of ViT's and SigLIP's, where a base states none


def start(base: str | None, dropout: float) -> VisionModel:
    """The model to train: `base` is None (FaceRes), "embedded", a file of ours, or the name or
    folder of a ViT, ResNet, SigLIP or CLIP as transformers saves it.

    Raises UnavailableError where it cannot be read or fetched, InputError where it is no vision
    encoder.
    """
    if base is None:
        model = VisionModel(embedded_dimensions(), dropout)
        model.backbone.load_state_dict(faceres.read(faceres.fetch()))
        return model
    if is_published(base):
        return _published(base, dropout)
    saved = checkpoint.load(weights.path_of("image") if base == "embedded" else Path(base))
    model = VisionModel(VisionDimensions(**saved.dims), dropout)
    model.load_state_dict(saved.state)
    return model


def _published(base: str, dropout: float) -> VisionModel:
    try:
        config = AutoConfig.from_pretrained(base, trust_remote_code=False)
        config = getattr(config, "vision_config", config)  # of a SigLIP or CLIP as a whole
        if not hasattr(config, "num_channels"):
            raise InputError(f"{base} is a {config.model_type}, no vision encoder", "base")
        backbone, report = AutoModel.from_pretrained(
            base,
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError) as error:
        raise UnavailableError(
            f"{base} cannot be fetched or read ({type(error).__name__})",
            f"on a networked machine: hf download {base} --local-dir DIR, then --base DIR",
        ) from error
    if lacking := [name for name in report["missing_keys"] if not _is_pooler(name)]:
        raise UnavailableError(
            f"{base} has no weights for {len(lacking)} tensors, such as {sorted(lacking)[0]}",
            "name a checkpoint of this architecture",
        )
    stated = _preprocessing(base)
    size = stated.get("size", getattr(config, "image_size", 224))
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge") or 224
    settings = config.to_dict()
    for name in ("_name_or_path", "architectures", "auto_map", "dtype", "transformers_version"):
        settings.pop(name, None)
    dims = VisionDimensions(
        settings,
        size=int(size),
        mean=tuple(stated.get("image_mean") or UNSAID),
        deviation=tuple(stated.get("image_std") or UNSAID),
    )
    model = VisionModel(dims, dropout)
    without_pooler(backbone)
    model.backbone = backbone
    return model


def _preprocessing(base: str) -> dict[str, Any]:
    """preprocessor_config.json of a base; empty where it has none."""
    try:
        return dict(ImageProcessingMixin.get_image_processor_dict(base)[0])
    except OSError:
        return {}


def _is_pooler(name: str) -> bool:
    return name.startswith(("pooler.", "head.", "vision_model.head."))
