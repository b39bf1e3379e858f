"""The states of a Whisper encoder's first blocks (Radford et al. 2022): what a voice is read from.

The encoder is openai-whisper's own module, so that any Whisper checkpoint's weights fit; the
forward pass over it is ours, because the library's runs at 30 seconds only, keeps no inner
states, and takes any mask for a causal one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from whisper.audio import HOP_LENGTH, N_SAMPLES_PER_TOKEN, log_mel_spectrogram, pad_or_trim
from whisper.model import AudioEncoder, ResidualAttentionBlock

from modalities.device import autocast

# Seconds of silence that the encoder hears after a segment, wherever its states are read: with
# less of it the words suffer, and a state would depend on who asks for it.
MARGIN_S = 1.0
N_BLOCKS = 4  # that are read: the middle layers know most of a mood
# Mean power in dB of full scale: the nominal level of speech on a line (ITU-T P.56, G.100.1), and
# what 16 bits hardly hold.
REFERENCE_DBFS, QUIETEST_DBFS = -26.0, -90.0


def at_reference(wave: Tensor) -> Tensor:
    """Bring (n,) samples of speech to REFERENCE_DBFS, whatever they were recorded at; what is
    quieter than QUIETEST_DBFS is no speech and stays under it by as much."""
    quietest = 10 ** (QUIETEST_DBFS / 20)
    return wave * (10 ** (REFERENCE_DBFS / 20) / wave.square().mean().sqrt().clamp(min=quietest))


def frames_heard(n_samples: int, n_ctx: int, margin_s: float | None = MARGIN_S) -> int:
    """Count the mel frames that an encoder of `n_ctx` positions runs over for so many samples, an
    even number: the segment and `margin_s` seconds of silence, or all that it can take."""
    most = 2 * n_ctx
    if margin_s is None:
        return most
    return min(most, 2 * math.ceil(n_samples / (2 * HOP_LENGTH) + 50 * margin_s))


def log_mels(
    waves: Sequence[Tensor], n_mels: int, n_ctx: int, margin_s: float | None = MARGIN_S
) -> tuple[Tensor, Tensor]:
    """Make the zero-padded log-mels (b, n_mels, t) of waves (n,) at 16 kHz, each at the reference
    level and with its margin, and their lengths (b,) in frames."""
    mels = [
        log_mel_spectrogram(
            pad_or_trim(at_reference(wave), frames_heard(len(wave), n_ctx, margin_s) * HOP_LENGTH),
            n_mels,
        )
        for wave in waves
    ]
    return collate(mels)


def positions_of(waves: Sequence[Tensor]) -> Tensor:
    """Count the encoder's positions (b,) that hold sound of each wave, not its margin."""
    return torch.tensor([max(1, len(wave) // N_SAMPLES_PER_TOKEN) for wave in waves])


def encode_waves(
    encoder: AudioEncoder,
    waves: Sequence[Tensor],
    margin_s: float | None = MARGIN_S,
    precision: torch.dtype = torch.float32,
    n_blocks: int | None = None,
) -> tuple[list[Tensor], Tensor]:
    """Run `encode` over waves at 16 kHz; returns the states and the positions (b,) that hold
    sound."""
    n_ctx = encoder.positional_embedding.shape[0]
    mel, lengths = log_mels(waves, encoder.conv1.in_channels, n_ctx, margin_s)
    with autocast(mel.device, precision):
        states, full = encode(encoder, mel, lengths.to(mel.device), n_blocks)
    return states, positions_of(waves).to(full.device).minimum(full)


def encode(
    encoder: AudioEncoder, mel: Tensor, lengths: Tensor, n_blocks: int | None = None
) -> tuple[list[Tensor], Tensor]:
    """Run the encoder on true lengths: what it says of an item does not depend on the batch.

    mel       (b, n_mels, t) with t ≤ 2 · n_ctx, padded at the end
    lengths   (b,) mel frames of each item
    n_blocks  how many blocks to run; None: all
    Returns the states (b, t', d) before the first block and after each one, and the true
    positions (b,) of each item, t' = ⌈t/2⌉. A decoder reads the last ones through `ln_post`.
    """
    padded = bool((lengths != mel.shape[-1]).any())
    positions = (lengths + 1) // 2
    if padded:  # both convolutions must see the zeros that they see at an item's end alone
        inside = within(lengths, mel.shape[-1]).unsqueeze(1)  # (b, 1, t)
        x = F.gelu(encoder.conv1(mel * inside)) * inside
    else:
        x = F.gelu(encoder.conv1(mel))
    x = F.gelu(encoder.conv2(x)).transpose(1, 2)  # (b, t', d)
    x = x + encoder.positional_embedding[: x.shape[1]]
    keep = within(positions, x.shape[1])[:, None, None] if padded else None  # (b, 1, 1, t')
    states = [x]
    for block in encoder.blocks[:n_blocks]:
        x = x + _attend(block, block.attn_ln(x), keep)
        x = x + block.mlp(block.mlp_ln(x))
        states.append(x)
    return states, positions


def _attend(block: ResidualAttentionBlock, x: Tensor, keep: Tensor | None) -> Tensor:
    attn = block.attn
    q, k, v = (
        projection(x).unflatten(-1, (attn.n_head, -1)).transpose(1, 2)  # (b, h, t, d/h)
        for projection in (attn.query, attn.key, attn.value)
    )
    heard = F.scaled_dot_product_attention(q, k, v, attn_mask=keep)
    return attn.out(heard.transpose(1, 2).flatten(2))


def within(lengths: Tensor, n: int) -> Tensor:
    """Mark the places before each of the lengths (b,): (b, n) bool."""
    return torch.arange(n, device=lengths.device) < lengths.unsqueeze(1)


def collate(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Put frames (n, t) of mixed lengths into one zero-padded batch (b, n, t); also returns their
    lengths (b,)."""
    lengths = torch.tensor([row.shape[1] for row in rows])
    batch = rows[0].new_zeros([len(rows), rows[0].shape[0], int(lengths.max())])
    for place, row in enumerate(rows):
        batch[place, :, : row.shape[1]] = row
    return batch, lengths


def first_blocks(state: Mapping[str, Tensor], n_blocks: int = N_BLOCKS) -> dict[str, Tensor]:
    """Pick the tensors of an encoder's convolutions and first blocks, by their names in it."""
    wanted = ("conv1.", "conv2.", *(f"blocks.{place}." for place in range(n_blocks)))
    return {name: tensor for name, tensor in state.items() if name.startswith(wanted)}


def digest_of(state: Mapping[str, Tensor]) -> str:
    """Compute the SHA-256 of tensors as they are in fp16, whatever file they were read from."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().half().contiguous()
        digest.update(f"{name} {list(tensor.shape)}".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
