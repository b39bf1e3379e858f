"""The same rows, damaged: what typos, telephone lines and bad pictures cost.

A condition turns a row's content into another, seeded by the row's place. Sound and pictures are
written to a temporary file, so that the service's own reading, decoding included, is what is
judged: the clean figure is that of `emotion evaluate` itself.
"""

from __future__ import annotations

import io
import random
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from modalities.errors import InputError
from modalities.image.decode import ImageLimits
from modalities.image.decode import decode as decode_image
from modalities.voice.prepare import decode as decode_voice
from modalities.voice.stream import SAMPLE_RATE_HZ
from training.evaluation import conversations
from training.evaluation.judge import Classified, Result, judge_rows
from training.rows import Row, read_bytes

SEED = 20261124
FRAME = SAMPLE_RATE_HZ // 50  # samples of a 20 ms packet
PRIMARY = {"text": "macro_f1", "voice": "uar", "image": "macro_f1"}  # else spearman

# Words typed for one another: Chinese characters of one sound (tones aside), and English words.
HOMOPHONES = (
    "的得地", "在再", "做作", "他她它", "是事", "已以", "那哪", "吗嘛", "吧巴", "有又", "和合",
    "很狠", "像象", "带戴", "气汽", "买卖", "坐座", "完玩", "分份", "园圆员", "快块", "到道",
    "没每", "真针", "心新", "会回", "进近", "电店", "机鸡", "时十", "服福", "务物", "客课", "退腿",
)  # fmt: skip
ENGLISH_HOMOPHONES = (
    ("your", "you're"), ("their", "there"), ("its", "it's"), ("to", "too"), ("then", "than"),
    ("hear", "here"), ("know", "no"), ("write", "right"), ("where", "were"), ("lose", "loose"),
)  # fmt: skip
EMOJI = re.compile(r"[\U0001F000-\U0001FAFF☀-➿⬀-⯿️‍]|\[[一-鿿]{1,4}\]")
BYSTANDERS = "📱🚗🌧🍚📦"  # emoji that say nothing of a mood
WORD = re.compile(r"[^\W一-鿿]+|[一-鿿]{1,2}")

Text = Callable[[str, random.Random], str]
Sound = Callable[[NDArray[np.float32], random.Random], bytes]
Picture = Callable[[Image.Image], bytes]


