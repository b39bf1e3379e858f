"""Whisper checkpoints on disk: found by name or by path, checked, and loaded without running code.

Nothing here fetches anything: `modalities.voice.whisper_pull` does, and only when a user says so.
A published checkpoint is known by the SHA-256 of its file, one that was converted by that of its
tensors, which it states: `torch.save` writes the name of the file into the file.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import whisper
from torch import Tensor
from whisper.model import ModelDimensions, Whisper, sinusoids

from modalities.checkpoint import sha256
from modalities.errors import UnavailableError

AUTO, NONE = "auto", "none"  # in place of a name: one that was pulled, or no transcripts
STATED = "tensors_sha256"  # a key of a checkpoint that we wrote
NOT_LEARNED = "encoder.positional_embedding"  # sines and cosines, which not all formats round alike


@dataclass(frozen=True)
class Published:
    """A checkpoint that OpenAI published, in fp16: the size of its file and of its parts."""

    name: str
    n_bytes: int
    n_state: int
    n_audio_layer: int
    n_text_layer: int
    n_vocab: int = 51865
    n_mels: int = 80

    @property
    def url(self) -> str:
        return str(whisper._MODELS[self.name])

    @property
    def sha256(self) -> str:
        return self.url.split("/")[-2]  # where openai-whisper itself takes it from

    @property
    def dims(self) -> ModelDimensions:
        return ModelDimensions(
            n_mels=self.n_mels, n_vocab=self.n_vocab, n_audio_ctx=1500, n_text_ctx=448,
            n_audio_state=self.n_state, n_audio_head=self.n_state // 64,
            n_audio_layer=self.n_audio_layer, n_text_state=self.n_state,
            n_text_head=self.n_state // 64, n_text_layer=self.n_text_layer,
        )  # fmt: skip

    @property
    def languages(self) -> str:
        n_special = 51765  # tokens that are no language's
        return "English" if self.n_vocab == 51864 else str(self.n_vocab - n_special - 1)


PUBLISHED = {
    one.name: one
    for one in (
        Published("tiny", 75_572_083, 384, 4, 4),
        Published("base", 145_262_807, 512, 6, 6),
        Published("small", 483_617_219, 768, 12, 12),
        Published("medium", 1_528_008_539, 1024, 24, 24),
        Published("large-v3-turbo", 1_617_941_637, 1280, 32, 4, 51866, 128),
        Published("large-v1", 3_086_999_982, 1280, 32, 32),
        Published("large-v2", 3_086_999_982, 1280, 32, 32),
        Published("large-v3", 3_087_371_615, 1280, 32, 32, 51866, 128),
        Published("tiny.en", 75_571_315, 384, 4, 4, 51864),
        Published("base.en", 145_261_783, 512, 6, 6, 51864),
        Published("small.en", 483_615_683, 768, 12, 12, 51864),
        Published("medium.en", 1_528_006_491, 1024, 24, 24, 51864),
    )
}
ALIASES = {"large": "large-v3", "turbo": "large-v3-turbo"}
NAMES = ", ".join([*PUBLISHED, *ALIASES])


def published(name: str) -> Published | None:
    """Find a published checkpoint by its name or by another name of it."""
    return PUBLISHED.get(ALIASES.get(name, name))


def path_of(one: Published, whisper_dir: Path) -> Path:
    """Say where a checkpoint lies once it was pulled."""
    return whisper_dir / f"whisper-{one.name}.pt"


def chosen(asked: str, whisper_dir: Path) -> str:
    """Resolve "auto": base, else the first of PUBLISHED that was pulled; a name or path stays.

    Raises UnavailableError where nothing was pulled, and for "none".
    """
    if asked == NONE:
        raise UnavailableError("transcripts are turned off", "leave whisper=none out")
    if asked != AUTO:
        return asked
    for name in ("base", *PUBLISHED):
        if path_of(PUBLISHED[name], whisper_dir).is_file():
            return name
    raise UnavailableError(
        f"there is no Whisper checkpoint in {whisper_dir}", "run: emotion models pull"
    )


def locate(name_or_path: str, whisper_dir: Path) -> Path:
    """Find the file of a checkpoint; raises UnavailableError where it is absent."""
    one = published(name_or_path)
    path = path_of(one, whisper_dir) if one else Path(name_or_path)
    if path.is_file():
        return path
    if one:
        raise UnavailableError(
            f"the Whisper checkpoint {name_or_path!r} is not in {whisper_dir}",
            f"emotion models pull {name_or_path}",
        )
    raise UnavailableError(
        f"{name_or_path!r} is neither a Whisper model's name nor a file",
        f"name a file or one of: {NAMES}",
    )


def read(path: Path, one: Published | None = None) -> tuple[dict[str, int], dict[str, Tensor], str]:
    """Read dimensions, weights and the SHA-256 of the weights of a file in openai-whisper's format.

    Raises UnavailableError where it cannot be read, or is not what it states or what was published
    as `one`. Only tensors are unpickled: a pickle that would run code is refused.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        dims, state = dict(saved["dims"]), dict(saved["model_state_dict"])
        digest = digest_of(state)
        stated = saved.get(STATED)
    except (
        pickle.UnpicklingError, RuntimeError, KeyError, TypeError, ValueError,
        AttributeError, EOFError, OSError,
    ) as error:  # fmt: skip
        raise UnavailableError(
            f"{path} is not a Whisper checkpoint: {type(error).__name__}",
            f"emotion models pull {one.name}" if one else "give a file in openai-whisper's format",
        ) from error
    if stated is None:
        right = one is None or sha256(path) == one.sha256
    else:
        right = stated == digest and (one is None or ModelDimensions(**dims) == one.dims)
    if not right and one:
        raise UnavailableError(
            f"{path} is not the published Whisper checkpoint {one.name!r}: its SHA-256 differs",
            f"delete it, then: emotion models pull {one.name}; "
            "a checkpoint of your own is used by its path: --whisper FILE",
        )
    if not right:
        raise UnavailableError(f"{path} was altered: its SHA-256 differs", "get the file anew")
    return dims, state, digest


