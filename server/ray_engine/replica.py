"""One replica of a model, in a process of its own on any machine of the cluster."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import SecretStr

from modalities.errors import UnavailableError
from modalities.voice import whisper_checkpoint
from server import models
from server.settings import Settings


def settings_for(name: str, settings: Settings) -> dict[str, Any]:
    """What a process for model `name`, or for "calls", is told: nothing secret, and no checkpoint
    that it does not need."""
    told = {field: value for field, value in settings if not isinstance(value, SecretStr)}
    told |= {"engine": "local", "device": "auto" if settings.ray_gpus else "cpu"}
    if name != "image":
        told["vision"] = None
    told["whisper"] = _whisper(settings) if name in ("voice", "calls") else whisper_checkpoint.NONE
    return told


def _whisper(settings: Settings) -> str:
    """The front end's choice, whatever was pulled on other machines."""
    try:
        return whisper_checkpoint.chosen(settings.whisper, settings.whisper_dir)
    except UnavailableError:
        return whisper_checkpoint.NONE


class Replica:
    """A loaded model. Its files are on its machine; `registry` is EMOTION_REGISTRY's folder, whose
    current version it serves."""

    def __init__(
        self, name: str, revision: str, settings: Mapping[str, Any], registry: str | None
    ) -> None:
        """Raises RuntimeError where another revision than the front end's is found."""
        if registry:
            os.environ["EMOTION_REGISTRY"] = registry
        loaded = models.load(Settings(**settings), pictures=name == "image")
        model = getattr(loaded, name)
        if model is None:
            missing = loaded.missing[name]
            raise RuntimeError(f"{missing.reason}; {missing.remedy}")
        if model.revision != revision:
            raise RuntimeError(
                f"the {name} model is {model.revision} here and {revision} at the front end"
            )
        self._model = model

    def infer(self, items: bytes) -> bytes:
        """Pickled items → pickled results. Ray runs one call of a replica at a time."""
        try:
            results = self._model.infer(pickle.loads(items))
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            raise torch.OutOfMemoryError from None  # without its traceback, which holds tensors
        return pickle.dumps(results)
