"""What the service makes of composed calls, held against their truth.

An utterance belongs to the turn of its channel that it shares most time with, if any. A turn may
come as several utterances where its clip has a pause: its start is the first one's, its end the
last one's, its emotion the mean of their probabilities by their lengths. A turn without an
utterance counts as wrong everywhere.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from emotion.v1 import call_pb2 as pb
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub
from emotion.v1.types_pb2 import Role as RoleValue

from bench.calls import compose
from bench.calls.compose import LINE_RATE_HZ, ROLES, Truth, Turn
from modalities.reading import EMOTIONS, Source
from modalities.voice.prepare import decode
from server import models
from server.analysis import BytesPart, Call, Content, Role
from server.calls import recorded
from server.calls.events import Utterance
from server.calls.recorded import CallOptions, RecordedCall
from server.pipeline import Pipeline
from server.settings import Settings
from training.data import data_dir
from training.evaluation.metrics import answer_figures
from training.evaluation.robustness import VOICE

WITHIN_S = 0.25
CHUNK_S = 0.02
OPTIONS = CallOptions(channel_roles=ROLES)


@dataclass(frozen=True)
class TurnFigures:
    """Over all turns of all calls.

    boundaries       share of turns that begin and end within WITHIN_S of their truth
    start_error_s,
    end_error_s      quantiles 5, 50 and 95 % of found less true
    overlap_ratio    overlap found over true; None where no turns overlap
    roles            share of the turns' utterances that have their turn's role
    invented         utterances that belong to no turn: how many, and how many of them have a text
                     or an emotion that the service would rely on
    customer_turns   of the customer's turns: uar and macro_f1 of the service's estimate (fused)
                     and of the sound's own term of it (voice), as voice models are judged
    clips            the same of the same clips, each alone as a recording over the same codec
    """

    n_calls: int
    n_turns: int
    boundaries: float
    start_error_s: list[float]
    end_error_s: list[float]
    overlap_ratio: float | None
    roles: float
    invented: dict[str, int]
    customer_turns: dict[str, float]
    clips: dict[str, float]


@dataclass(frozen=True)
class Difference:
    """Between a call that is streamed and the same scored from its file; the largest of all."""

    n_utterances: int
    offset_s: float
    probability: float


async def score(truths: Sequence[Path]) -> TurnFigures:
    """Through the path of recordings, with the embedded models."""
    settings = Settings(whisper="none")
    async with Pipeline(models.load(settings), settings) as pipeline:
        calls = [compose.load(path) for path in truths]
        scored = [await from_file(path, pipeline) for path in truths]
        clips = {
            turn.clip: await _of_clip(turn.clip, pipeline)
            for call in calls
            for turn in call.turns
            if turn.role == Role.CUSTOMER
        }
    return _figures(calls, scored, clips)


async def from_file(truth: Path, pipeline: Pipeline) -> RecordedCall:
    return await recorded.score(truth.with_suffix(".wav"), pipeline, OPTIONS, lambda _: None)


def streamed(truth: Path, service: EmotionServiceStub) -> list[pb.Utterance]:
    """The final utterances of the call sent in chunks of 20 ms, as fast as they are taken."""
    answers = service.StreamCall(_requests(truth))
    events = [answer.utterance for answer in answers if answer.HasField("utterance")]
    return [utterance for utterance in events if utterance.is_final]


def difference(live: Sequence[pb.Utterance], file: Sequence[Utterance]) -> Difference:
    """Raises ValueError where they are not the same utterances at all."""
    offsets, probabilities = [0.0], [0.0]
    for one, other in zip(live, file, strict=True):
        role = RoleValue.Name(one.role)
        if (one.index, one.channel, role) != (other.index, other.channel, other.role):
            raise ValueError(f"utterance {one.index} of the stream is another one in the file")
        if one.HasField("estimate") != (other.fused is not None):
            raise ValueError(f"utterance {one.index} is scored in one of them only")
        offsets += [
            abs(one.start_offset.ToTimedelta().total_seconds() - other.start_s),
            abs(one.end_offset.ToTimedelta().total_seconds() - other.end_s),
        ]
        if other.fused is not None:
            theirs = dict(zip(EMOTIONS, np.exp(other.fused.log_emotions), strict=True))
            probabilities += [
                abs(emotion.probability - float(theirs[emotion.label]))
                for emotion in one.estimate.emotions
            ]
    return Difference(len(live), max(offsets), max(probabilities))


def _requests(truth: Path) -> Iterator[pb.StreamCallRequest]:
    config = pb.StreamCallConfig(
        encoding=pb.StreamCallConfig.MULAW,
        sample_rate_hz=LINE_RATE_HZ,
        channel_roles=[RoleValue.Value(role.name) for role in ROLES],
    )
    yield pb.StreamCallRequest(config=config)
    with av.open(str(truth.with_suffix(".wav"))) as file:
        audio = b"".join(bytes(packet) for packet in file.demux(audio=0))
    chunk = round(CHUNK_S * LINE_RATE_HZ) * len(ROLES)
    for first in range(0, len(audio), chunk):
        yield pb.StreamCallRequest(audio=audio[first : first + chunk])


async def _of_clip(clip: str, pipeline: Pipeline) -> tuple[int, int]:
    """Emotions (their indices), fused and voice, of a clip alone; −1 where there is no speech."""
    content = (data_dir() / "speech" / clip).read_bytes()
    samples = decode(content, max_duration_s=60).samples
    line = VOICE["8 kHz μ-law"](samples, random.Random())
    analysis = await pipeline.analyze_content(Content(audio=BytesPart("audio", line)), Call(clip))
    if analysis.fused is None:
        return -1, -1
    (voice,) = (one for one in analysis.readings if one.source is Source.VOICE)
    return int(analysis.fused.log_emotions.argmax()), int(voice.log_emotions.argmax())


def _figures(
    calls: Sequence[Truth], scored: Sequence[RecordedCall], clips: Mapping[str, tuple[int, int]]
) -> TurnFigures:
    found: list[tuple[Turn, Sequence[Utterance]]] = []
    invented: list[Utterance] = []
    for call, answer in zip(calls, scored, strict=True):
        of_turn = match(call.turns, answer.utterances)
        found += [(turn, of_turn[place]) for place, turn in enumerate(call.turns)]
        invented += of_turn[None]
    errors = np.array(
        [
            (parts[0].start_s - turn.start_s, max(p.end_s for p in parts) - turn.end_s)
            for turn, parts in found
            if parts
        ]
    )
    within = int((np.abs(errors) <= WITHIN_S).all(1).sum())
    roles = [part.role == turn.role for turn, parts in found for part in parts]
    customers = [(turn, parts) for turn, parts in found if turn.role == Role.CUSTOMER]
    truth = np.array([EMOTIONS.index(turn.emotion) for turn, _ in customers])
    of_turns = np.array([_emotions(parts) for _, parts in customers])
    of_clips = np.array([clips[turn.clip] for turn, _ in customers])
    overlap_s = sum(call.overlap_s for call in calls)
    relied_on = [u for u in invented if u.text or (u.fused and not u.fused.abstained)]
    return TurnFigures(
        n_calls=len(calls),
        n_turns=len(found),
        boundaries=within / len(found),
        start_error_s=_quantiles(errors[:, 0]),
        end_error_s=_quantiles(errors[:, 1]),
        overlap_ratio=sum(answer.summary.shape.overlap_s for answer in scored) / overlap_s
        if overlap_s
        else None,
        roles=sum(roles) / len(roles),
        invented={"utterances": len(invented), "relied_on": len(relied_on)},
        customer_turns=_emotion_figures(truth, of_turns),
        clips=_emotion_figures(truth, of_clips),
    )


def match(
    turns: Sequence[Turn], utterances: Sequence[Utterance]
) -> dict[int | None, list[Utterance]]:
    """A turn's place → its utterances, in order; those of none under None."""
    of_turn: dict[int | None, list[Utterance]] = defaultdict(list)
    for utterance in sorted(utterances, key=lambda one: one.start_s):
        shared = {
            place: min(turn.end_s, utterance.end_s) - max(turn.start_s, utterance.start_s)
            for place, turn in enumerate(turns)
            if turn.channel == utterance.channel
        }
        best = max(shared, key=shared.__getitem__, default=None)
        of_turn[best if best is not None and shared[best] > 0 else None].append(utterance)
    return of_turn


def _emotions(parts: Sequence[Utterance]) -> tuple[int, int]:
    """The indices of a turn's emotions, fused and voice; −1 where none of it is scored."""
    scored = [(part.duration_s, part.fused, part.readings[0]) for part in parts if part.fused]
    if not scored:
        return -1, -1
    fused = np.sum([s * np.exp(one.log_emotions) for s, one, _ in scored], axis=0)
    voice = np.sum([s * np.exp(one.log_emotions) for s, _, one in scored], axis=0)
    return int(fused.argmax()), int(voice.argmax())


def _emotion_figures(truth: Any, answers: Any) -> dict[str, float]:
    """Of answers (n, 2), fused and voice."""
    found: dict[str, float] = {"n": len(truth)}
    for kind, answer in zip(("fused", "voice"), answers.T, strict=True):
        figures = answer_figures(truth, answer)
        found |= {f"{kind}_{name}": round(figures[name], 4) for name in ("uar", "macro_f1")}
    return found


def _quantiles(values: Any) -> list[float]:
    return [round(float(value), 3) for value in np.quantile(values, (0.05, 0.5, 0.95))]