def robustness(
    part: str,
    clean: Result,
    weights: Path,
    *,
    open_set: bool = False,
    conditions: Iterable[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Figures by condition, "clean" (the result given) first, each with its `difference` to clean
    in the PRIMARY figure; Spearman for ratings.

    `clean` is one of `judge`'s results; `conditions` picks some, by name. Raises
    InputError for whole dialogues.
    """
    kept = clean.rows
    if conversations.is_dialogues(kept[0].data_set):
        raise InputError("single items are needed, not dialogues", "--robustness")
    metric = PRIMARY[part] if isinstance(clean, Classified) else "spearman"
    found = {"clean": _brief(clean)}
    for name in conditions or CONDITIONS[part]:
        with tempfile.TemporaryDirectory() as folder:
            damaged = [damage(part, name, row, i, Path(folder)) for i, row in enumerate(kept)]
            results = judge_rows(part, damaged, weights, open_set=open_set)
        (result,) = (one for one in results if one.head == clean.head)
        found[name] = _brief(result)
    base = found["clean"][metric]
    for figures in found.values():
        value = figures[metric]
        figures["difference"] = None if value is None or base is None else value - base
    return found


def damage(part: str, condition: str, row: Row, place: int, folder: Path) -> Row:
    """The row under a condition; a sound or picture becomes a file in `folder`."""
    rng = random.Random(f"{SEED}/{condition}/{place}")
    if part == "text":
        return replace(row, content=TEXT[condition](row.content, rng).strip() or row.content)
    if part == "voice":
        samples = decode_voice(read_bytes(row.content), max_duration_s=600).samples
        content = VOICE[condition](samples, rng)
    else:
        pixels = decode_image(read_bytes(row.content), ImageLimits()).pixels
        content = IMAGE[condition](Image.fromarray(pixels))
    path = folder / str(place)
    path.write_bytes(content)
    return replace(row, content=str(path))


def _brief(result: Result) -> dict[str, Any]:
    names = ("accuracy", "macro_f1", "weighted_f1", "uar", "ece", "spearman", "pearson")
    return {name: value for name, value in vars(result.figures).items() if name in names}


def _typos(rate: float) -> Text:
    """`rate` of the characters lost or changed places with the next, evenly."""

    def write(text: str, rng: random.Random) -> str:
        left, written = list(text), []
        while left:
            first = left.pop(0)
            if rng.random() >= rate:
                written.append(first)
            elif left and rng.random() < 0.5:
                written += [left.pop(0), first]
        return "".join(written)

    return write


def _homophones(text: str, rng: random.Random) -> str:
    """Half of the words in the tables, by others of their group."""
    others = {c: group.replace(c, "") for group in HOMOPHONES for c in group}
    swapped = "".join(
        rng.choice(others[c]) if c in others and rng.random() < 0.5 else c for c in text
    )
    pairs = {a: b for x, y in ENGLISH_HOMOPHONES for a, b in ((x, y), (y, x))}
    return re.sub(
        r"[A-Za-z']+",
        lambda m: pairs.get(m[0].lower(), m[0]) if rng.random() < 0.5 else m[0],
        swapped,
    )


def _fewer_words(text: str, rng: random.Random) -> str:
    """A tenth of the words; of Chinese, of its pairs of characters."""
    return WORD.sub(lambda m: "" if rng.random() < 0.1 else m[0], text)


def _noise(snr_db: float) -> Sound:
    """White noise."""

    def add(samples: NDArray[np.float32], rng: random.Random) -> bytes:
        power = float(np.square(samples, dtype=np.float64).mean()) / 10 ** (snr_db / 10)
        noise = np.random.default_rng(rng.randrange(2**32)).normal(0, power**0.5, len(samples))
        return _encoded(samples + noise.astype(np.float32), "wav", "pcm_f32le")

    return add


def _gain(db: float) -> Sound:
    """Louder or softer as 16-bit sound, which clips what is too loud."""

    def scale(samples: NDArray[np.float32], _: random.Random) -> bytes:
        return _encoded(samples * np.float32(10 ** (db / 20)), "wav", "pcm_s16le")

    return scale


def _packet_loss(samples: NDArray[np.float32], rng: random.Random) -> bytes:
    """A tenth of the 20 ms frames silent."""
    lost = samples.copy()
    for start in range(0, len(lost), FRAME):
        if rng.random() < 0.1:
            lost[start : start + FRAME] = 0
    return _encoded(lost, "wav", "pcm_f32le")


def _encoded(
    samples: NDArray[np.float32],
    container: str,
    codec: str,
    rate_hz: int = SAMPLE_RATE_HZ,
    bit_rate: int | None = None,
) -> bytes:
    """A sound file of samples (n,) at 16 kHz, clipped to [−1, 1]."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", container) as file:
        stream: Any = file.add_stream(codec, rate=rate_hz, layout="mono")
        if bit_rate:
            stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(
            np.clip(samples, -1, 1).astype(np.float32)[None], "fltp", "mono"
        )
        frame.sample_rate = SAMPLE_RATE_HZ
        resampler = av.AudioResampler(stream.codec_context.format, "mono", rate_hz)
        for resampled in (*resampler.resample(frame), *resampler.resample(None)):
            file.mux(stream.encode(resampled))
        file.mux(stream.encode(None))
    return buffer.getvalue()


def _saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _half(image: Image.Image) -> bytes:
    width, height = (max(8, side // 2) for side in image.size)
    return _saved(image.resize((width, height), Image.Resampling.BOX))


def _blurred(image: Image.Image) -> bytes:
    """A Gaussian of 2 % of the long side."""
    return _saved(image.filter(ImageFilter.GaussianBlur(0.02 * max(image.size))))


TEXT: Mapping[str, Text] = {
    "typos 5 %": _typos(0.05),
    "typos 10 %": _typos(0.10),
    "homophones": _homophones,
    "emoji appended": lambda text, rng: text + rng.choice(BYSTANDERS),
    "emoji removed": lambda text, _: EMOJI.sub("", text),
    "words dropped 10 %": _fewer_words,
}
VOICE: Mapping[str, Sound] = {
    "SNR 20 dB": _noise(20),
    "SNR 10 dB": _noise(10),
    "SNR 5 dB": _noise(5),
    "8 kHz μ-law": lambda samples, _: _encoded(samples, "wav", "pcm_mulaw", 8_000),
    "MP3 16 kbit/s": lambda samples, _: _encoded(samples, "mp3", "mp3", bit_rate=16_000),
    "gain +20 dB": _gain(20),
    "gain −20 dB": _gain(-20),
    "packet loss 10 %": _packet_loss,
}
IMAGE: Mapping[str, Picture] = {
    "JPEG quality 20": lambda image: _saved(image, "JPEG", quality=20),
    "scale 0.5": _half,
    "dark mode": lambda image: _saved(ImageOps.invert(image)),
    "blur": _blurred,
}
CONDITIONS: Mapping[str, Mapping[str, Any]] = {"text": TEXT, "voice": VOICE, "image": IMAGE}