def load(name_or_path: str, path: Path, device: str) -> tuple[Whisper, str]:
    """Load the model in `path`, fp32 in eval mode, and the SHA-256 of its tensors; raises as
    `read`."""
    one = published(name_or_path)
    dims, state, digest = read(path, one)
    try:
        model = Whisper(ModelDimensions(**dims))
        model.load_state_dict(state)
    except (RuntimeError, TypeError) as error:  # other dimensions, or other tensors
        raise UnavailableError(
            f"{path} is not a Whisper checkpoint: {type(error).__name__}",
            "give a file in openai-whisper's format",
        ) from error
    if one:
        model.set_alignment_heads(whisper._ALIGNMENT_HEADS[one.name])
    exact, read_ones = sinusoids(*model.encoder.positional_embedding.shape), state[NOT_LEARNED]
    if torch.allclose(exact, read_ones.float(), atol=1e-3):
        model.encoder.positional_embedding = exact  # the same states, whatever the format
    if not all(bool(torch.isfinite(p).all()) for p in model.parameters()):
        raise UnavailableError(f"{path} holds weights that are not finite", "get the file anew")
    return model.float().eval().to(device), digest


def save(path: Path, dims: Mapping[str, int], state: Mapping[str, Tensor]) -> None:
    """Write a checkpoint in openai-whisper's format that states the SHA-256 of its tensors."""
    saved: dict[str, Any] = {"dims": dict(dims), "model_state_dict": dict(state)}
    torch.save(saved | {STATED: digest_of(state)}, path)


def digest_of(state: Mapping[str, Tensor]) -> str:
    """Compute the SHA-256 of weights, the same whatever file and order they were read from."""
    digest = hashlib.sha256()
    for name in sorted(state):
        if name != NOT_LEARNED:
            tensor = state[name].contiguous()
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
