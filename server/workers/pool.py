"""Decoding in processes of its own: what hangs or crashes there fails one item and nothing else.

FFmpeg and Pillow read bytes from outside in native code. A process is started where none is free,
used again, and replaced when it dies. Not pebble's pool, whose limit is on a call as a whole: a
recording of hours is one call here, whose samples are taken block by block, each within the limit.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Mapping
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalities.errors import InputError, LimitError, UnavailableError
from modalities.image.decode import DecodedImage, ImageLimits
from modalities.reading import Array
from modalities.voice.prepare import Waveform
from server.logs import LOG
from server.workers.message import receive, send

MAX_IDLE = 4  # processes kept for the next content
_CRASHES = {
    signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS
}  # fmt: skip

Answer = tuple[dict[str, Any], NDArray[Any]]


class _Worker:
    """A decoder's process and this end of its socket."""

    def __init__(self) -> None:
        self.connection, theirs = Pipe()
        paths = os.pathsep.join(path for path in sys.path if path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server.workers.decoder", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # libraries tell there what they read
            env={**os.environ, "PYTHONPATH": paths},
        )
        theirs.close()
        self.is_unwanted = False

    def stop(self) -> None:
        """End its work, from any thread: who waits for an answer then gets UnavailableError."""
        self.is_unwanted = True
        self.process.kill()

    def close(self) -> None:
        """End it, whatever it does."""
        self.connection.close()
        self.process.kill()
        self.process.wait()


class DecoderPool:
    """Of one process; all its methods may be called from many threads, and block."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()

    def start(self, workers: int) -> None:
        """So many processes, in advance: the first content then waits for none."""
        started = [_Worker() for _ in range(workers)]
        for worker in started:
            self._give_back(worker)

    def decode_audio(self, content: bytes, *, max_duration_s: float, limit_s: float) -> Waveform:
        """As `modalities.voice.prepare.decode`; raises InputError, too, where it takes longer than
        `limit_s` or its decoder crashes, and UnavailableError where that was ended from outside."""
        arguments = {"max_duration_s": max_duration_s}
        ((fields, samples),) = self.answers(self.take(), "audio", content, limit_s, arguments)
        return Waveform(samples=samples, **fields)

    def decode_image(self, content: bytes, limits: ImageLimits, limit_s: float) -> DecodedImage:
        """As `modalities.image.decode.decode`; raises, too, as `decode_audio`."""
        answers = self.answers(self.take(), "image", content, limit_s, vars(limits))
        ((fields, pixels),) = answers
        return DecodedImage(pixels, tuple(fields["notes"]))

    def close(self) -> None:
        """End those that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.close()

    def take(self) -> _Worker:
        """One that is free, for `answers`."""
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return _Worker()
            if worker.process.poll() is None:
                return worker
            worker.close()

    def answers(
        self,
        worker: _Worker,
        task: str,
        content: bytes,
        limit_s: float,
        arguments: Mapping[str, Any],
    ) -> Generator[Answer, None, None]:
        """What the worker makes of it; it is then free again, or ended where not all is taken."""
        finished = False
        try:
            try:
                request = {"task": task, "limit_s": limit_s, **arguments}
                send(worker.connection, request, content)
                while "end" not in (received := receive(worker.connection))[0]:
                    fields, body = received
                    shape, dtype = fields.pop("shape"), fields.pop("dtype")
                    yield fields, np.frombuffer(body, dtype).reshape(shape)
            except (EOFError, OSError):
                raise _died(worker, limit_s) from None
            finished = True
        finally:
            if finished:
                self._give_back(worker)
            else:
                worker.close()
        if (error := _error(received[0])) is not None:
            raise error

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            if len(self._idle) < MAX_IDLE:
                self._idle.append(worker)
                return
        worker.close()


class RecordingFile:
    """As `modalities.voice.stream.AudioFile` of a path, decoded in a process of its own.

    Raises as that does and as `DecoderPool.decode_audio`; `limit_s` is of each block.
    """

    def __init__(self, pool: DecoderPool, path: Path, limit_s: float) -> None:
        self._worker = pool.take()
        arguments = {"path": str(path.absolute())}
        self._answers = pool.answers(self._worker, "recording", b"", limit_s, arguments)
        self._lock = threading.Lock()  # a thread may still read when it is closed
        self._is_read = False
        self._note(next(self._answers)[0])

    def __enter__(self) -> RecordingFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Waits for no step of the decoder's."""
        if not self._is_read:
            self._worker.stop()
        with self._lock:
            self._answers.close()

    def blocks(self) -> Iterator[Array]:
        """(channels, n) float32 at 16 kHz; to be called once."""
        while True:
            with self._lock:
                answer = next(self._answers, None)
            if answer is None:
                self._is_read = True
                return
            self._note(answer[0])
            if answer[1].size:
                yield answer[1]

    def _note(self, fields: dict[str, Any]) -> None:
        self.channels: int = fields["channels"]
        self.codec: str = fields["codec"]
        self.notes: list[str] = fields["notes"]


def _died(worker: _Worker, limit_s: float) -> InputError | UnavailableError:
    status = worker.process.wait()
    number = -status  # of the signal
    if not worker.is_unwanted:
        LOG.warning("a decoder died", extra={"status": status})
    if number == signal.SIGALRM:
        return InputError(
            f"it could not be decoded within {limit_s:g} seconds: send it shorter or smaller"
        )
    if number in _CRASHES:
        return InputError("its decoder crashed: it is damaged, or made to do that")
    if status > 0:
        return UnavailableError("the decoder does not start", "reinstall the package")
    return UnavailableError("the decoder was ended from outside", "send the request again")


def _error(end: dict[str, Any]) -> Exception | None:
    match end["end"]:
        case "input":
            return InputError(end["reason"])
        case "limit":
            return LimitError(end["reason"])
        case "file":
            return OSError(end["errno"], end["reason"])
        case "error":
            return RuntimeError(f"the decoder raised {end['reason']}")
    return None


DECODERS = DecoderPool()  # one for all of this process; a fork would share its sockets
atexit.register(DECODERS.close)
