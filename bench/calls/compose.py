"""Stereo telephone calls made of data-set clips, with the truth about each beside it.

The customer (channel 0) is one held-out speaker, the agent (channel 1) another one; a turn is one
clip, cut where its power (of 10 ms) first and last reaches −40 dB of its peak. Those edges are the
truth: no VAD has a part in them. Turns follow each other after a gap, after a long silence, or
before the other one has ended. The lines carry faint noise, and what else telephones carry:
ring-back, keys and hold music.
"""

from __future__ import annotations

import io
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from bench.calls import sounds
from modalities.reading import Array
from modalities.voice.prepare import decode
from modalities.voice.stream import SAMPLE_RATE_HZ
from server.analysis import Role
from training.data import SPEECH_SETS, data_dir, speech_rows

SINGLE_WORDS = ("baved", "emospeech", "turev")
SETS = tuple(name for name in SPEECH_SETS if name not in SINGLE_WORDS)
ROLES = (Role.CUSTOMER, Role.AGENT)
TURNS = (8, 12)  # of each side
EDGE = 1e-4  # power: −40 dB
FRAME_S = 0.01
EDGE_FRAME = round(FRAME_S * SAMPLE_RATE_HZ)
CLICK_S, APART_S = 0.1, 0.3
FADE = SAMPLE_RATE_HZ // 200  # a cut that clicks would be heard as part of the turn
LINE_RATE_HZ = 8_000
CHANNEL_GAP_S = 1.0  # least silence between two turns of one side


@dataclass(frozen=True)
class Turn:
    """A clip in a call, offsets from the call's beginning; `clip` is relative to the folder of
    the speech sets."""

    channel: int
    role: str
    start_s: float
    end_s: float
    emotion: str
    data_set: str
    clip: str


@dataclass(frozen=True)
class Sound:
    """What is on the line and is not speech: ring_back, keys or hold_music."""

    kind: str
    channel: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Truth:
    """What a composed call holds; `overlap_s` is how long both sides speak at once."""

    recording: str
    split: str
    seed: int
    duration_s: float
    overlap_s: float
    turns: tuple[Turn, ...]
    sounds: tuple[Sound, ...]


def compose(folder: Path, n_calls: int, seed: int, split: str = "test") -> list[Path]:
    """Write `n_calls` stereo WAV files of 8 kHz μ-law and the truth of each as JSON beside it;
    returns the paths of the truths. The same arguments give the same files.

    A clip comes again only after all others of its speaker.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(seed)
    decks = _decks(split, draw)
    written = []
    for index in range(n_calls):
        made = _Call(draw, *_pair(decks, draw))
        path = folder / f"call_{index:04}.wav"
        path.write_bytes(encode(made.samples()))
        truth = Truth(
            path.name, split, seed, made.duration_s, made.overlap_s, made.turns, made.sounds
        )
        written.append(path.with_suffix(".json"))
        written[-1].write_text(json.dumps(asdict(truth), indent=1, ensure_ascii=False) + "\n")
    return written


def load(path: Path) -> Truth:
    fields: dict[str, Any] = json.loads(path.read_text())
    fields["turns"] = tuple(Turn(**turn) for turn in fields["turns"])
    fields["sounds"] = tuple(Sound(**sound) for sound in fields["sounds"])
    return Truth(**fields)


def trim(samples: Array) -> Array:
    """(n,) at 16 kHz from the first to the last 10 ms whose mean power is within 40 dB of the peak.

    A click is no edge: less than CLICK_S of such sound, and APART_S or more from the next.
    """
    whole = samples[: len(samples) // EDGE_FRAME * EDGE_FRAME].reshape(-1, EDGE_FRAME)
    powers = np.square(whole, dtype=np.float64).mean(1)
    loud = np.flatnonzero(powers >= EDGE * np.square(samples).max())
    runs = np.split(loud, np.flatnonzero(np.diff(loud) * FRAME_S >= APART_S) + 1)
    while len(runs) > 1 and len(runs[0]) * FRAME_S < CLICK_S:
        runs = runs[1:]
    while len(runs) > 1 and len(runs[-1]) * FRAME_S < CLICK_S:
        runs = runs[:-1]
    kept = samples[runs[0][0] * EDGE_FRAME : (runs[-1][-1] + 1) * EDGE_FRAME].copy()
    ramp = np.linspace(0, 1, FADE, dtype=np.float32)
    kept[:FADE] *= ramp
    kept[-FADE:] *= ramp[::-1]
    return kept


def encode(samples: Array) -> bytes:
    """(1 or 2, n) float32 at 16 kHz in [−1, 1] → a WAV file of 8 kHz μ-law."""
    layout = "stereo" if len(samples) == 2 else "mono"
    buffer = io.BytesIO()
    with av.open(buffer, "w", "wav") as file:
        stream: Any = file.add_stream("pcm_mulaw", rate=LINE_RATE_HZ, layout=layout)
        resampler = av.AudioResampler(stream.codec_context.format, layout, LINE_RATE_HZ)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", layout)
        frame.sample_rate = SAMPLE_RATE_HZ
        for resampled in (*resampler.resample(frame), *resampler.resample(None)):
            file.mux(stream.encode(resampled))
        file.mux(stream.encode(None))
    return buffer.getvalue()


@dataclass(frozen=True)
class _Clip:
    data_set: str
    file: str
    emotion: str


class _Deck:
    """A speaker's clips; all are dealt before one comes again."""

    def __init__(self, clips: Sequence[_Clip], draw: random.Random) -> None:
        self.data_set, self.n = clips[0].data_set, len(clips)
        self._clips, self._draw, self._left = list(clips), draw, list[_Clip]()

    def deal(self) -> _Clip:
        if not self._left:
            self._left = self._clips.copy()
            self._draw.shuffle(self._left)
        return self._left.pop()


