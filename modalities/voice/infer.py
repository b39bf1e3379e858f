"""Speech segments → Readings and, where the checkpoint has a decoder, transcripts.

One pass of one encoder feeds both: the emotion head reads all of its layers' states, the
decoder the last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from whisper.audio import FRAMES_PER_SECOND, HOP_LENGTH, N_SAMPLES_PER_TOKEN, pad_or_trim
from whisper.model import Whisper

from modalities import checkpoint
from modalities.device import autocast, default_precision, to_device
from modalities.errors import UnavailableError
from modalities.model import alike
from modalities.reading import Quality, Reading, Source
from modalities.traced import Run
from modalities.voice import whisper_checkpoint
from modalities.voice.heard import heard_by, traced_on_cpu
from modalities.voice.model import (
    EmotionHead,
    VoiceDimensions,
    VoiceModel,
    calibrated,
    collate,
    encode,
    features,
)
from modalities.voice.prepare import Segment
from modalities.voice.transcribe import Transcript, transcribe

ENCODE_S = 30.0
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

    cost_unit = "seconds"
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
        margin_s: float | None = None,
    ) -> None:
        self.name, self.revision, self.device = name, revision, device
        self.hear: Run | None = None
        self.whisper = model if isinstance(model, Whisper) else None
        self.encoder, self.head, self.dims = model.encoder, head, dims
        self.temperature = temperature
        self.fallback = fallback  # reads the emotion where a Whisper checkpoint has no head
        self.margin_s = margin_s
        self.precision = default_precision(device)
        if isinstance(model, VoiceModel):
            model.precision = self.precision
            self.hear = heard = heard_by(model, temperature)
            if device == "cpu":
                self.hear = traced_on_cpu(heard)
                self.max_batch_cost = 60.0  # what is larger leaves the processor's cache
        # Of one pass over Whisper's encoder: on a CPU, states that leave its cache cost more than
        # a larger matrix product gains. The decoder gains by every row.
        self.encode_cost = ENCODE_S if device == "cpu" else self.max_batch_cost
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
        cls,
        name_or_path: str,
        whisper_dir: Path,
        device: str,
        fallback: Path,
        margin_s: float | None = None,
    ) -> VoiceReader:
        """A Whisper checkpoint: transcripts, and emotion by the head that lies beside it.

        The head is `<checkpoint's stem>.emotion.safetensors`; without one the embedded checkpoint
        `fallback` reads the emotion in a pass of its own. Raises UnavailableError where the
        checkpoint is not at hand or cannot be read, or its head is another checkpoint's.
        Whisper was trained on 30 seconds, silence included: its encoder runs on all of them,
        unless `margin_s` seconds after a segment are known to be enough for this checkpoint.
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
            margin_s,
        )

    @property
    def model(self) -> str:
        return f"{self.name}@{self.revision}"

    def cost(self, item: Segment) -> float:
        if self.whisper is None:
            return item.duration_s
        return frames_heard(len(item.samples), self.dims, self.margin_s) / FRAMES_PER_SECOND

    @torch.inference_mode()
    def infer(self, items: Sequence[Segment]) -> list[SegmentResult]:
        """One result a segment: its Reading (source VOICE), if it asks for it, and its transcript,
        if any."""
        transcripts: Sequence[Transcript | None] = [None] * len(items)
        heard: dict[int, Tensor] = {}  # by place, as `felt`
        felt: dict[int, Reading] = {}
        asked = [place for place, item in enumerate(items) if item.emotion]
        if self.whisper is not None:
            self.encoder_passes += len(items)
            for places in alike([self.cost(item) for item in items], self.encode_cost):
                waves = self._waves([items[place] for place in places])
                states, positions = encode_whisper(
                    self.encoder, waves, self.dims, self.margin_s, self.precision
                )
                for row, place in enumerate(places):
                    n_heard = frames_heard(len(waves[row]), self.dims, self.margin_s) // 2
                    heard[place] = states[-1][row, :n_heard]
                rows = [row for row, place in enumerate(places) if items[place].emotion]
                if self.head is not None and rows:
                    logits = self.head([state[rows] for state in states], positions[rows])
                    said = calibrated(logits, self.temperature)
                    felt |= self._readings(said, items, [places[row] for row in rows])
            with autocast(self.device, self.precision):
                transcripts = transcribe(self.whisper, [heard[p] for p in range(len(items))], items)
        elif self.hear is not None and asked:
            self.encoder_passes += len(asked)
            groups = list(alike([self.cost(items[place]) for place in asked], self.max_batch_cost))
            said = self.hear(self._waves([items[place] for place in asked]), groups)
            felt = self._readings(said, items, [asked[row] for group in groups for row in group])
        if self.fallback is not None:
            found = self.fallback.infer([items[place] for place in asked])
            felt = {place: result.reading for place, result in zip(asked, found, strict=True)}
        return [
            SegmentResult(
                felt.get(place),
                transcript,
                emotion_model=(self.fallback or self).model,
                transcript_model=self.model if self.whisper else None,
            )
            for place, transcript in enumerate(transcripts)
        ]

    def _waves(self, items: Sequence[Segment]) -> list[Tensor]:
        return [to_device(torch.from_numpy(item.samples), self.device) for item in items]

    def _readings(
        self, said: Tensor, items: Sequence[Segment], places: Sequence[int]
    ) -> dict[int, Reading]:
        """By place, of what `calibrated` gives for some items."""
        ends = np.cumsum([self.dims.n_sentiments, self.dims.n_emotions])
        log_sentiment, log_emotions, embeddings = np.split(said.cpu().numpy(), ends, axis=1)
        return {
            place: Reading(
                Source.VOICE,
                log_sentiment[row],
                log_emotions[row],
                embeddings[row],
                Quality(speech_s=items[place].duration_s, snr_db=items[place].snr_db),
            )
            for row, place in enumerate(places)
        }


def encode_whisper(
    encoder: torch.nn.Module,
    waves: Sequence[Tensor],
    dims: VoiceDimensions,
    margin_s: float | None = None,
    precision: torch.dtype = torch.float32,
) -> tuple[list[Tensor], Tensor]:
    """`encode` over `frames_heard` of each wave; positions (b,) hold sound."""
    n_frames = [frames_heard(len(wave), dims, margin_s) for wave in waves]
    mel, lengths = collate(
        [
            features(pad_or_trim(wave, n * HOP_LENGTH), dims)
            for wave, n in zip(waves, n_frames, strict=True)
        ]
    )  # (b, n_mels, t)
    with autocast(mel.device, precision):
        states, full = encode(encoder, mel, lengths.to(mel.device))
    sound = torch.tensor([max(1, len(wave) // N_SAMPLES_PER_TOKEN) for wave in waves])
    return states, sound.to(full.device).minimum(full)


def frames_heard(n_samples: int, dims: VoiceDimensions, margin_s: float | None) -> int:
    """Mel frames that a Whisper encoder runs over for so many samples, an even number.

    All 30 seconds, as Whisper was trained, or the segment and `margin_s` seconds of silence.
    """
    most = 2 * dims.n_ctx
    if margin_s is None:
        return most
    return min(most, 2 * math.ceil(n_samples / (2 * HOP_LENGTH) + 50 * margin_s))


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
