"""A thread that writes what is queued, in batches, and tries again while the database is away."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

from modalities.errors import OverloadedError
from server.logs import LOG

Written = TypeVar("Written")

MAX_BATCH = 256  # jobs of one transaction
RETRY_S = (0.1, 5.0)  # first and longest wait for the database
TELL_S = 60.0  # between two lines of the log about the same trouble
CHORE_S = 3600.0


@dataclass(frozen=True)
class _Job(Generic[Written]):
    prepare: Callable[[], Written]
    weight: int


class Writer(Generic[Written]):
    """`write` takes a batch as one transaction; `prepare` of each job runs in the thread before.

    What is accepted is written, however long the database is away; only what cannot be written at
    all, or not by the end of `close`, is lost, and counted in `n_lost`. `chore` runs in the
    thread, too, at the start and once an hour.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Written]], None],
        max_queued: int,
        chore: Callable[[], object] = lambda: None,
    ) -> None:
        self.n_lost = 0
        self._write, self._max_queued, self._chore = write, max_queued, chore
        self._jobs: deque[_Job[Written]] = deque()  # the batch at work is still among them
        self._n_queued = 0  # their weights together
        self._changed = threading.Condition()
        self._stop_at: float | None = None  # time.monotonic() of giving up
        self._told_at = -TELL_S
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    @property
    def n_queued(self) -> int:
        return self._n_queued

    def check(self) -> None:
        """Raises OverloadedError where the queue is full."""
        if self._n_queued >= self._max_queued:
            raise OverloadedError("the store's queue is full: the database does not keep up", 5.0)

    def put(self, prepare: Callable[[], Written], weight: int = 1) -> None:
        """Never blocks and never refuses: what was begun is written to its end."""
        with self._changed:
            self._jobs.append(_Job(prepare, weight))
            self._n_queued += weight
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is written; whether it was in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs, timeout_s)

    def close(self, timeout_s: float) -> int:
        """Write what is queued, as far as that is possible in time; how much was ever lost."""
        with self._changed:
            self._stop_at = time.monotonic() + timeout_s
            self._changed.notify_all()
        self._thread.join()
        return self.n_lost

    def _run(self) -> None:
        next_chore_at = time.monotonic()
        while True:
            if time.monotonic() >= next_chore_at:
                next_chore_at = time.monotonic() + CHORE_S
                self._attempt(self._chore)
            with self._changed:
                wait_s = max(0.0, next_chore_at - time.monotonic())
                self._changed.wait_for(lambda: self._jobs or self._stop_at is not None, wait_s)
                batch = [self._jobs[i] for i in range(min(MAX_BATCH, len(self._jobs)))]
            if batch:
                self._work(batch)
                with self._changed:
                    for job in batch:
                        self._jobs.popleft()
                        self._n_queued -= job.weight
                    self._changed.notify_all()
            elif self._stop_at is not None:
                return

    def _work(self, batch: Sequence[_Job[Written]]) -> None:
        rows: list[Written] = []
        for job in batch:
            self.n_lost += not self._attempt(lambda job: rows.append(job.prepare()), job)
        try:
            self._patiently(rows)
        except Exception as error:
            if _is_away(error):  # to the end of `close`
                self.n_lost += len(rows)
            else:  # one that is bad is lost alone
                self.n_lost += sum(not self._attempt(self._patiently, [row]) for row in rows)

    def _attempt(self, work: Callable[..., object], *arguments: object) -> bool:
        try:
            work(*arguments)
        except Exception:
            LOG.exception("the store failed on it")
            return False
        return True

    def _patiently(self, rows: Sequence[Written]) -> None:
        Retrying(
            retry=retry_if_exception(_is_away),
            wait=wait_exponential(RETRY_S[0], max=RETRY_S[1]),
            stop=self._gives_up,
            sleep=self._sleep,
            before_sleep=self._tell,
            reraise=True,
        )(self._write, rows)

    def _gives_up(self, _state: RetryCallState) -> bool:
        return self._stop_at is not None and time.monotonic() >= self._stop_at

    def _sleep(self, seconds: float) -> None:
        """Closing wakes it."""
        with self._changed:
            if self._stop_at is None:
                self._changed.wait_for(lambda: self._stop_at is not None, seconds)
                return
        time.sleep(min(seconds, 0.2))

    def _tell(self, state: RetryCallState) -> None:
        if time.monotonic() - self._told_at >= TELL_S and state.outcome is not None:
            self._told_at = time.monotonic()
            error = getattr(state.outcome.exception(), "orig", None)
            extra = {"error": type(error).__name__, "queued": self._n_queued}
            LOG.warning("the store is away: what is scored is queued", extra=extra)


def _is_away(error: BaseException) -> bool:
    """Not there, locked, or full: the same may be written later."""
    return isinstance(error, DBAPIError) and not isinstance(error, (IntegrityError, DataError))
