"""The voice model: Whisper's audio encoder (Radford et al. 2022) and an emotion head on its states.

The embedded model has a wide path beside the encoder, which judges functionals of the utterance.

The encoder is openai-whisper's own module, so that any Whisper checkpoint's weights fit; the
forward pass over it is ours, because the library's runs at 30 seconds only, keeps no inner
states, and takes any mask for a causal one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from whisper.audio import HOP_LENGTH, log_mel_spectrogram
from whisper.model import AudioEncoder, ModelDimensions, ResidualAttentionBlock

from modalities.device import autocast
from modalities.reading import EMOTIONS, SENTIMENT_GROUPS, SENTIMENTS, Array
from modalities.voice.prosody import N_PROSODY, VOICED, functionals, n_functionals, prosody
from modalities.voice.wide import Logits, WidePath, weighed

N_ATTENTION = 64  # width of the pooling's attention network


@dataclass(frozen=True)
class VoiceDimensions:
    """Saved with the weights; enough to build the model again."""

    n_mels: int
    n_ctx: int  # encoder positions: mel frames over 2 · mel_stride
    n_state: int
    n_head: int
    n_layer: int
    mel_stride: int = 1  # mel frames of 10 ms averaged into one
    normalised: bool = False  # the encoder takes the item's mel at mean 0 and variance 1
    n_wide: int = 0  # width of the wide path; 0: none, and no prosody for the encoder
    n_sets: int = 1  # sets that the wide path was trained on
    n_sentiments: int = len(SENTIMENTS)
    n_emotions: int = len(EMOTIONS)

    @classmethod
    def of_whisper(cls, dims: ModelDimensions) -> VoiceDimensions:
        return cls(
            n_mels=dims.n_mels,
            n_ctx=dims.n_audio_ctx,
            n_state=dims.n_audio_state,
            n_head=dims.n_audio_head,
            n_layer=dims.n_audio_layer,
        )

    @property
    def n_inputs(self) -> int:
        """Rows of a frame, as `features` makes them and the encoder takes them."""
        return self.n_mels + (N_PROSODY if self.n_wide else 0)


class EmotionHead(nn.Module):
    """All layers' states (b, t, d) → sentiment logits, emotion logits, pooled state (b, 2d).

    A learned softmax-weighted sum over the layers, each normalised first (SUPERB, Yang et al.
    2021), then attentive statistics pooling (Okabe et al. 2018): weighted mean and deviation.
    """

    def __init__(self, dims: VoiceDimensions, dropout: float = 0.0) -> None:
        super().__init__()
        d = dims.n_state
        self.layer_weights = nn.Parameter(torch.zeros(dims.n_layer + 1))
        self.attention = nn.Sequential(
            nn.Linear(d, N_ATTENTION), nn.Tanh(), nn.Linear(N_ATTENTION, 1)
        )
        self.dropout = nn.Dropout(dropout)
        self.sentiment = nn.Linear(2 * d, dims.n_sentiments)
        self.emotions = nn.Linear(2 * d, dims.n_emotions)

    def forward(self, states: list[Tensor], lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = torch.zeros_like(states[0])
        for weight, state in zip(self.layer_weights.softmax(0), states, strict=True):
            x = x + weight * F.layer_norm(state, state.shape[-1:])  # (b, t, d)
        scores = self.attention(x).squeeze(-1)  # (b, t)
        scores = scores.masked_fill(~within(lengths, x.shape[1]), -torch.inf)
        weights = scores.softmax(-1).unsqueeze(-1)  # (b, t, 1)
        mean = (weights * x).sum(1)  # (b, d)
        variance = (weights * (x - mean.unsqueeze(1)).square()).sum(1)
        pooled = torch.cat([mean, (variance + 1e-5).sqrt()], dim=-1)  # (b, 2d)
        features = self.dropout(pooled)
        return self.sentiment(features), self.emotions(features), pooled


class VoiceModel(nn.Module):
    """Frames (b, n_inputs, t) and true lengths (b,) → logits and pooled state, as the head's."""

    def __init__(
        self, dims: VoiceDimensions, dropout: float = 0.0, wide_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dims = dims
        self.dropout = dropout
        self.precision = torch.float32  # of the encoder
        self.encoder = AudioEncoder(
            dims.n_inputs, dims.n_ctx, dims.n_state, dims.n_head, dims.n_layer
        )
        self.head = EmotionHead(dims, 2 * dropout)
        self.wide = wide_path(dims, wide_dropout) if dims.n_wide else None

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        paths, pooled = self.paths(frames, lengths)
        return *summed(paths), pooled

    def paths(self, frames: Tensor, lengths: Tensor) -> tuple[list[Logits], Tensor]:
        """The logits of the encoder's path and of the wide ones; their sums are the model's."""
        sentiment, emotions, pooled = self.listen(frames, lengths)
        paths = [(sentiment, emotions)]
        if self.wide is not None:
            judges, familiar = self.wide(functionals(frames, within(lengths, frames.shape[-1])))
            paths = weighed(paths + judges, familiar)
        return paths, pooled

    def listen(
        self, frames: Tensor, lengths: Tensor, keep: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The encoder's path alone.

        keep  (b, n_mels, t) of zeros and ones: what the encoder may hear, for training
        """
        inside = within(lengths, frames.shape[-1])  # (b, t)
        mel = frames[:, : self.dims.n_mels]
        if self.dims.normalised:
            mel = _normalised(mel, inside)
        if keep is not None:
            mel = mel * keep
        heard = mel
        if self.dims.n_wide:
            heard = torch.cat([mel, _voice_rows(frames[:, self.dims.n_mels :], inside)], 1)
        dropout = self.dropout if self.head.training else 0.0
        with autocast(heard.device, self.precision):
            states, positions = encode(self.encoder, heard, lengths, dropout)
        logits: tuple[Tensor, Tensor, Tensor] = self.head(states, positions)
        return logits


def wide_path(dims: VoiceDimensions, dropout: float = 0.0) -> WidePath:
    """That of a model with these dimensions, untaught."""
    n, sizes = n_functionals(dims.n_inputs), (dims.n_sentiments, dims.n_emotions)
    return WidePath(n, dims.n_wide, dims.n_sets, sizes, dropout)


def summed(paths: list[Logits]) -> Logits:
    sentiment, emotions = (torch.stack(heads).sum(0) for heads in zip(*paths, strict=True))
    return sentiment, emotions


def _normalised(mel: Tensor, inside: Tensor) -> Tensor:
    """Each item's mel (b, n_mels, t) at mean 0 and variance 1, zero beyond its end.

    As a whole, not bin by bin: the tilt of the spectrum tells a raised voice.
    """
    kept = inside.unsqueeze(1)  # (b, 1, t)
    n = kept.sum((1, 2), keepdim=True) * mel.shape[1]
    mel = (mel - (mel * kept).sum((1, 2), keepdim=True) / n) * kept
    return mel / (mel.square().sum((1, 2), keepdim=True) / n).sqrt().clamp(min=1e-3)


def _voice_rows(rows: Tensor, inside: Tensor) -> Tensor:
    """`prosody` (b, 3, t) as the encoder takes it: no pitch without voice, energy to the peak's."""
    pitch, periodicity, energy = rows.unbind(1)
    peak = energy.masked_fill(~inside, -torch.inf).amax(-1, keepdim=True)
    shown = [(pitch - 7.5) * (periodicity > VOICED), periodicity, energy - peak + 2]
    return torch.stack(shown, 1) * inside.unsqueeze(1)


def encode(
    encoder: AudioEncoder, mel: Tensor, lengths: Tensor, dropout: float = 0.0
) -> tuple[list[Tensor], Tensor]:
    """Run the encoder on true lengths: what it says of an item does not depend on the batch.

    mel      (b, n_mels, t) with t ≤ 2 · n_ctx, padded at the end
    lengths  (b,) mel frames of each item
    Returns the states (b, t', d) before the first block and after each one, the last through
    `ln_post` (it is what a decoder reads), and the true positions (b,) of each item, t' = ⌈t/2⌉.
    At full length the last is what the library's own forward gives.
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
    for block in encoder.blocks:
        x = x + F.dropout(_attend(block, block.attn_ln(x), keep), dropout)
        x = x + F.dropout(block.mlp(block.mlp_ln(x)), dropout)
        states.append(x)
    states[-1] = encoder.ln_post(x)
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
    """(b,) lengths → (b, n) bool, true at positions before each length."""
    return torch.arange(n, device=lengths.device) < lengths.unsqueeze(1)


def features(samples: Array | Tensor, dims: VoiceDimensions) -> Tensor:
    """(n,) samples at 16 kHz → (n_inputs, t) frames: the log-mel, and the prosody if it is used.

    There is at least one frame.
    """
    wave = torch.as_tensor(samples)
    short = dims.mel_stride * HOP_LENGTH - len(wave)
    wave = F.pad(wave, (0, max(0, short)))
    frames = log_mel_spectrogram(wave, dims.n_mels)  # (n_mels, 10 ms)
    if dims.mel_stride > 1:
        frames = F.avg_pool1d(frames, dims.mel_stride)
    if dims.n_wide:
        rows = prosody(wave, dims.mel_stride * HOP_LENGTH)
        frames = torch.cat([frames, rows[:, : frames.shape[1]]])
    return frames[:, : 2 * dims.n_ctx]


def collate(mels: list[Tensor], shortest: int = 1) -> tuple[Tensor, Tensor]:
    """Frames (n, t) of mixed lengths → one zero-padded batch (b, n, t), t ≥ `shortest`, and
    lengths (b,). TorchScript reads it, too."""
    lengths = torch.tensor([mel.shape[1] for mel in mels])
    longest = max(shortest, int(lengths.max()))
    batch = mels[0].new_zeros([len(mels), mels[0].shape[0], longest])
    for row, mel in enumerate(mels):
        batch[row, :, : mel.shape[1]] = mel
    return batch, lengths


def pooled_sentiment(sentiment: Tensor, emotions: Tensor) -> Tensor:
    """The sentiment head's logits (b, 3) and those that the emotions' (b, 7) imply, as one.

    The two heads err apart (loud anger sounds positive to the one, faint joy sad to the other):
    on `dev` their product is better than either. Surprise implies no sentiment.
    """
    groups = torch.from_numpy(SENTIMENT_GROUPS).to(emotions)  # (3, 7)
    implied = emotions.softmax(-1) @ groups.T  # (b, 3)
    return sentiment.log_softmax(-1) + implied.clamp_min(1e-6).log()


def calibrated(heard: tuple[Tensor, Tensor, Tensor], temperature: dict[str, float]) -> Tensor:
    """A head's logits (b, 3) and (b, 7) and pooled states (b, e) → log-probabilities of sentiments
    and emotions, and the states, in one tensor (b, 3 + 7 + e)."""
    sentiment, emotions, pooled = heard
    sentiment = pooled_sentiment(sentiment, emotions).float() / temperature["sentiment"]
    emotions = emotions.float() / temperature["emotion"]
    return torch.cat([sentiment.log_softmax(-1), emotions.log_softmax(-1), pooled.float()], -1)
