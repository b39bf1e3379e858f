"""The alerts that were raised: kept in a file, and told to whoever listens."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from emotion.v1.alert_service_pb2 import Alert, AlertFilter
from google.protobuf.json_format import MessageToJson, Parse, ParseError

from server.files import write_whole
from server.logs import LOG

KEPT = 1000  # alerts in memory, and at least in the file
MAX_WAITING = 100  # alerts that a listener has not taken

# Among which conversations: an Alert.Scope, and the channel's or tag's name.
Key: TypeAlias = tuple["Alert.Scope", str]


def key_of(alert: Alert) -> Key:
    return alert.scope, alert.name


def matches(alert: Alert, wanted: AlertFilter) -> bool:
    return (
        (not wanted.kinds or alert.kind in wanted.kinds)
        and (not wanted.scopes or alert.scope in wanted.scopes)
        and (not wanted.names or alert.name in wanted.names)
    )


def to_json(alert: Alert) -> str:
    """One line, in the words of the proto."""
    return MessageToJson(alert, preserving_proto_field_name=True, indent=None, ensure_ascii=False)


class Listener:
    """What one client of StreamAlerts has yet to take."""

    def __init__(self) -> None:
        self.alerts: asyncio.Queue[Alert] = asyncio.Queue(MAX_WAITING)
        self.overrun = False  # it was too slow, and missed some
        self._loop = asyncio.get_running_loop()

    def tell(self, alert: Alert) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._put, alert)

    def _put(self, alert: Alert) -> None:
        if self.alerts.full():
            self.overrun = True
        else:
            self.alerts.put_nowait(alert)


class AlertLog:
    """JSON lines, the newest last. Where the disk is full alerts are still told."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._alerts: deque[Alert] = deque(maxlen=KEPT)
        self._listeners: set[Listener] = set()
        self._lock = threading.Lock()
        lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
        for line in lines:
            try:
                self._alerts.append(Parse(line, Alert(), ignore_unknown_fields=True))
            except ParseError:  # of a line that a full disk or a kill cut off
                LOG.warning("an alert in the log cannot be read")
        if len(lines) > len(self._alerts):
            write_whole(path, "".join(f"{to_json(one)}\n" for one in self._alerts).encode())

    def add(self, alert: Alert) -> None:
        """Keep it, and tell the listeners."""
        with self._lock:
            self._alerts.append(alert)
            for listener in self._listeners:
                listener.tell(alert)
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(to_json(alert) + "\n")
        except OSError as error:
            LOG.error("an alert could not be kept", extra={"reason": type(error).__name__})

    def newest_first(self) -> list[Alert]:
        with self._lock:
            return list(reversed(self._alerts))

    def last(self) -> dict[Key, Alert]:
        """The last alert of each series."""
        with self._lock:
            return {key_of(alert): alert for alert in self._alerts}

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """In an event loop: alerts from now on."""
        listener = Listener()
        with self._lock:
            self._listeners.add(listener)
        try:
            yield listener
        finally:
            with self._lock:
                self._listeners.discard(listener)
