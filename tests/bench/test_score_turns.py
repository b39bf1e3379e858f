"""How turns are matched, and that what differs is found."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from emotion.v1 import call_pb2 as pb
from emotion.v1 import types_pb2

from bench.calls import compose, score_turns
from bench.calls.compose import Turn
from server.analysis import Role
from server.calls.events import Utterance


def turn(channel: int, start_s: float, end_s: float) -> Turn:
    return Turn(channel, str(compose.ROLES[channel]), start_s, end_s, "happy", "nemo", "clip")


def utterance(channel: int, start_s: float, end_s: float) -> Utterance:
    return Utterance(0, channel, compose.ROLES[channel], start_s, end_s, True, -20.0)


def test_an_utterance_belongs_to_the_turn_that_it_shares_most_with() -> None:
    turns = [turn(0, 1, 3), turn(1, 2, 5), turn(0, 6, 8)]
    first, second = utterance(0, 1.1, 1.9), utterance(0, 2.2, 3.1)
    over_two, nobody = utterance(0, 2.9, 7.5), utterance(1, 8, 9)
    matched = score_turns.match(turns, [over_two, second, nobody, first])
    assert matched == {0: [first, second], 2: [over_two], None: [nobody]}


def test_figures_of_a_composed_call(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose, "TURNS", (2, 2))
    truths = compose.compose(tmp_path, 1, seed=3, split="dev")
    found = asyncio.run(score_turns.score(truths))
    assert found.n_turns == len(compose.load(truths[0]).turns)
    assert found.boundaries > 0.5
    assert found.roles == 1.0
    assert found.customer_turns["n"] == found.clips["n"] == found.n_turns / 2


def test_differences_are_found() -> None:
    file = [utterance(0, 1.0, 2.0)]
    live = pb.Utterance(role=types_pb2.CUSTOMER)
    live.start_offset.FromMilliseconds(1000)
    live.end_offset.FromMilliseconds(2030)
    found = score_turns.difference([live], file)
    assert found.offset_s == pytest.approx(0.03)
    with pytest.raises(ValueError, match="another one"):
        score_turns.difference([live], [replace(file[0], role=Role.AGENT)])
