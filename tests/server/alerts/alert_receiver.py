"""A receiver of webhooks: a real HTTP server on a real port that answers as a test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What to do with the n-th request, from 0: the status to answer, after whatever wait it likes.
Answer = Callable[[int], int]


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """`taken` has each alert once, by its key, as a receiver keeps it."""

    url: str
    requests: list[Received] = field(default_factory=list)
    taken: dict[str, bytes] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, condition: Callable[[Receiver], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), 20)


@contextmanager
def receiver(answer: Answer = lambda _: 204, port: int = 0) -> Iterator[Receiver]:
    found: Receiver

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with found.changed:
                number = len(found.requests)
                found.requests.append(Received(headers, body))
                found.changed.notify_all()
            status = answer(number)
            with found.changed:
                if 200 <= status < 300:
                    found.taken.setdefault(headers["webhook-id"], body)
                found.changed.notify_all()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", f"{found.url}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """The client did not wait for the answer, as some tests want."""

    server = Quiet(("127.0.0.1", port), Handler)
    found = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
