"""The embedded voice model: a Whisper encoder's first blocks, frozen, and the emotion head on them.

The blocks lie in our own file, so that a mood is heard where no checkpoint was pulled. Where one
was, and its blocks are the same, the head reads the states of the one pass that the transcript
needs anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from whisper.model import AudioEncoder, ModelDimensions, Whisper

from modalities import checkpoint
from modalities.errors import UnavailableError
from modalities.voice.head import EmotionHead, VoiceDimensions
from modalities.voice.states import N_BLOCKS, digest_of, first_blocks


@dataclass(frozen=True, eq=False)
class VoiceModel:
    """What a file of voice weights holds; `temperature` calibrates the head, and `blocks_sha256`
    names the blocks that it was taught on."""

    dims: VoiceDimensions
    blocks: AudioEncoder
    head: EmotionHead
    temperature: dict[str, float]
    blocks_sha256: str
    revision: str

    def to(self, device: str) -> VoiceModel:
        """Move it to a device, in place."""
        self.blocks.to(device)
        self.head.to(device)
        return self

    def reads(self, whisper: Whisper) -> bool:
        """Say whether the head was taught on the states of this checkpoint's encoder."""
        return digest_of(first_blocks(whisper.encoder.state_dict())) == self.blocks_sha256


def dimensions(dims: ModelDimensions, n_hidden: int) -> VoiceDimensions:
    """Give the dimensions of a voice model on the encoder of a Whisper checkpoint."""
    return VoiceDimensions(
        n_mels=dims.n_mels,
        n_ctx=dims.n_audio_ctx,
        n_state=dims.n_audio_state,
        n_head=dims.n_audio_head,
        n_layer=min(N_BLOCKS, dims.n_audio_layer),
        n_hidden=n_hidden,
    )


def blocks_of(dims: VoiceDimensions, state: Mapping[str, Tensor]) -> AudioEncoder:
    """Build an encoder of the first blocks alone, in eval mode, with the tensors `state`."""
    encoder = AudioEncoder(dims.n_mels, dims.n_ctx, dims.n_state, dims.n_head, dims.n_layer)
    encoder.ln_post = nn.Identity()  # of what a decoder reads, which is no state of these blocks
    place = encoder.positional_embedding  # sines and cosines, which are not kept
    encoder.load_state_dict({**state, "positional_embedding": place})
    return encoder.eval()


def load(path: Path) -> VoiceModel:
    """Read a file of voice weights; raises UnavailableError where it cannot be, or is of a version
    that this one does not read."""
    saved = checkpoint.load(path)
    parts: dict[str, dict[str, Tensor]] = {"blocks": {}, "head": {}}
    try:
        dims = VoiceDimensions(**saved.dims)
        for name, tensor in saved.state.items():
            part, _, within = name.partition(".")
            parts[part][within] = tensor
        blocks, head = blocks_of(dims, parts["blocks"]), EmotionHead(dims)
        head.load_state_dict(parts["head"])
        temperature = saved.extra["temperature"]
        blocks_sha256 = digest_of(parts["blocks"])
    except (TypeError, KeyError, RuntimeError) as error:
        raise UnavailableError(
            f"{path} holds no voice model that can be read: {type(error).__name__}",
            "make it anew with 'emotion train voice'",
        ) from error
    return VoiceModel(dims, blocks, head.eval(), temperature, blocks_sha256, saved.revision)


def save(
    path: Path,
    dims: VoiceDimensions,
    blocks: Mapping[str, Tensor],
    head: EmotionHead,
    temperature: Mapping[str, float],
    **extra: Any,
) -> None:
    """Write a file of voice weights: the blocks as they are in fp16, the head, and `extra`."""
    state = {f"blocks.{name}": tensor for name, tensor in blocks.items()}
    state |= {f"head.{name}": tensor for name, tensor in head.state_dict().items()}
    checkpoint.save(path, dims, state, eight_bits=False, temperature=dict(temperature), **extra)


@torch.inference_mode()
def head_in_fp16(head: EmotionHead) -> EmotionHead:
    """Round a head to what its file will hold."""
    for tensor in head.state_dict().values():
        tensor.copy_(tensor.half().float())
    return head
