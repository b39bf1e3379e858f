"""How a call was held: who spoke when, who cut in, how loud, and how the score went."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fusion.conversation import summarise
from server.analysis import Role

MIN_NON_TALK_S = 3.0  # shorter silences are pauses
MIN_OVERLAP_S = 0.25  # of an interruption: less is within the boundaries' accuracy
MIN_TURN_S = 1.0  # of both sides of an interruption: less is a backchannel
# No speech ends for a shorter silence (listen.MIN_SILENCE_S less the padding at both ends): where
# two utterances of one channel are closer, a long one was cut.
MIN_PAUSE_S = 0.3
N_MOMENTS = 3

_CHARACTER = re.compile(r"[\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_Stretches = list[tuple[float, float]]  # starts and ends, in order, apart from each other


@dataclass(frozen=True)
class Span:
    """One utterance, as the shape sees it; `n_words` is None without a text."""

    channel: int
    start_s: float
    end_s: float
    loudness_dbfs: float
    score: float | None = None
    n_words: int | None = None


@dataclass(frozen=True)
class Peak:
    start_s: float
    end_s: float
    score: float


@dataclass(frozen=True)
class ScoreCourse:
    """Fields as in call.proto."""

    utterance_count: int
    score: float
    start: float
    end: float
    lowest: float
    shift: float | None
    quarters: tuple[float, float, float, float]
    lowest_moments: tuple[Peak, ...]
    highest_moments: tuple[Peak, ...]


@dataclass(frozen=True)
class ChannelShape:
    """Fields as in call.proto."""

    channel: int
    role: Role | None
    utterance_count: int
    talk_s: float
    interruption_count: int
    loudness_dbfs: float | None
    speaking_rate_per_minute: float | None
    course: ScoreCourse | None


@dataclass(frozen=True)
class CallShape:
    """Fields as in call.proto; times in seconds."""

    duration_s: float
    silence_s: float
    non_talk_s: float
    overlap_s: float
    channels: tuple[ChannelShape, ...]


def shape(spans: Sequence[Span], roles: Sequence[Role | None], duration_s: float) -> CallShape:
    """The shape of a call of `len(roles)` channels; spans in any order, in O(n log n).

    Spans of one channel may touch or overlap: its talk time is that of their union. What lies
    outside the call is left out.

    A channel interrupts another where it begins to speak while that one is speaking, and that one
    falls silent first, at least MIN_OVERLAP_S later and before the interrupter does. These are the
    between-speaker overlaps of Heldner & Edlund (2010, Pauses, gaps and overlaps in conversations,
    Journal of Phonetics 38), less those of speech shorter than MIN_TURN_S on either side.
    """
    of_channel: list[list[Span]] = [[] for _ in roles]
    for span in sorted(spans, key=lambda span: span.start_s):
        of_channel[span.channel].append(span)
    talk = [_union(channel, duration_s) for channel in of_channel]
    turns = [_joined(stretches, MIN_PAUSE_S) for stretches in talk]
    silence_s, non_talk_s, overlap_s = _times(talk, duration_s)
    return CallShape(
        duration_s=duration_s,
        silence_s=silence_s,
        non_talk_s=non_talk_s,
        overlap_s=overlap_s,
        channels=tuple(
            ChannelShape(
                channel=index,
                role=role,
                utterance_count=len(of_channel[index]),
                talk_s=sum(end - start for start, end in talk[index]),
                interruption_count=_interruptions(turns, index),
                loudness_dbfs=_loudness_dbfs(of_channel[index]),
                speaking_rate_per_minute=_speaking_rate(of_channel[index]),
                course=_course(of_channel[index], duration_s),
            )
            for index, role in enumerate(roles)
        ),
    )


def n_words(text: str) -> int:
    """Characters of Chinese (and kana), and words of scripts that part them by spaces."""
    spaced, characters = _CHARACTER.subn(" ", text)
    return characters + sum(any(map(str.isalnum, word)) for word in spaced.split())


def _union(spans: Iterable[Span], duration_s: float) -> _Stretches:
    inside = ((max(span.start_s, 0.0), min(span.end_s, duration_s)) for span in spans)
    return _joined(((start, end) for start, end in inside if start < end), 0.0)


def _joined(stretches: Iterable[tuple[float, float]], below_s: float) -> _Stretches:
    """Those in order of their starts, as one where they touch or are closer than `below_s`."""
    joined: _Stretches = []
    for start, end in stretches:
        if joined and (start <= joined[-1][1] or start - joined[-1][1] < below_s):
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _times(talk: Sequence[_Stretches], duration_s: float) -> tuple[float, float, float]:
    """Silence, non-talk and overlap: a sweep over all starts (+1) and ends (−1) in order."""
    edges = np.array([edge for channel in talk for edge in channel]).reshape(-1, 2)  # (n, 2)
    times = np.concatenate([[0.0], edges[:, 0], edges[:, 1], [duration_s]])
    steps = np.concatenate([[0], np.ones(len(edges)), -np.ones(len(edges)), [0]])
    order = np.argsort(times, kind="stable")
    n_speaking, lengths = np.cumsum(steps[order])[:-1], np.diff(times[order])
    silent = lengths[n_speaking == 0]
    non_talk_s = silent[silent >= MIN_NON_TALK_S].sum()
    return float(silent.sum()), float(non_talk_s), float(lengths[n_speaking > 1].sum())


def _interruptions(turns: Sequence[_Stretches], channel: int) -> int:
    others = [turns[other] for other in range(len(turns)) if other != channel]
    return sum(any(_interrupts(turn, other) for other in others) for turn in turns[channel])


def _interrupts(turn: tuple[float, float], others: _Stretches) -> bool:
    start, end = turn
    before = bisect_left(others, (start,))  # those that began earlier
    if before == 0:
        return False
    other_start, other_end = others[before - 1]
    return (
        start + MIN_OVERLAP_S <= other_end < end
        and end - start >= MIN_TURN_S
        and other_end - other_start >= MIN_TURN_S
    )


def _loudness_dbfs(spans: Sequence[Span]) -> float | None:
    lengths = np.array([span.end_s - span.start_s for span in spans])
    if not lengths.sum():
        return None
    powers = 10 ** (np.array([span.loudness_dbfs for span in spans]) / 10)
    return 10 * float(np.log10(np.average(powers, weights=lengths)))


def _speaking_rate(spans: Sequence[Span]) -> float | None:
    said = [(span.n_words, span.end_s - span.start_s) for span in spans if span.n_words is not None]
    minutes = sum(seconds for _, seconds in said) / 60
    return sum(words for words, _ in said) / minutes if minutes else None


def _course(spans: Sequence[Span], duration_s: float) -> ScoreCourse | None:
    moments = [Peak(span.start_s, span.end_s, s) for span in spans if (s := span.score) is not None]
    if not moments:
        return None
    whole = summarise([moment.score for moment in moments])
    quarters: list[list[float]] = [[], [], [], []]
    for moment in moments:
        middle_s = (moment.start_s + moment.end_s) / 2
        quarters[min(int(4 * middle_s / duration_s), 3)].append(moment.score)
    one, two, three, four = (float(np.mean(part)) if part else float("nan") for part in quarters)
    ascending = sorted(moments, key=lambda moment: moment.score)
    descending = sorted(moments, key=lambda moment: -moment.score)
    return ScoreCourse(
        utterance_count=len(moments),
        score=whole.score,
        start=whole.start,
        end=whole.end,
        lowest=whole.lowest,
        shift=whole.shift,
        quarters=(one, two, three, four),
        lowest_moments=tuple(ascending[:N_MOMENTS]),
        highest_moments=tuple(descending[:N_MOMENTS]),
    )
