"""Voice with transcript and emotion, against openai-whisper and faster-whisper with a separate pass
of the encoder for the emotion."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import whisper
from whisper.model import ModelDimensions, Whisper

import weights
from bench.speed import content, whispers
from bench.speed.measure import REPEATS, Section, added, in_turn, row
from modalities.reading import Array
from modalities.voice import model as voice_model
from modalities.voice.infer import VoiceReader, head_path_of
from modalities.voice.prepare import Segment
from modalities.voice.speaker import Speaker
from modalities.voice.states import MARGIN_S
from modalities.voice.utterance import statistics, tones

ALL_S = 30.0
SEGMENTS_A_WINDOW = 5
OPENAI = "openai-whisper + separate pass"
FASTER = "faster-whisper int8 + separate pass"
PACKED = ", packed into 30 s windows"
TRUE_LENGTH, FULL_LENGTH = "true length", "full length"

HOW = (
    "Segments of 2-10 s, five of which are 30 s together, in one batch of ours; the baselines take "
    "one segment a call (or one window of 30 s with five of them). Whisper dimensions with random "
    f"weights that say {whispers.TOKENS_A_SEGMENT} tokens a segment, in every program the same "
    "ones, greedily: temperature 0, no fallback, no prompt, no timestamps, language given. The "
    "separate pass is openai-whisper's encoder over 30 s and the emotion head, a segment a call; "
    f"'true length' encodes a segment and {MARGIN_S:g} s of silence after it."
)


def measure(
    dimensions: Sequence[str] = ("tiny", "base"),
    n_windows: int = 2,
    repeats: int = REPEATS,
    n_tokens: int = whispers.TOKENS_A_SEGMENT,
) -> Section:
    section = Section("Voice with transcript and emotion", HOW)
    voice_cost = {}
    for name in dimensions:
        with tempfile.TemporaryDirectory() as folder:
            seconds = _seconds(
                whispers.DIMENSIONS[name], Path(folder), n_windows, repeats, n_tokens
            )
        emotion, packed_emotion = seconds["emotion"], seconds["emotion, packed"]
        baselines = {
            OPENAI: added(seconds["openai"], emotion),
            FASTER: added(seconds["faster"], emotion),
            OPENAI + PACKED: added(seconds["openai, packed"], packed_emotion),
            FASTER + PACKED: added(seconds["faster, packed"], packed_emotion),
        }
        for length in (TRUE_LENGTH, FULL_LENGTH):
            for baseline, theirs in baselines.items():
                section.rows.append(row(f"{name}, {length}", baseline, seconds[length], theirs))
            core_s = float(np.median(seconds[length])) * torch.get_num_threads()
            speech_minutes = n_windows * 30 / 60
            voice_cost[f"{name}, {length}"] = round(core_s / speech_minutes, 3)
    section.costs["voice_with_transcript"] = voice_cost
    return section


def _seconds(
    dims: ModelDimensions, folder: Path, n_windows: int, repeats: int, n_tokens: int
) -> dict[str, list[float]]:
    path = folder / "random.pt"
    model = whispers.write(dims, n_tokens, path)
    n_packed = SEGMENTS_A_WINDOW * n_tokens
    of_windows = whispers.speaking(dims, n_packed)
    fallback = weights.path_of("voice")
    ours = {
        length: VoiceReader.load_whisper(str(path), folder, "cpu", fallback, margin_s)
        for length, margin_s in ((TRUE_LENGTH, MARGIN_S), (FULL_LENGTH, ALL_S))
    }
    faster = _faster(whispers.write_ctranslate2(model, folder / "segments"))
    faster_of_windows = _faster(whispers.write_ctranslate2(of_windows, folder / "windows"))
    items = content.segments(n_windows, language=whispers.LANGUAGE)
    waves = [item.samples for item in items]
    windows = packed(waves)
    voice = voice_model.load(head_path_of(path))

    def emotion(waves: Sequence[Array]) -> None:
        for wave in waves:
            _separate_pass(model, voice, wave)

    works: dict[str, Callable[[], object]] = {
        TRUE_LENGTH: lambda: _checked(_ours(ours[TRUE_LENGTH], items), n_tokens),
        FULL_LENGTH: lambda: _checked(_ours(ours[FULL_LENGTH], items), n_tokens),
        "openai": lambda: _checked([openai(model, wave) for wave in waves], n_tokens),
        "faster": lambda: _checked([faster(wave) for wave in waves], n_tokens),
        "openai, packed": lambda: _checked([openai(of_windows, w) for w in windows], n_packed),
        "faster, packed": lambda: _checked([faster_of_windows(w) for w in windows], n_packed),
        "emotion": lambda: emotion(waves),
        "emotion, packed": lambda: emotion(windows),
    }
    return in_turn(works, repeats)


def packed(waves: Sequence[Array]) -> list[Array]:
    """Each SEGMENTS_A_WINDOW after one another as one window of 30 s."""
    starts = range(0, len(waves), SEGMENTS_A_WINDOW)
    return [
        np.concatenate(waves[start : start + SEGMENTS_A_WINDOW])[: whisper.audio.N_SAMPLES]
        for start in starts
    ]


def openai(model: Whisper, wave: Array) -> list[int]:
    """Tokens of `whisper.transcribe`, with the options of HOW."""
    found = whisper.transcribe(
        model,
        wave,
        temperature=0.0,
        compression_ratio_threshold=None,
        logprob_threshold=None,
        no_speech_threshold=None,
        condition_on_previous_text=False,
        without_timestamps=True,
        language=whispers.LANGUAGE,
        fp16=False,
    )
    return [token for segment in found["segments"] for token in segment["tokens"]]


def _ours(reader: VoiceReader, items: Sequence[Segment]) -> list[Sequence[int]]:
    return [result.transcript.tokens for result in reader.infer(items) if result.transcript]


def _faster(folder: Path) -> Callable[[Array], list[int]]:
    """faster-whisper in int8 with as many threads as torch has, with the options of HOW."""
    from faster_whisper import WhisperModel

    model = WhisperModel(
        str(folder), device="cpu", compute_type="int8", cpu_threads=torch.get_num_threads()
    )

    def transcribe(wave: Array) -> list[int]:
        segments, _ = model.transcribe(
            wave,
            language=whispers.LANGUAGE,
            beam_size=1,
            best_of=1,
            temperature=0.0,
            compression_ratio_threshold=None,
            log_prob_threshold=None,
            no_speech_threshold=None,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return [token for segment in segments for token in segment.tokens]

    return transcribe


@torch.inference_mode()
def _separate_pass(model: Whisper, voice: voice_model.VoiceModel, wave: Array) -> None:
    """What a second model for the emotion costs: the encoder's layers and our head on them."""
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(wave), model.dims.n_mels)
    states: list[torch.Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _, __, out: states.append(out))
        for block in model.encoder.blocks
    ]
    last = model.encoder(mel.unsqueeze(0))
    for hook in hooks:
        hook.remove()
    read = [states[0], *states][: voice.dims.n_layer + 1]
    layers = statistics(read, torch.tensor([last.shape[1]]))
    utterance = voice.head.utterance(layers, tones([torch.from_numpy(wave)], voice.dims.n_mels))
    nobody = torch.from_numpy(Speaker().mean(utterance.shape[1])).unsqueeze(0)
    voice.head(utterance, nobody, torch.zeros(1))


def _checked(tokens: Sequence[Sequence[int]], n_tokens: int) -> None:
    """Every program must have done the same work."""
    found = {len(one) for one in tokens}
    assert found == {n_tokens}, f"decoded {found} tokens, not {n_tokens}"
