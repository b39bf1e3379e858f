"""The models run again on what content was kept: the readings that were stored, made anew.

By the models that made them, looked for by their revisions in the bundle and in the registry, and
with the turns before it where they are kept. What was read from exactly the words that are kept
must come out the same. Sound and pictures are kept encoded anew (FLAC of 16 bits, PNG), which moves
a reading a little. Where personal data was taken out of a text, its reading is another, and so may
be those of the turns after it: that is told, and not compared.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping
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
from modalities.reading import Modality, Reading, Source
from modalities.text.infer import TextReader
from modalities.text.prepare import MOST_TURNS
from modalities.voice.infer import VoiceReader
from modalities.voice.prepare import SNR_RANGE_DB, Segment, decode
from modalities.voice.speaker import Speaker
from modalities.voice.stream import SAMPLE_RATE_HZ
from server.analysis import BytesPart, Call, Content, Role, TextPart
from server.models import Models, verified
from server.pipeline import Pipeline
from server.privacy.detect import Kind
from server.read_text import read_texts
from server.settings import Settings
from server.store.archive import Archive, keyed_hash
from server.store.records import ContentNotStoredError, StoredConversation, StoredMoment
from server.turns import Place, Said
from training.learn.registry import PARTS, Registry

WITHIN = 1e-4  # of each log-probability, as other items of a batch may move it
NEARLY_WITHIN = 0.02  # of the score, where sound or a picture was encoded anew
PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(Kind)})\]")  # of what was taken out
MODEL_OF = {Source.VOICE: "voice", Source.VISION: "image"}  # all others are words
LOADERS = {"text": TextReader.load, "voice": VoiceReader.load, "image": VisionReader.load}


class Outcome(StrEnum):
    """What became of a stored reading."""

    SAME = "same"
    DIFFERENT = "different"
    REDACTED = "redacted"  # of a text that is kept without its personal data, or comes after one
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
        contents = [(moment, self._content(stored.key, moment)) for moment in stored.moments]
        parts = {part: self._model(part, stored.versions.get(part, "")) for part in PARTS}
        missing = {n: one for n, one in parts.items() if isinstance(one, UnavailableError)}
        found: dict[str, Any] = {n: None if n in missing else one for n, one in parts.items()}
        models = replace(self._at_hand, missing=missing)
        models.text, models.voice, models.image = (found[part] for part in PARTS)
        if found["image"] is not None and any(Source.VISION in kept for _, kept in contents):
            models.preparer = self._preparer(found["image"].size)
        models.missing["whisper"] = UnavailableError("transcripts are kept as text", "")
        rerun: list[Rerun] = []
        in_call = stored.info.method in ("StreamCall", "BatchAnalyzeCalls")
        place: Place | None = None
        speakers: dict[Role | None, Speaker | None] = {}
        before: deque[Outcome] = deque(maxlen=MOST_TURNS)  # whether the last turns are as they were
        async with Pipeline(models, self._settings) as pipeline:
            for moment, content in contents:
                place = Place(place, Modality)
                now = await _read(moment, content, place, pipeline, in_call, speakers)
                place.close()
                after = before if _is_turn(moment) else ()
                rerun += self._compared(moment, content, now, missing, after)
                before += self._as_they_were(moment, content, len(place.turns))
        return rerun

    def _content(self, key: int, moment: StoredMoment) -> Mapping[Source, bytes]:
        """What is kept of a moment; of one that was not scored that may be nothing."""
        try:
            return self._archive.content(key, moment.number)
        except ContentNotStoredError:
            if moment.readings:
                raise
            return {}

    def _as_they_were(
        self, moment: StoredMoment, content: Mapping[Source, bytes], n_turns: int
    ) -> list[Outcome]:
        """SAME, REDACTED or NOT_STORED of each of the turns of a moment, for those after it."""
        if not content and _is_turn(moment):
            return [Outcome.NOT_STORED]
        if Source.IMAGE_TEXT in content and Source.VISION not in content:
            return [Outcome.NOT_STORED] * MOST_TURNS  # without the picture nobody knows whose it is
        words = [source for source in content if source.is_words]
        if all(self._is_whole(moment, source, content[source]) for source in words):
            return [Outcome.SAME] * n_turns
        return [Outcome.REDACTED] * n_turns

    def _is_whole(self, moment: StoredMoment, source: Source, kept: bytes) -> bool:
        """Whether nothing was taken out of a text; what was not scored has no hash to tell."""
        if known := moment.hashes.get(source):
            return keyed_hash(self._key, kept) == known
        return PLACEHOLDER.search(kept.decode()) is None

    def _compared(
        self,
        moment: StoredMoment,
        content: Mapping[Source, bytes],
        now: Mapping[Source, Reading],
        missing: Mapping[str, UnavailableError],
        before: Collection[Outcome],
    ) -> Iterator[Rerun]:
        worst_first = (Outcome.NOT_STORED, Outcome.REDACTED)
        altered = next((one for one in worst_first if one in before), None)
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
            elif source.is_words and altered is not None:
                outcome, again, reason = altered, None, "of the turns before it"
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
    moment: StoredMoment,
    content: Mapping[Source, bytes],
    place: Place,
    pipeline: Pipeline,
    in_call: bool,
    speakers: dict[Role | None, Speaker | None],
) -> dict[Source, Reading]:
    """What its models read in it, after the turns before its `place`; nothing of what has none,
    and of what was not scored what is said at most. What is heard of `speakers` is added to them;
    of whom some sound was not kept, None, no later sound can be read as it was."""
    call, found = Call("rerun"), dict[Source, Reading]()
    if (said := content.get(Source.TRANSCRIPT)) and pipeline.models.text is not None:
        turn = Said(moment.role, said.decode())
        (reading,) = await read_texts([turn], Modality.VOICE, place, call, pipeline.runner)
        if isinstance(reading, Reading):
            found[Source.TRANSCRIPT] = reading
    if not moment.readings:
        return found
    text, sound = content.get(Source.TEXT), content.get(Source.VOICE)
    picture = content.get(Source.VISION)
    readings: list[Reading] = []
    voice = pipeline.models.voice
    then = next((one for one in moment.readings if one.source is Source.VOICE), None)
    if in_call and then is not None and sound is None:
        speakers[moment.role] = None
    if in_call and sound is not None and voice is not None:
        samples = decode(sound, max_duration_s=math.inf).samples  # an utterance, found already
        snr_db = then.quality.snr_db if then else SNR_RANGE_DB[0]
        segment = Segment(samples, 0.0, len(samples) / SAMPLE_RATE_HZ, snr_db)
        (result,) = await pipeline.runner.infer(call, "voice", [segment])
        speaker = speakers.get(moment.role, Speaker())
        if result.sound is not None and speaker is not None:
            readings.append(voice.relative(result.sound, speaker))
            speakers[moment.role] = speaker.after(result.sound)
        sound = None
    analysis = await pipeline.analyze_content(
        Content(
            TextPart("text", text.decode()) if text else None,
            BytesPart("voice", sound) if sound else None,
            (BytesPart("picture", picture),) if picture else (),
            moment.role or Role.CUSTOMER,
        ),
        call,
        place,
    )
    readings += analysis.readings
    return {reading.source: reading for reading in readings} | found


def _is_turn(moment: StoredMoment) -> bool:
    """Whether it is read with the turns before it, and is one for those after it."""
    return Said(moment.role, "").is_turn


def _agree(then: Reading, now: Reading) -> bool:
    if not then.source.is_words:
        return abs(then.score - now.score) <= NEARLY_WITHIN
    pairs = ((then.log_sentiment, now.log_sentiment), (then.log_emotions, now.log_emotions))
    return all(np.allclose(one, other, rtol=0, atol=WITHIN) for one, other in pairs)
