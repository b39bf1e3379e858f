"""Speech segments → Readings and, where the checkpoint has a decoder, transcripts.

One pass of one encoder feeds both: the emotion head reads all of its layers' states, the
decoder the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from whisper.audio import CHUNK_LENGTH, N_SAMPLES_PER_TOKEN, pad_or_trim
from whisper.model import Whisper

from modalities import checkpoint
from modalities.errors import UnavailableError
from modalities.reading import Quality, Reading, Source
from modalities.voice import whisper_checkpoint
from modalities.voice.model import (
    EmotionHead,
    VoiceDimensions,
    VoiceModel,
    collate,
    encode,
    features,
    log_softmax,
    pooled_sentiment,
)
from modalities.voice.prepare import Segment
from modalities.voice.transcribe import Transcript, transcribe

TRANSCRIPT_REMEDY = "emotion models pull small, then start with --whisper small"


@dataclass(frozen=True, eq=False)
class SegmentResult:
    """What was heard in one segment, and which models (name@revision) heard it; `emotion` is None
    where the segment does not ask for it."""

    emotion: Reading | None
    transcript: Transcript | None
    emotion_model: str
    transcript_model: str | None

    @property
    def reading(self) -> Reading:
        """The emotion that was asked for."""
        assert self.emotion is not None
        return self.emotion


class VoiceReader:
    """A BatchModel over speech segments; cost in seconds that the encoder runs over."""

    max_batch_cost = 240.0

    def __init__(
        self,
        name: str,
        revision: str,
        model: VoiceModel | Whisper,
        dims: VoiceDimensions,
        temperature: dict[str, float],
        device: str,
        head: EmotionHead | None = None,
        fallback: VoiceReader | None = None,
    ) -> None:
        self.name, self.revision, self.device = name, revision, device
        self.embedded = model if isinstance(model, VoiceModel) else None
        self.whisper = model if isinstance(model, Whisper) else None
        self.encoder, self.head, self.dims = model.encoder, head, dims
        self.temperature = temperature
        self.fallback = fallback  # reads the emotion where a Whisper checkpoint has no head
        self.encoder_passes = 0  # segments encoded so far

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> VoiceReader:
        """The embedded checkpoint: emotion only. Raises UnavailableError where it cannot be read.

        Its encoder runs on each segment's true length.
        """
        saved = checkpoint.load(path)
        model = VoiceModel(VoiceDimensions(**saved.dims))
        model.load_state_dict(saved.state)
        model.eval().to(device)
        return cls(
            "voice",
            saved.revision,
            model,
            model.dims,
            saved.extra["temperature"],
            device,
        )

    @classmethod
    def load_whisper(
        cls, name_or_path: str, whisper_dir: Path, device: str, fallback: Path
    ) -> VoiceReader:
        """A Whisper checkpoint: transcripts, and emotion by the head that lies beside it.

        The head is `<checkpoint's stem>.emotion.safetensors`; without one the embedded checkpoint
        `fallback` reads the emotion in a pass of its own. Raises UnavailableError where the
        checkpoint is not at hand or cannot be read, or its head is another checkpoint's.
        Whisper was trained on 30 seconds, silence included: its encoder runs on all of them.
        """
        path = whisper_checkpoint.locate(name_or_path, whisper_dir)
        whisper = whisper_checkpoint.load(name_or_path, path, device)
        dims = VoiceDimensions.of_whisper(whisper.dims)
        digest = checkpoint.sha256(path)
        head_path = head_path_of(path)
        head, temperature = None, {}
        if head_path.exists():
            head, extra = load_head(head_path, dims, digest)
            head.to(device)
            temperature = extra["temperature"]
        return cls(
            path.stem,
            digest[:12],
            whisper,
            dims,
            temperature,
            device,
            head,
            None if head else cls.load(fallback, device),
        )

    @property
    def model(self) -> str:
        return f"{self.name}@{self.revision}"

    def cost(self, item: Segment) -> float:
        return CHUNK_LENGTH if self.whisper else item.duration_s

    @torch.inference_mode()
    def infer(self, items: Sequence[Segment]) -> list[SegmentResult]:
        """One result a segment: its Reading (source VOICE), if it asks for it, and its transcript,
        if any."""
        transcripts: Sequence[Transcript | None] = [None] * len(items)
        rows = [row for row, item in enumerate(items) if item.emotion]
        felt = [items[row] for row in rows]
        found: list[Reading] = []
        if self.whisper is not None:
            self.encoder_passes += len(items)
            states, positions = encode_whisper(self.encoder, self._waves(items), self.dims)
            transcripts = transcribe(self.whisper, states[-1], items)
            if self.head is not None and felt:
                logits = self.head([state[rows] for state in states], positions[rows])
                found = self._readings(logits, felt)
        elif self.embedded is not None and felt:
            self.encoder_passes += len(felt)
            frames, lengths = collate([features(wave, self.dims) for wave in self._waves(felt)])
            found = self._readings(self.embedded(frames, lengths.to(self.device)), felt)
        if self.fallback is not None:
            found = [result.reading for result in self.fallback.infer(felt)]
        of_row = dict(zip(rows, found, strict=True))
        return [
            SegmentResult(
                of_row.get(row),
                transcript,
                emotion_model=(self.fallback or self).model,
                transcript_model=self.model if self.whisper else None,
            )
            for row, transcript in enumerate(transcripts)
        ]

    def _waves(self, items: Sequence[Segment]) -> list[Tensor]:
        return [torch.from_numpy(item.samples).to(self.device) for item in items]

    def _readings(
        self, heard: tuple[Tensor, Tensor, Tensor], items: Sequence[Segment]
    ) -> list[Reading]:
        """Of a head's logits (b, 3) and (b, 7) and embeddings (b, e)."""
        sentiment, emotions, pooled = heard
        sentiment = pooled_sentiment(sentiment, emotions)
        log_sentiment = log_softmax(sentiment, self.temperature["sentiment"])  # (b, 3)
        log_emotions = log_softmax(emotions, self.temperature["emotion"])  # (b, 7)
        embeddings = pooled.float().cpu().numpy()
        return [
            Reading(
                Source.VOICE,
                log_sentiment[row],
                log_emotions[row],
                embeddings[row],
                Quality(speech_s=item.duration_s, snr_db=item.snr_db),
            )
            for row, item in enumerate(items)
        ]


