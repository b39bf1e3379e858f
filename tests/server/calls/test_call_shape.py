"""The shape of calls: made by hand, and against a count of short frames."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from server.analysis import Role
from server.calls.shape import CallShape, Span, n_words, shape

ROLES = (Role.CUSTOMER, Role.AGENT)
HZ = 128  # frames a second: all times on this grid are exact in binary


def spans(channel: int, *stretches: tuple[float, float]) -> list[Span]:
    return [Span(channel, start, end, -20.0) for start, end in stretches]


def interruptions(customer: list[tuple[float, float]], agent: list[tuple[float, float]]) -> list:
    made = shape(spans(0, *customer) + spans(1, *agent), ROLES, 100.0)
    return [channel.interruption_count for channel in made.channels]


def test_times_of_a_call() -> None:
    made = shape(spans(1, (2, 6), (9, 12)) + spans(0, (5, 8), (15, 18)), ROLES, 20.0)
    customer, agent = made.channels
    assert (customer.role, customer.talk_s, customer.utterance_count) == (Role.CUSTOMER, 6.0, 2)
    assert (agent.role, agent.talk_s, agent.utterance_count) == (Role.AGENT, 7.0, 2)
    assert made.overlap_s == 1.0
    assert made.silence_s == 2.0 + 1.0 + 3.0 + 2.0
    assert made.non_talk_s == 3.0  # pauses and the two ends are shorter


def test_touching_and_overlapping_utterances_of_one_channel_count_once() -> None:
    made = shape(spans(0, (1, 3), (3, 4), (2, 5), (2.5, 2.75)), ROLES, 10.0)
    assert made.channels[0].talk_s == 4.0
    assert (made.overlap_s, made.silence_s, made.non_talk_s) == (0.0, 6.0, 5.0)


def test_what_lies_outside_the_call_is_left_out() -> None:
    made = shape(spans(0, (-1, 2), (9, 12), (20, 30)), ROLES, 10.0)
    assert (made.channels[0].talk_s, made.silence_s) == (3.0, 7.0)


def test_a_call_without_speech() -> None:
    made = shape([], ROLES, 30.0)
    assert (made.silence_s, made.non_talk_s, made.overlap_s) == (30.0, 30.0, 0.0)
    for channel in made.channels:
        assert (channel.talk_s, channel.interruption_count) == (0.0, 0)
        assert channel.loudness_dbfs is channel.speaking_rate_per_minute is channel.course is None
    assert shape([], ROLES, 0.0).silence_s == 0.0


@pytest.mark.parametrize(
    ("customer", "agent", "made_by_each"),
    [
        ([(5, 9)], [(1, 6)], [1, 0]),  # the customer cuts in, the agent stops
        ([(1, 6)], [(5, 9)], [0, 1]),
        ([(3, 5)], [(1, 6)], [0, 0]),  # the customer gives way
        ([(3, 3.9)], [(1, 3.5)], [0, 0]),  # a backchannel at the agent's end
        ([(1, 3)], [(0.7, 1.5)], [0, 0]),  # spoken over a backchannel
        ([(5.8, 9)], [(1, 6)], [0, 0]),  # a smooth change
        ([(1, 6)], [(1, 4)], [0, 0]),  # both begin at once
        ([(5, 8), (8, 12)], [(1, 6), (11, 14)], [1, 1]),  # one turn in two utterances
        ([(5, 8), (8.2, 9)], [(1, 10)], [0, 0]),  # cut for its length: still one turn
        ([(5, 7)], [(1, 5.5), (5.5, 6)], [1, 0]),
    ],
)
def test_interruptions(
    customer: list[tuple[float, float]], agent: list[tuple[float, float]], made_by_each: list[int]
) -> None:
    assert interruptions(customer, agent) == made_by_each
    assert interruptions(agent, customer) == made_by_each[::-1]


def test_loudness_and_speaking_rate_are_weighted_by_time() -> None:
    said = [
        Span(0, 0, 3, -20.0, n_words=9),
        Span(0, 4, 5, -10.0, n_words=None),
        Span(0, 6, 7, -20.0, n_words=3),
    ]
    customer = shape(said, ROLES, 10.0).channels[0]
    assert customer.loudness_dbfs == pytest.approx(10 * math.log10((4 * 0.01 + 0.1) / 5))
    assert customer.speaking_rate_per_minute == pytest.approx(12 / 4 * 60)


def test_course_of_the_score() -> None:
    scores = [0.5, 0.1, None, -0.9, -0.3, 0.8]
    said = [Span(0, 2 * i, 2 * i + 1, -20, score) for i, score in enumerate(scores)]
    course = shape(said[::-1], ROLES, 40.0).channels[0].course
    assert course is not None
    assert course.utterance_count == 5
    assert course.score == pytest.approx(0.04)
    assert (course.start, course.end) == (pytest.approx(0.3), pytest.approx(0.25))
    assert course.shift == pytest.approx(-0.05)
    assert course.lowest == pytest.approx((0.1 - 0.9 - 0.3) / 3)
    assert course.quarters[:2] == (pytest.approx(-0.15), pytest.approx(0.8))
    assert all(map(math.isnan, course.quarters[2:]))
    assert [moment.score for moment in course.lowest_moments] == [-0.9, -0.3, 0.1]
    assert [moment.start_s for moment in course.highest_moments] == [10, 0, 2]


def test_one_scored_utterance_has_no_shift() -> None:
    course = shape([Span(0, 1, 2, -20, 0.5)], ROLES, 4.0).channels[0].course
    assert course is not None
    assert (course.start, course.end, course.lowest, course.shift) == (0.5, 0.5, 0.5, None)
    assert len(course.lowest_moments) == len(course.highest_moments) == 1


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("", 0),
        ("…?!", 0),
        ("I don't know, e-mail me 3.5 times!", 7),
        ("你好，我的快递还没到。", 9),
        ("我的 WiFi 又断了", 6),
        ("très déçu — żółw", 3),
    ],
)
def test_words(text: str, n: int) -> None:
    assert n_words(text) == n


def random_call(seed: int) -> tuple[list[Span], int, float]:
    """Utterances of 1 to 3 channels on the grid, some touching, some on each other."""
    draw = random.Random(seed)
    n_channels, frames = draw.randint(1, 3), draw.randint(4 * HZ, 50 * HZ)
    said = []
    for channel in range(n_channels):
        at = draw.randint(0, 4 * HZ)
        while at < frames - 20:
            end = min(at + draw.choice([20, 80, 128, 400, 900]) + draw.randint(0, 50), frames)
            said.append(Span(channel, at / HZ, end / HZ, -20.0))
            at = max(
                end + draw.choice([-60, -10, 0, 1, 20, 38, 39, 50, 200, 383, 384, 500]), at + 1
            )
    draw.shuffle(said)
    return said, n_channels, frames / HZ


def by_frames(said: list[Span], n_channels: int, duration_s: float) -> tuple:
    """(silence, non-talk, overlap, talk and interruptions of each channel) by counting frames."""
    frames = round(duration_s * HZ)
    talks = np.zeros((n_channels, frames), bool)
    for span in said:
        talks[span.channel, round(span.start_s * HZ) : round(span.end_s * HZ)] = True
    n_talking = talks.sum(0)
    non_talk = sum(end - start for start, end in runs(n_talking == 0) if end - start >= 3 * HZ)
    turns = []
    for channel in talks.copy():
        for start, end in runs(~channel):
            if start > 0 and end < frames and end - start < 0.3 * HZ:
                channel[start:end] = True
        turns.append(runs(channel))
    made = [sum(cut_in(turn, turns, c) for turn in turns[c]) for c in range(n_channels)]
    return (n_talking == 0).sum(), non_talk, (n_talking > 1).sum(), talks.sum(1).tolist(), made


def cut_in(turn: tuple[int, int], turns: list[list[tuple[int, int]]], channel: int) -> bool:
    start, end = turn
    return any(
        began < start
        and start + HZ / 4 <= stopped < end
        and min(end - start, stopped - began) >= HZ
        for other, theirs in enumerate(turns)
        if other != channel
        for began, stopped in theirs
    )


def runs(values: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], values.astype(int), [0]])))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def test_random_calls_as_by_counting_frames() -> None:
    n_interruptions = 0
    for seed in range(300):
        said, n_channels, duration_s = random_call(seed)
        made: CallShape = shape(said, [None] * n_channels, duration_s)
        silence, non_talk, overlap, talk, cut = by_frames(said, n_channels, duration_s)
        assert made.silence_s == pytest.approx(silence / HZ), seed
        assert made.non_talk_s == pytest.approx(non_talk / HZ), seed
        assert made.overlap_s == pytest.approx(overlap / HZ), seed
        assert [c.talk_s for c in made.channels] == pytest.approx([n / HZ for n in talk]), seed
        assert [c.interruption_count for c in made.channels] == cut, seed
        n_interruptions += sum(cut)
    assert n_interruptions > 300
