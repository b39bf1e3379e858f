"""Speech of which it is known what is said, by a script.

No test has a checkpoint of Whisper that understands anything. Here the embedded voice model hears
the sound, and what is said stands in a script, by the second at which it begins.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import server_media as media

from modalities.voice.infer import SegmentResult, VoiceReader
from modalities.voice.prepare import Segment, decode
from modalities.voice.transcribe import Transcript
from server.models import Models


class ScriptedReader(VoiceReader):
    """The embedded reader, with a decoder that looks into the script."""

    def __init__(self, embedded: VoiceReader, script: Mapping[int, str]) -> None:
        vars(self).update(vars(embedded))
        self.embedded, self.script = embedded, script
        self.whisper_revision = "script"
        self.whisper = object()  # type: ignore[assignment]

    def cost(self, item: Segment) -> float:
        return item.duration_s

    def infer(self, items: Sequence[Segment]) -> list[SegmentResult]:
        return [
            replace(heard, transcript=self._transcript(item))
            for item, heard in zip(items, self.embedded.infer(items), strict=True)
        ]

    def _transcript(self, item: Segment) -> Transcript:
        second = min(self.script, key=lambda second: abs(second - item.start_s))
        return Transcript(self.script[second], "en", (), 0.0, 0.0, 1.0)


def speaking(loaded: Models, script: Mapping[int, str]) -> Models:
    """The same models, with that script's transcripts."""
    models = copy.copy(loaded)
    assert loaded.voice is not None
    models.voice = ScriptedReader(loaded.voice, script)
    models.missing = {k: v for k, v in loaded.missing.items() if k != "whisper"}
    return models


def recording(*seconds: int) -> bytes:
    """Speech that begins at these seconds, each for about two seconds."""
    voice = decode(media.recording(), max_duration_s=60).samples[: 2 * media.RATE_HZ]
    samples = np.zeros((max(seconds) + 3) * media.RATE_HZ, np.float32)
    for second in seconds:
        first = second * media.RATE_HZ
        samples[first : first + len(voice)] = voice
    return media.wav(samples)