def _decks(split: str, draw: random.Random) -> dict[str, list[_Deck]]:
    """Data set → speakers who have enough clips for a call."""
    decks = {}
    for name in SETS:
        of_speaker: dict[str, list[_Clip]] = defaultdict(list)
        for row in speech_rows(name):
            if row["split"] == split:
                of_speaker[row["speaker"]].append(_Clip(name, row["file"], row["label"]))
        enough = [_Deck(clips, draw) for clips in of_speaker.values() if len(clips) >= TURNS[1]]
        if enough:
            decks[name] = enough
    return decks


def _pair(decks: dict[str, list[_Deck]], draw: random.Random) -> tuple[_Deck, _Deck]:
    """A customer, all sets being as likely, and an agent who is somebody else."""
    customer = draw.choice(decks[draw.choice(list(decks))])
    others = [deck for speakers in decks.values() for deck in speakers if deck is not customer]
    return customer, draw.choice(others)


class _Call:
    """One call as it is laid out from its beginning to its end."""

    def __init__(self, draw: random.Random, customer: _Deck, agent: _Deck) -> None:
        self._draw, self._decks = draw, (customer, agent)
        self._noise = np.random.default_rng(draw.randrange(2**32))
        self._peak_db = [draw.uniform(-20, -4) for _ in ROLES]
        self._noise_db = [draw.uniform(-75, -58) for _ in ROLES]
        self._parts: list[tuple[int, int, Array]] = []  # channel, first sample, samples
        self._ends = [0.0, 0.0]  # of what each channel has so far, s
        self._turns: list[Turn] = []
        self._sounds: list[Sound] = []
        self._lay_out()
        self.turns, self.sounds = tuple(self._turns), tuple(self._sounds)
        self.duration_s = max(self._ends) + draw.uniform(1, 3)
        self.overlap_s = _overlap_s(self.turns)

    def samples(self) -> Array:
        """(2, n) float32 at 16 kHz."""
        n = round(self.duration_s * SAMPLE_RATE_HZ)
        mixed = np.stack([self._noise.normal(0, 10 ** (db / 20), n) for db in self._noise_db])
        for channel, first, part in self._parts:
            mixed[channel, first : first + len(part)] += part
        return mixed.clip(-1, 1).astype(np.float32)

    def _lay_out(self) -> None:
        draw = self._draw
        if draw.random() < 0.6:
            self._sound("ring_back", 1, sounds.ring_back(draw.randint(1, 3)))
        speakers = [0, 1] * draw.randint(*TURNS)
        keys_before, hold_before = (draw.randrange(2, len(speakers)) for _ in range(2))
        has_keys, has_hold = draw.random() < 0.5, draw.random() < 0.5
        for place, channel in enumerate(reversed(speakers)):  # the agent begins
            if has_keys and place == keys_before:
                keys = "".join(draw.choices("0123456789*#", k=draw.randint(1, 8)))
                self._sound("keys", 0, sounds.keys(keys))
            if has_hold and place == hold_before:
                music = sounds.hold_music(draw.uniform(8, 20), draw)
                self._sound("hold_music", 1, music)
            self._turn(channel)

    def _turn(self, channel: int) -> None:
        clip = self._decks[channel].deal()
        samples = trim(decode(Path(clip.file).read_bytes(), max_duration_s=60).samples)
        peak = 10 ** ((self._peak_db[channel] + self._draw.uniform(-4, 0)) / 20)
        samples = samples * np.float32(peak / np.abs(samples).max())
        start_s = max(self._next_start_s(), self._ends[channel] + CHANNEL_GAP_S)
        start_s, end_s = self._add(channel, start_s, samples)
        name = str(Path(clip.file).relative_to(data_dir() / "speech"))
        role = str(ROLES[channel])
        turn = Turn(channel, role, start_s, end_s, clip.emotion, clip.data_set, name)
        self._turns.append(turn)

    def _next_start_s(self) -> float:
        kind, latest = self._draw.random(), max(self._ends)
        before = self._turns[-1] if self._turns else None
        if before and before.end_s == latest and kind < 0.3:  # cuts in
            longest = 0.6 * (before.end_s - before.start_s)
            return before.end_s - min(self._draw.uniform(0.3, 1.5), longest)
        return latest + (self._draw.uniform(2, 5) if kind > 0.85 else self._draw.uniform(0.2, 1.2))

    def _sound(self, kind: str, channel: int, samples: Array) -> None:
        start_s = max(self._ends) + self._draw.uniform(0.6, 1.5)
        level = np.float32(10 ** (self._draw.uniform(-24, -12) / 20))
        start_s, end_s = self._add(channel, start_s, samples * level)
        self._sounds.append(Sound(kind, channel, start_s, end_s))

    def _add(self, channel: int, start_s: float, samples: Array) -> tuple[float, float]:
        first = round(start_s * SAMPLE_RATE_HZ)
        self._parts.append((channel, first, samples))
        self._ends[channel] = (first + len(samples)) / SAMPLE_RATE_HZ
        return first / SAMPLE_RATE_HZ, self._ends[channel]


def _overlap_s(turns: Sequence[Turn]) -> float:
    """Turns of one channel never overlap, so that pairs of the two channels add up."""
    return sum(
        max(0.0, min(one.end_s, other.end_s) - max(one.start_s, other.start_s))
        for one in turns
        for other in turns
        if one.channel < other.channel
    )
