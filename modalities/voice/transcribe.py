"""Encoded speech → text with Whisper's decoder, many segments at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from whisper.audio import HOP_LENGTH, SAMPLE_RATE
from whisper.decoding import DecodingOptions, DecodingResult
from whisper.model import Whisper
from whisper.timing import find_alignment, merge_punctuations
from whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE, get_tokenizer

from modalities.errors import InputError
from modalities.voice.greedy import decode
from modalities.voice.prepare import Segment

# Greedy and without a prompt: a segment's text does not depend on what came before it. The VAD
# gives the offsets, so no timestamps are decoded.
OPTIONS = DecodingOptions(temperature=0.0, without_timestamps=True, fp16=False)

# Above these a text is taken to be invented: the thresholds of openai-whisper's `transcribe`.
NO_SPEECH_PROB = 0.6
AVG_LOGPROB = -1.0
COMPRESSION_RATIO = 2.4

PREPENDED, APPENDED = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"  # as `transcribe` merges them


@dataclass(frozen=True)
class Word:
    """A word and its offsets from the recording's start."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Transcript:
    """What a segment says. Where `dropped` gives a reason, `text` and `words` are empty."""

    text: str
    language: str
    tokens: tuple[int, ...]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    words: tuple[Word, ...] = ()
    dropped: str | None = None

    @property
    def confidence(self) -> float:
        """Geometric mean of the tokens' probabilities, [0, 1]."""
        return math.exp(self.avg_logprob)

    @property
    def repeats(self) -> bool:
        """Whether it says one thing over and over, which nobody does."""
        return self.compression_ratio > COMPRESSION_RATIO


def language_code(name: str) -> str:
    """'zh', 'zh-CN' or 'Chinese' → 'zh'; raises InputError for a language Whisper has not."""
    code = name.strip().lower()
    code = TO_LANGUAGE_CODE.get(code, code.replace("_", "-").split("-")[0])
    if code not in LANGUAGES:
        raise InputError("not a language that Whisper can transcribe")
    return code


def transcribe(
    whisper: Whisper, heard: Sequence[Tensor], segments: Sequence[Segment]
) -> list[Transcript]:
    """Decode encoded segments, (t, d) each with t ≤ n_audio_ctx; one transcript for each.

    The encoder is not run again. Tokens are those of `whisper.decode` with OPTIONS.
    """
    languages = [
        (segment.language and language_code(segment.language)) if whisper.is_multilingual else "en"
        for segment in segments
    ]
    results = decode(whisper, heard, languages, OPTIONS)
    return [
        _transcript(whisper, states, segment, result)
        for states, segment, result in zip(heard, segments, results, strict=True)
    ]


def _transcript(
    whisper: Whisper, states: Tensor, segment: Segment, result: DecodingResult
) -> Transcript:
    dropped = _dropped(result)
    return Transcript(
        text="" if dropped else result.text,
        language=result.language,
        tokens=tuple(result.tokens),
        avg_logprob=result.avg_logprob,
        no_speech_prob=result.no_speech_prob,
        compression_ratio=result.compression_ratio,
        words=_words(whisper, states, segment, result) if segment.words and not dropped else (),
        dropped=dropped,
    )


def _dropped(result: DecodingResult) -> str | None:
    """Why a text must not be read, None where it may: Whisper invents text on silence."""
    if result.no_speech_prob > NO_SPEECH_PROB and result.avg_logprob < AVG_LOGPROB:
        return f"probably no speech (no-speech probability {result.no_speech_prob:.2f})"
    if result.compression_ratio > COMPRESSION_RATIO:
        return f"the text repeats itself (compression ratio {result.compression_ratio:.1f})"
    return None


class _Encoded:
    """A Whisper model whose input is already encoded, for `find_alignment`."""

    def __init__(self, whisper: Whisper) -> None:
        self.dims, self.device = whisper.dims, whisper.device
        self.decoder, self.alignment_heads = whisper.decoder, whisper.alignment_heads

    def __call__(self, features: Tensor, tokens: Tensor) -> Tensor:
        logits: Tensor = self.decoder(tokens, features)
        return logits


def _words(
    whisper: Whisper, states: Tensor, segment: Segment, result: DecodingResult
) -> tuple[Word, ...]:
    tokenizer = get_tokenizer(
        whisper.is_multilingual,
        num_languages=whisper.num_languages,
        language=result.language,
        task="transcribe",
    )
    text_tokens = [token for token in result.tokens if token < tokenizer.eot]
    n_frames = len(segment.samples) // HOP_LENGTH
    alignment = find_alignment(_Encoded(whisper), tokenizer, text_tokens, states, n_frames)
    merge_punctuations(alignment, PREPENDED, APPENDED)
    longest_s = len(segment.samples) / SAMPLE_RATE
    return tuple(
        Word(
            timing.word.strip(),
            segment.start_s + min(float(timing.start), longest_s),
            segment.start_s + min(float(timing.end), longest_s),
        )
        for timing in alignment
        if timing.word.strip()
    )
