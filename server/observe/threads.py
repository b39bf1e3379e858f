"""Threads whose queue can be seen, and whose work knows which request it belongs to."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any


class Threads(ThreadPoolExecutor):
    """Work runs in the context in which it was submitted: the lines that it logs carry the
    request's id, and its spans have their parent."""

    def __init__(self, max_workers: int, name: str) -> None:
        super().__init__(max_workers, name)
        self._waiting: dict[object, float] = {}  # in order of arrival: time.monotonic()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        context, ticket = copy_context(), object()

        def run() -> Any:
            self._waiting.pop(ticket, None)
            return context.run(fn, *args, **kwargs)

        self._waiting[ticket] = time.monotonic()
        future = super().submit(run)
        # One that is given up before it begins waits no more.
        future.add_done_callback(lambda _: self._waiting.pop(ticket, None))
        return future

    @property
    def queued_items(self) -> int:
        """What waits for a thread."""
        return len(self._waiting)

    @property
    def oldest_age_s(self) -> float:
        """For how long the oldest of it has waited; 0 where none does."""
        waiting = tuple(self._waiting.values())  # at once: other threads change it
        return time.monotonic() - waiting[0] if waiting else 0.0
