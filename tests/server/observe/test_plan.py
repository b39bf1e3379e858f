"""Sizing: its arithmetic by hand, its limits, and the page that it fills."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.sizing_page import page
from modalities.errors import InputError
from server.cli import app
from server.observe.plan import Load, Machines, costs_of, plan

COSTS = {
    "command": "a command",
    "machine": "a machine",
    "message_core_s": 0.004,
    "call_minute_core_s": 0.5,
    "screenshot_core_s": 2.0,
    "memory_mib": 1024,
}


def test_by_hand() -> None:
    load = Load(calls=86_400, minutes_per_call=2.0, messages=864_000, screenshots=43_200)
    planned = plan(load, Machines(), COSTS)
    # a second at peak: 6 minutes, 30 messages, 1.5 screenshots
    assert [line.per_second for line in planned.lines] == pytest.approx([6, 30, 1.5])
    assert planned.cores == pytest.approx(6 * 0.5 + 30 * 0.004 + 1.5 * 2)
    assert planned.replicas == 3 + 1  # 6.12 cores of 4 × 0.6 each, and one to spare
    assert planned.replica_memory_gib == 1.5
    assert planned.machines == 1  # 8 replicas fit in 32 cores


def test_memory_bounds_what_fits_in_a_machine() -> None:
    load = Load(messages=1_000_000_000)
    by_cores = plan(load, Machines(), COSTS)
    by_memory = plan(load, Machines(memory_gib=3.5), COSTS)
    assert by_memory.machines == -(-by_cores.replicas // 2)
    with pytest.raises(InputError, match="a replica needs"):
        plan(load, Machines(memory_gib=1.0), COSTS)


def test_more_is_never_less_and_nothing_still_needs_two() -> None:
    sizes = [plan(Load(screenshots=10**n), Machines(), COSTS).replicas for n in range(10)]
    assert sizes == sorted(sizes)
    assert sizes[0] == plan(Load(), Machines(), COSTS).replicas == 2


def test_what_was_not_measured_is_not_planned() -> None:
    with pytest.raises(InputError, match=r"bench\.costs --whisper"):
        plan(replace(Load(calls=1), transcribed=True), Machines(), COSTS)


def test_the_command_tells_its_assumptions() -> None:
    result = CliRunner().invoke(
        app, ["plan", "--calls-per-day", "1000000000"], env={"COLUMNS": "200"}
    )
    assert result.exit_code == 0
    assert "5,000,000,000" in result.stdout
    assert "3 times the day's mean" in result.stdout
    told = json.loads(CliRunner().invoke(app, ["plan", "--json"]).stdout)
    assert told["replicas"] == 2
    assert len(told["assumptions"]) >= 6


def test_the_page_says_what_the_command_would() -> None:
    written = (Path(__file__).parents[3] / "docs/sizing.md").read_text()
    assert page(costs_of(None)) in written, "run: python -m bench.sizing_page"
