"""Sound and pictures as they may be kept: without the words that identify a person."""

from __future__ import annotations

import io
from collections.abc import Sequence

import av
import numpy as np
from PIL import Image

from modalities.errors import InputError
from modalities.image.decode import ImageLimits, decode
from modalities.reading import Array
from modalities.voice.stream import SAMPLE_RATE_HZ
from server.analysis import SpokenWord
from server.privacy.redact import find

MARGIN_S = 0.15  # words are timed no better


def mute(samples: Array, words: Sequence[SpokenWord]) -> tuple[Array, int]:
    """Mono 16 kHz samples with the words silent that are personal data, and how many places in
    the text that was."""
    text, places = "", list[tuple[int, int]]()
    for word in words:
        said = word.text.strip()
        if _is_latin(text[-1:]) and _is_latin(said[:1]):
            text += " "
        places.append((len(text), len(text) + len(said)))
        text += said
    spans, muted = find(text), samples.copy()
    for word, (start, end) in zip(words, places, strict=True):
        if any(span.start < end and start < span.end for span in spans):
            first = max(0, round((word.start_s - MARGIN_S) * SAMPLE_RATE_HZ))
            muted[first : round((word.end_s + MARGIN_S) * SAMPLE_RATE_HZ)] = 0
    return muted, len(spans)


def speech_to_keep(
    samples: Array, transcript: str, words: Sequence[SpokenWord] = ()
) -> bytes | None:
    """Mono 16 kHz samples as FLAC of 16 bits, muted.

    None where the transcript has personal data that its words do not place in time. Where there is
    no transcript nobody knows what is said, and it is kept as it is.
    """
    muted, n_muted = mute(samples, words)
    return None if len(find(transcript)) > n_muted else _flac(muted)


def without_metadata(content: bytes) -> bytes | None:
    """A picture's pixels, upright, as PNG: no place, no device, no name; None if it is broken."""
    try:
        pixels = decode(content, ImageLimits()).pixels
    except InputError:
        return None
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _flac(samples: Array) -> bytes:
    out = io.BytesIO()
    whole = np.clip(np.rint(samples * 32767), -32768, 32767).astype(np.int16)
    with av.open(out, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return out.getvalue()


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalnum()
