"""The text check's own parts: what is held to a floor, and that no example goes unjudged."""

from __future__ import annotations

from pathlib import Path

from bench.acceptance import text, text_examples
from bench.acceptance.lines import high, low, outcome
from training.evaluation import texts


def test_a_figure_under_its_floor_fails_the_check() -> None:
    reached = {"a": high(0.82, 0.82, 0.9), "b": low(0.04, 0.04, 0.03), "told": high(0.1)}
    figures, passed = outcome(reached)
    assert passed
    assert figures["a"] == {
        "ours": 0.82, "floor": 0.82, "reached": True, "aim": 0.9, "aim_reached": False
    }  # fmt: skip
    assert figures["b"]["reached"] and not figures["b"]["aim_reached"]
    assert not outcome(reached | {"c": high(0.8199999, 0.82)})[1]
    assert not outcome(reached | {"c": low(0.0400001, 0.04, 0.03)})[1]


def test_every_promise_is_of_a_set_that_is_judged_whole_by_its_figure() -> None:
    for promise in text.PROMISES:
        assert promise.name in texts.WHOLE
        assert promise.metric == texts.metric_of(promise.name)
        assert promise.aim is None or promise.floor < promise.aim
        assert promise.name in text.CHECKS


def test_every_example_of_the_readme_has_a_reading_that_a_person_expects() -> None:
    found = text_examples.QUOTED.findall(text_examples.README.read_text())
    assert len(found) >= 3
    assert set(found) <= set(text_examples.EXPECTED)


def test_each_line_of_the_cases_has_an_expected_reading(data: Path) -> None:
    folder = data.parent / "cases" / "text"
    lines = text_examples.lines_of(folder / "F15_text.txt")
    assert len(lines) == len(text_examples.WRAPPED)
    n_scripts = len(text_examples.lines_of(folder / "F03_unread_scripts.txt"))
    assert n_scripts == len(text_examples.UNREAD_SCRIPTS)
    signed = (folder / "F15_signature.txt").read_text().strip()
    assert set(text_examples.PLAIN) <= {*lines, signed}
