"""Voice, emotion only: recordings half of which is speech, through the pipeline."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import torch

import weights
from bench.speed import content
from bench.speed.inside import Inside
from bench.speed.measure import REPEATS, Section, in_turn, row
from modalities.reading import Array
from modalities.voice.infer import VoiceReader
from modalities.voice.prepare import Segment
from modalities.voice.stream import SAMPLE_RATE_HZ

NAME = "voice, emotion only"
BASELINE = "silero's own timestamps, then the same model a segment a call"
CALLERS = 4

HOW = (
    "Mono recordings of a minute at 16 kHz (WAV), half of each speech, half faint noise: decoded, "
    "cut by the VAD, read and fused in this process's pipeline, four at once. The baseline has the "
    "samples already; it takes silero-vad's get_speech_timestamps (ONNX) and the same encoder and "
    "head, a segment a call."
)


def measure(n_recordings: int = 6, seconds: float = 60.0, repeats: int = REPEATS) -> Section:
    section = Section("Voice, emotion only", HOW)
    waves = [content.half_speech(seconds, seed) for seed in range(n_recordings)]
    payloads = [
        content.voice_request(seconds, seed).SerializeToString() for seed in range(n_recordings)
    ]
    baseline, inside, cpu_s = _baseline(), Inside(), []
    try:
        taken = in_turn(
            {
                NAME: lambda: cpu_s.append(inside.run(payloads, CALLERS, n_recordings).cpu_s),
                BASELINE: lambda: baseline(waves),
            },
            repeats,
        )
    finally:
        inside.close()
    audio_s = n_recordings * seconds
    section.rows.append(
        row(
            NAME, BASELINE, *([audio_s / one for one in taken[name]] for name in (NAME, BASELINE)),
            unit="× real time", higher_is_better=True, digits=1,
        )
    )  # fmt: skip
    core_s = statistics.median(cpu_s[1:]) / audio_s * 60
    section.costs["voice"] = round(core_s, 4)
    return section


def _baseline() -> Any:
    from silero_vad import get_speech_timestamps, load_silero_vad

    n_threads = torch.get_num_threads()
    vad = load_silero_vad(onnx=True)
    torch.set_num_threads(n_threads)  # its import sets them to one
    reader = VoiceReader.load(weights.path_of("voice"))

    def read(waves: Sequence[Array]) -> None:
        for wave in waves:
            spans = get_speech_timestamps(torch.from_numpy(wave), vad, max_speech_duration_s=15)
            for span in spans:
                samples = wave[span["start"] : span["end"]]
                reader.infer([Segment(samples, 0.0, len(samples) / SAMPLE_RATE_HZ, 20.0)])

    return read
