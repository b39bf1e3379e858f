"""Speech segments → what their voices say of a mood and, where there is a decoder, transcripts.

One pass of one encoder feeds both: the emotion head reads the states of its first blocks, the
decoder the last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from whisper.audio import FRAMES_PER_SECOND
from whisper.model import Whisper

from modalities.device import autocast, default_precision, to_device
from modalities.model import alike
from modalities.reading import Quality, Reading, Source
from modalities.voice import model as voice_model
from modalities.voice import whisper_checkpoint
from modalities.voice.head import calibrated, doubt_of
from modalities.voice.model import VoiceModel
from modalities.voice.prepare import Segment, noise_floor, power, snr_db
from modalities.voice.speaker import Sound, Speaker
from modalities.voice.states import MARGIN_S, encode_waves, frames_heard
from modalities.voice.transcribe import Transcript, transcribe
from modalities.voice.utterance import statistics, tones

ENCODE_S = 30.0
FLOOR_SNR_DB = -3.0  # under it there is more noise than voice, and a head answers by the noise
TOO_NOISY = "too noisy to hear a mood"


@dataclass(frozen=True, eq=False)
class SegmentResult:
    """What was heard in one segment, and which models (name@revision) heard it.

    emotion    how it sounds by itself; None where the segment does not ask for it
    sound      what `VoiceReader.relative` reads once the speaker is known; None as `emotion`
    not_heard  why there is no emotion though the segment asks for it
    passes     how often an encoder ran over it
    """

    emotion: Reading | None
    transcript: Transcript | None
    emotion_model: str
    transcript_model: str | None
    sound: Sound | None = None
    not_heard: str = ""
    passes: int = 0

    @property
    def reading(self) -> Reading:
        """The emotion that was asked for."""
        assert self.emotion is not None
        return self.emotion


class VoiceReader:
    """A BatchModel over speech segments; cost in seconds that the encoder runs over.

    voice     the emotion model
    whisper   a whole checkpoint, for transcripts
    margin_s  seconds of silence that the checkpoint's encoder hears after a segment; None: all of
              its 30 seconds
    """

    name = "voice"
    cost_unit = "seconds"
    max_batch_cost = 240.0

    def __init__(
        self,
        voice: VoiceModel,
        device: str,
        whisper: Whisper | None = None,
        whisper_name: str = "",
        whisper_revision: str = "",
        margin_s: float | None = MARGIN_S,
    ) -> None:
        self.voice, self.device, self.whisper = voice.to(device), device, whisper
        self.revision, self.margin_s = voice.revision, margin_s
        self.whisper_name, self.whisper_revision = whisper_name, whisper_revision
        # The states are those of the one pass where its blocks and its margin are the head's own.
        self.one_pass = whisper is not None and margin_s == MARGIN_S and voice.reads(whisper)
        self.precision = default_precision(device)
        if device == "cpu" and whisper is None:
            self.max_batch_cost = 60.0  # what is larger leaves the processor's cache
        # Of one pass over an encoder: on a CPU, states that leave its cache cost more than a
        # larger matrix product gains. The decoder gains by every row.
        self.encode_cost = ENCODE_S if device == "cpu" else self.max_batch_cost
        self.encoder_passes = 0  # segments encoded so far

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> VoiceReader:
        """Load the embedded model, for emotion only; raises UnavailableError where it cannot."""
        return cls(voice_model.load(path), device)

    @classmethod
    def load_whisper(
        cls,
        name_or_path: str,
        whisper_dir: Path,
        device: str,
        embedded: Path,
        margin_s: float | None = None,
    ) -> VoiceReader:
        """Load a Whisper checkpoint for transcripts, and the emotion model that reads its states.

        That is `<checkpoint's stem>.emotion.safetensors` beside it, else the file `embedded`;
        where it was not taught on this checkpoint's states it runs its own blocks in a pass of
        its own. Without `margin_s` an encoder of the size base hears MARGIN_S of silence after a
        segment, and any other all 30 seconds, as Whisper was trained. Raises UnavailableError
        where a file is not at hand or cannot be read.
        """
        path = whisper_checkpoint.locate(name_or_path, whisper_dir)
        whisper, digest = whisper_checkpoint.load(name_or_path, path, device)
        beside = head_path_of(path)
        voice = voice_model.load(beside if beside.exists() else embedded)
        if margin_s is None and whisper.dims == whisper_checkpoint.PUBLISHED["base"].dims:
            margin_s = MARGIN_S
        return cls(voice, device, whisper, path.stem, digest[:12], margin_s)

    @property
    def model(self) -> str:
        """Name the emotion model."""
        return f"{self.name}@{self.revision}"

    @property
    def whisper_model(self) -> str | None:
        """Name the checkpoint, if there is one."""
        return f"{self.whisper_name}@{self.whisper_revision}" if self.whisper else None

    def cost(self, item: Segment) -> float:
        """Count the seconds that the encoder runs over, the decoder's where there is one."""
        n_ctx = self.voice.dims.n_ctx if self.whisper is None else self.whisper.dims.n_audio_ctx
        return frames_heard(len(item.samples), n_ctx, self.margin_s) / FRAMES_PER_SECOND

    @torch.inference_mode()
    def infer(self, items: Sequence[Segment]) -> list[SegmentResult]:
        """Give one result a segment: what of it is asked for and can be heard."""
        transcripts: Sequence[Transcript | None] = [None] * len(items)
        felt = [place for place, item in enumerate(items) if item.emotion and is_heard(item)]
        sounds: dict[int, Sound] = {}  # by place, as `felt`
        passes = Counter[int]()  # by place
        if self.whisper is not None:
            transcripts = self._transcribed(self.whisper, items, felt, sounds, passes)
        if not self.one_pass:
            passes.update(felt)
            for group in alike([self.cost(items[place]) for place in felt], self.encode_cost):
                places = [felt[row] for row in group]
                waves = self._waves(items, places)
                states, positions = encode_waves(self.voice.blocks, waves, MARGIN_S, self.precision)
                sounds |= self._sounds(states, positions, waves, items, places)
        self.encoder_passes += passes.total()
        return [
            SegmentResult(
                self.relative(sounds[place], Speaker()) if place in sounds else None,
                transcript,
                self.model,
                self.whisper_model,
                sounds.get(place),
                TOO_NOISY if items[place].emotion and place not in sounds else "",
                passes[place],
            )
            for place, transcript in enumerate(transcripts)
        ]

    @torch.inference_mode()
    def relative(self, sound: Sound, speaker: Speaker) -> Reading:
        """Read an utterance, given what its speaker said before; the first one by itself."""
        device = self.voice.head.layer_weights.device
        utterance = torch.from_numpy(sound.utterance).to(device)
        mean = torch.from_numpy(speaker.mean(len(utterance))).to(device)
        known = torch.tensor([speaker.known], device=device)
        sentiment, emotions, hidden = self.voice.head(utterance[None], mean[None], known)
        doubt = doubt_of(torch.tensor([sound.quality.snr_db], device=device))
        said = calibrated(sentiment, emotions, doubt, self.voice.temperature)
        log_sentiment, log_emotions = (one[0].cpu().numpy() for one in said)
        return Reading(
            Source.VOICE,
            log_sentiment,
            log_emotions,
            hidden[0].float().cpu().numpy(),
            sound.quality,
            speaker.known,
        )

    def _transcribed(
        self,
        whisper: Whisper,
        items: Sequence[Segment],
        felt: Sequence[int],
        sounds: dict[int, Sound],
        passes: Counter[int],
    ) -> Sequence[Transcript]:
        """Transcribe the items; where one pass does both, also fill `sounds` of those felt.
        Passes of the encoder are added to `passes`.

        What repeats itself is heard once more, with all of the encoder's 30 seconds.
        """
        asked = set(felt) if self.one_pass else set()
        costs = [self.cost(item) for item in items]
        heard: dict[int, Tensor] = {}
        for places in alike(costs, self.encode_cost):
            waves = self._waves(items, places)
            states, positions = self._heard(whisper, waves, places, self.margin_s, heard)
            rows = [row for row, place in enumerate(places) if place in asked]
            if rows:
                sounds |= self._sounds(
                    [state[rows] for state in states[: self.voice.dims.n_layer + 1]],
                    positions[rows],
                    [waves[row] for row in rows],
                    items,
                    [places[row] for row in rows],
                )
        passes.update(range(len(items)))
        said = self._decoded(whisper, heard, items)
        # With less silence than it was trained on Whisper may say one thing over and over.
        whole_s = whisper.dims.n_audio_ctx * 2 / FRAMES_PER_SECOND
        again = [p for p, text in said.items() if text.repeats and costs[p] < whole_s]
        heard.clear()
        passes.update(again)
        for group in alike([whole_s] * len(again), self.encode_cost):
            places = [again[row] for row in group]
            self._heard(whisper, self._waves(items, places), places, None, heard)
        said |= self._decoded(whisper, heard, items)
        return [said[place] for place in range(len(items))]

    def _heard(
        self,
        whisper: Whisper,
        waves: Sequence[Tensor],
        places: Sequence[int],
        margin_s: float | None,
        heard: dict[int, Tensor],
    ) -> tuple[list[Tensor], Tensor]:
        """Encode the waves at these places and put into `heard` what the decoder reads of each;
        returns the states and positions of `encode_waves`."""
        states, positions = encode_waves(whisper.encoder, waves, margin_s, self.precision)
        last = whisper.encoder.ln_post(states[-1])
        for row, place in enumerate(places):
            n_heard = frames_heard(len(waves[row]), whisper.dims.n_audio_ctx, margin_s) // 2
            heard[place] = last[row, :n_heard]
        return states, positions

    def _decoded(
        self, whisper: Whisper, heard: Mapping[int, Tensor], items: Sequence[Segment]
    ) -> dict[int, Transcript]:
        """Transcripts of what was heard, by place."""
        places = sorted(heard)
        if not places:
            return {}
        with autocast(self.device, self.precision):
            texts = transcribe(whisper, [heard[p] for p in places], [items[p] for p in places])
        return dict(zip(places, texts, strict=True))

    def _sounds(
        self,
        states: Sequence[Tensor],
        positions: Tensor,
        waves: Sequence[Tensor],
        items: Sequence[Segment],
        places: Sequence[int],
    ) -> dict[int, Sound]:
        """Sum up states (b, t, d) and waves of the items at these places."""
        layers = statistics([state.float() for state in states], positions)
        toned = torch.cat([tones([wave], self.voice.dims.n_mels) for wave in waves])
        uttered = self.voice.head.utterance(layers, toned)
        voices = self.voice.head.voice(uttered).cpu().numpy()
        utterances = uttered.cpu().numpy()
        return {
            place: Sound(
                np.ascontiguousarray(utterances[row]),
                np.ascontiguousarray(voices[row]),
                Quality(speech_s=items[place].duration_s, snr_db=items[place].snr_db),
            )
            for row, place in enumerate(places)
        }

    def _waves(self, items: Sequence[Segment], places: Sequence[int]) -> list[Tensor]:
        return [to_device(torch.from_numpy(items[p].samples), self.device) for p in places]


def is_heard(segment: Segment) -> bool:
    """Say whether there is less noise than the floor at which a mood can still be heard.

    Speech that the VAD missed counts as noise beside a segment: its own quietest tenth has to say
    the same.
    """
    own = snr_db(power(segment.samples), noise_floor(segment.samples))
    return max(segment.snr_db, own) >= FLOOR_SNR_DB


def head_path_of(whisper_path: Path) -> Path:
    """Say where the emotion model of a Whisper checkpoint lies."""
    return whisper_path.with_name(f"{whisper_path.stem}.emotion.safetensors")
