"""What goes between the server and its decoders: a JSON object, then raw bytes. Never a pickle: a
decoder that a file has taken over must not be able to run anything here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any


def send(connection: Connection, fields: Mapping[str, Any], body: Any = b"") -> None:
    """`body` is bytes or a contiguous array. Raises OSError where the other end is gone."""
    view = memoryview(body)
    connection.send_bytes(json.dumps({**fields, "n_bytes": view.nbytes}).encode())
    if view.nbytes:
        connection.send_bytes(view.cast("B"))


def receive(connection: Connection) -> tuple[dict[str, Any], bytearray]:
    """Raises EOFError or OSError where the other end is gone."""
    fields = json.loads(connection.recv_bytes())
    body = bytearray(fields.pop("n_bytes"))
    if body:
        connection.recv_bytes_into(body)
    return fields, body
