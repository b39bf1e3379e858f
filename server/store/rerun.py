"""The models run again on what content was kept: the readings that were stored, made anew.

By the models that made them, looked for by their revisions in the bundle and in the registry. What
was read from exactly the words that are kept must come out the same. Sound and pictures are kept
encoded anew (FLAC of 16 bits, PNG), which moves a reading a little. Where personal data was taken
out of a text, its reading is another: that is told, and not compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from modalities.checkpoint import sha256
from modalities.errors import UnavailableError
from modalities.image.infer import VisionReader
from modalities.image.prepare import ImagePreparer
from modalities.reading import Reading, Source
from modalities.text.infer import TextReader
from modalities.voice.infer import VoiceReader
from modalities.voice.prepare import Segment, decode
from modalities.voice.stream import SAMPLE_RATE_HZ
from server.analysis import BytesPart, Call, Content, TextPart
from server.models import Models, verified
from server.pipeline import Pipeline
from server.read_text import read_texts
from server.settings import Settings
from server.store.archive import Archive, keyed_hash
from server.store.records import StoredConversation, StoredMoment
from training.learn.registry import PARTS, Registry

WITHIN = 1e-4  # of each log-probability, as other items of a batch may move it
NEARLY_WITHIN = 0.02  # of the score, where sound or a picture was encoded anew
MODEL_OF = {Source.VOICE: "voice", Source.VISION: "image"}  # all others are words
LOADERS = {"text": TextReader.load, "voice": VoiceReader.load, "image": VisionReader.load}


class Outcome(StrEnum):
    """What became of a stored reading."""

    SAME = "same"
    DIFFERENT = "different"
    REDACTED = "redacted"  # of a text that is kept without its personal data
    NOT_STORED = "content_not_stored"
    NO_MODEL = "model_missing"


@dataclass(frozen=True)
class Rerun:
    """Of one reading: its score then, and now where it was made anew; `reason` says what else."""

    number: int  # of the moment
    source: Source
    outcome: Outcome
    stored: float
    now: float | None = None
    reason: str = ""


class Rerunner:
    """Runs the models of stored conversations again; `key` is the store's. Loads each once."""

    def __init__(self, archive: Archive, key: bytes, settings: Settings, models: Models) -> None:
        """`models` holds the fusion model, which is not asked here."""
        self._archive, self._key, self._settings = archive, key, settings
        self._at_hand = models
        self._loaded: dict[tuple[str, str], Any] = {}
        self._preparer = cache(lambda size: ImagePreparer(crop_size=size))

    async def rerun(self, stored: StoredConversation) -> list[Rerun]:
        """Of every reading; raises ContentNotStoredError where a moment has no content at all."""
        contents = [
            (moment, self._archive.content(stored.key, moment.number))
            for moment in stored.moments
            if moment.readings
        ]
        parts = {part: self._model(part, stored.versions.get(part, "")) for part in PARTS}
        missing = {n: one for n, one in parts.items() if isinstance(one, UnavailableError)}
        found: dict[str, Any] = {n: None if n in missing else one for n, one in parts.items()}
        models = replace(self._at_hand, missing=missing)
        models.text, models.voice, models.image = (found[part] for part in PARTS)
        if found["image"] is not None and any(Source.VISION in kept for _, kept in contents):
            models.preparer = self._preparer(found["image"].size)
        models.missing["whisper"] = UnavailableError("transcripts are kept as text", "")
        rerun: list[Rerun] = []
        async with Pipeline(models, self._settings) as pipeline:
            for moment, content in contents:
                in_call = stored.info.method in ("StreamCall", "BatchAnalyzeCalls")
                now = await _read(content, pipeline, in_call)
                rerun += self._compared(moment, content, now, missing)
        return rerun

    def _compared(
        self,
        moment: StoredMoment,
        content: Mapping[Source, bytes],
        now: Mapping[Source, Reading],
        missing: Mapping[str, UnavailableError],
    ) -> Iterator[Rerun]:
        for then in moment.readings:
            source = then.source
            # A line of a chat's picture is kept as the text that it is.
            read_from = Source.TEXT if source not in content and source.is_words else source
            kept, again = content.get(read_from), now.get(read_from)
            outcome, reason = Outcome.SAME, ""
            if kept is None:
                outcome = Outcome.NOT_STORED
            elif (absent := missing.get(MODEL_OF.get(source, "text"))) is not None:
                outcome, reason = Outcome.NO_MODEL, absent.reason
            elif source.is_words and keyed_hash(self._key, kept) != moment.hashes.get(read_from):
                outcome, again = Outcome.REDACTED, None
            elif again is None:
                outcome = Outcome.NOT_STORED
            elif not _agree(then, again):
                outcome = Outcome.DIFFERENT
            yield Rerun(
                moment.number, source, outcome, then.score, again.score if again else None, reason
            )

    def _model(self, part: str, revision: str) -> Any:
        """Its reader, or as an UnavailableError that there is none of that revision."""
        if (part, revision) not in self._loaded:
            path = self._path(part, revision)
            self._loaded[part, revision] = (
                LOADERS[part](path, self._at_hand.device)
                if path
                else UnavailableError(
                    f"{part} {revision or 'of unknown revision'} is neither in the bundle nor in "
                    "the registry",
                    "install the weights of that revision, or set EMOTION_REGISTRY",
                )
            )
        return self._loaded[part, revision]

    def _path(self, part: str, revision: str) -> Path | None:
        registry = Registry.of_environment()
        folders = [self._settings.weights]
        folders += [version.folder for version in registry.versions(part)] if registry else []
        files = [(folder, folder / f"{part}.safetensors") for folder in folders]
        fitting = (
            folder for folder, file in files if file.is_file() and sha256(file)[:12] == revision
        )
        folder = next(fitting, None)
        return verified(folder, part) if folder else None


async def _read(
    content: Mapping[Source, bytes], pipeline: Pipeline, in_call: bool
) -> dict[Source, Reading]:
    """What its models read in it; nothing of what has none."""
    text, sound = content.get(Source.TEXT), content.get(Source.VOICE)
    picture, call = content.get(Source.VISION), Call("rerun")
    readings: list[Reading] = []
    if in_call and sound is not None and pipeline.models.voice is not None:
        samples = decode(sound, max_duration_s=math.inf).samples  # an utterance, found already
        segment = Segment(samples, 0.0, len(samples) / SAMPLE_RATE_HZ, 0.0)
        readings += [one.reading for one in await pipeline.runner.infer(call, "voice", [segment])]
        sound = None
    analysis = await pipeline.analyze_content(
        Content(
            TextPart("text", text.decode()) if text else None,
            BytesPart("voice", sound) if sound else None,
            (BytesPart("picture", picture),) if picture else (),
        ),
        call,
    )
    readings += analysis.readings
    found = {reading.source: reading for reading in readings}
    if (said := content.get(Source.TRANSCRIPT)) and pipeline.models.text is not None:
        (reading,) = await read_texts([said.decode()], call, pipeline.runner)
        if reading is not None:
            found[Source.TRANSCRIPT] = reading
    return found


def _agree(then: Reading, now: Reading) -> bool:
    if not then.source.is_words:
        return abs(then.score - now.score) <= NEARLY_WITHIN
    pairs = ((then.log_sentiment, now.log_sentiment), (then.log_emotions, now.log_emotions))
    return all(np.allclose(one, other, rtol=0, atol=WITHIN) for one, other in pairs)