def encode_whisper(
    encoder: torch.nn.Module, waves: Sequence[Tensor], dims: VoiceDimensions
) -> tuple[list[Tensor], Tensor]:
    """`encode` over 30 seconds each, as Whisper was trained; positions (b,) hold sound."""
    mel = torch.stack([features(pad_or_trim(wave), dims) for wave in waves])  # (b, n_mels, 3000)
    lengths = torch.full((len(waves),), mel.shape[-1], device=mel.device)
    states, full = encode(encoder, mel, lengths)
    heard = torch.tensor([max(1, len(wave) // N_SAMPLES_PER_TOKEN) for wave in waves])
    return states, heard.to(full.device).minimum(full)


def head_path_of(whisper_path: Path) -> Path:
    """Where the emotion head of a Whisper checkpoint lies."""
    return whisper_path.with_name(f"{whisper_path.stem}.emotion.safetensors")


def load_head(
    path: Path, dims: VoiceDimensions, whisper_sha256: str
) -> tuple[EmotionHead, dict[str, Any]]:
    """The head trained on the states of the checkpoint with these dimensions and SHA-256."""
    saved = checkpoint.load(path)
    if VoiceDimensions(**saved.dims) != dims or saved.extra.get("whisper_sha256") != whisper_sha256:
        raise UnavailableError(
            f"the emotion head {path} was trained on another Whisper checkpoint",
            "delete it (the embedded voice model then reads the emotion) or train it anew",
        )
    head = EmotionHead(dims)
    head.load_state_dict(saved.state)
    return head.eval(), saved.extra
