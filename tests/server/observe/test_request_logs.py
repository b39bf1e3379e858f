"""The log of a watched server: every line of a request carries its id, and none its content."""

from __future__ import annotations

import json
import logging
import warnings

import pytest
from watched_server import WORDS, Watched

from server import logs


def test_every_line_of_a_request_has_its_id_also_from_threads(watched: Watched) -> None:
    lines = [json.loads(line) for line in watched.log.splitlines()]
    of_broken = [line for line in lines if line.get("request_id") == "broken"]
    assert [line["event"] for line in of_broken] == [
        "cannot read %s",  # by a library, in a thread; said twice, told once
        "modality failed",
        "request",
    ]
    assert of_broken[0]["logger"] == "a.library"
    assert len({line["trace_id"] for line in of_broken}) == 1
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) == 5
    assert all(line["request_id"] for line in requests)
    assert WORDS not in watched.log


def test_a_repeated_warning_is_told_with_how_many_were_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filter_, record = logs.Libraries(), logging.makeLogRecord({"name": "a.library"})
    assert [filter_.filter(record) for _ in range(3)] == [True, False, False]
    assert logs.Libraries().filter(logging.makeLogRecord({"name": "emotion"}))
    monkeypatch.setattr(logs, "REPEAT_S", 0.0)
    assert filter_.filter(record)
    assert vars(record)["left_out"] == 2


def test_a_python_warning_tells_its_place_and_not_its_text() -> None:
    text = warnings.formatwarning("about 4711", UserWarning, "/some/module.py", 7)
    record = logging.LogRecord("py.warnings", 30, "", 0, "%s", (text,), None)
    line = json.loads(logs.JsonFormatter().format(record))
    assert line["event"] == "/some/module.py:7: UserWarning"
