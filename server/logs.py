"""Logs: one JSON object a line on stderr. Never content, never a caller's context.

Every line that is written while a request is worked on carries its id, also from the threads that
work on it. A batch belongs to many requests: what a library says of one carries none.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Protocol

LOG = logging.getLogger("emotion")
WARNINGS = "py.warnings"  # the logger to which Python's warnings go
REPEAT_S = 60.0  # between two lines of a library that say the same

_to_json = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` would make one a line
_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Identified(Protocol):
    """A request that is under way; an id may be empty."""

    @property
    def request_id(self) -> str: ...

    @property
    def trace_id(self) -> str: ...


REQUEST: ContextVar[Identified | None] = ContextVar("request", default=None)


class JsonFormatter(logging.Formatter):
    """The event's name and whatever `extra` adds. Of an exception its type and where it arose:
    its message may quote content."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": _event(record),
            **{k: v for k, v in vars(record).items() if k not in _STANDARD},
        }
        if (request := REQUEST.get()) is not None:
            if "request_id" not in line:
                line["request_id"] = request.request_id[:64]
            if request.trace_id:
                line["trace_id"] = request.trace_id
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, trace = record.exc_info
            line["error"] = kind.__name__
            while trace is not None:
                line["at"] = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
                trace = trace.tb_next
        return _to_json(line)


class Libraries(logging.Filter):
    """A library's lines: the same one at most once a minute, with its logger's name."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str, int], tuple[float, int]] = {}  # when, left out since

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name in (LOG.name, WARNINGS):  # Python itself tells a warning once a place
            return True
        key = record.name, record.pathname, record.lineno  # places in code: so many, and no more
        told_at, n_left_out = self._told.get(key, (-REPEAT_S, 0))
        now = time.monotonic()
        if now - told_at < REPEAT_S:
            self._told[key] = told_at, n_left_out + 1
            return False
        self._told[key] = now, 0
        record.logger = record.name
        if n_left_out:
            record.left_out = n_left_out
        return True


def configure() -> None:
    """Send this project's log, and warnings of libraries and of Python, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(Libraries())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    LOG.setLevel(logging.INFO)
    # No line tells these, and each costs as much as the line's time.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def _event(record: logging.LogRecord) -> str:
    """Of a library the first line before its arguments are filled in, which may hold content; of
    a Python warning its place and category."""
    if record.name == LOG.name:
        return record.getMessage()
    if record.name == WARNINGS:
        found = re.match(r"(.*?:\d+: \w+): ", record.getMessage())
        return found[1] if found else "warning"
    first, *_ = str(record.msg).splitlines() or [""]
    return first
