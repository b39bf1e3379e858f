"""Whisper checkpoints on disk: found by name or by path, checked, and loaded without running code.

Nothing here downloads by itself; `pull` is the one function that does, and only a user calls it.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
import whisper
from whisper.model import Whisper

from modalities.checkpoint import sha256
from modalities.errors import UnavailableError


def locate(name_or_path: str, whisper_dir: Path) -> Path:
    """The file of a checkpoint; raises UnavailableError where it is absent or altered."""
    url = whisper._MODELS.get(name_or_path)
    if url is None:
        path = Path(name_or_path)
        if not path.is_file():
            raise UnavailableError(
                f"{name_or_path!r} is neither a Whisper model's name nor a file",
                f"name a file or one of: {', '.join(whisper.available_models())}",
            )
        return path
    path = whisper_dir / Path(url).name
    if not path.is_file():
        raise UnavailableError(
            f"the Whisper checkpoint {name_or_path!r} is not in {whisper_dir}",
            f"emotion models pull {name_or_path}",
        )
    if sha256(path) != url.split("/")[-2]:  # as openai-whisper itself checks it
        raise UnavailableError(
            f"{path} is not the published {name_or_path!r}: its SHA-256 differs",
            f"delete it, then: emotion models pull {name_or_path}",
        )
    return path


def load(name_or_path: str, path: Path, device: str) -> Whisper:
    """The model in `path`, fp32 in eval mode; raises UnavailableError where it cannot be read.

    openai-whisper loads with `weights_only=True`: a pickle that would run code is refused.
    """
    try:
        model = whisper.load_model(str(path), device="cpu")
    except (
        pickle.UnpicklingError, RuntimeError, KeyError, TypeError, ValueError,
        AttributeError, EOFError, OSError,
    ) as error:  # fmt: skip
        raise UnavailableError(
            f"{path} is not a Whisper checkpoint: {type(error).__name__}",
            "give a file in openai-whisper's own format",
        ) from error
    heads = whisper._ALIGNMENT_HEADS.get(name_or_path)
    if heads is not None:
        model.set_alignment_heads(heads)
    if not all(bool(torch.isfinite(p).all()) for p in model.parameters()):
        raise UnavailableError(f"{path} holds weights that are not finite", "get the file anew")
    return model.float().eval().to(device)


def pull(name: str, whisper_dir: Path) -> Path:
    """Download a published checkpoint and check its SHA-256."""
    if name not in whisper.available_models():
        raise UnavailableError(
            f"there is no Whisper model {name!r}",
            f"name one of: {', '.join(whisper.available_models())}",
        )
    return Path(whisper._download(whisper._MODELS[name], str(whisper_dir), in_memory=False))
