"""A decoder's process: `python -m server.workers.decoder FD` answers on a socket until it closes.

It imports no torch. Each step of its work has a limit of time, kept by the kernel's alarm, which
ends the process also in the middle of a library's native code, and where the server is dead.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from modalities.errors import InputError, LimitError
from modalities.image.decode import ImageLimits
from modalities.image.decode import decode as decode_image
from modalities.voice.prepare import decode as decode_audio
from modalities.voice.stream import AudioFile
from server.workers.message import receive, send

MAX_MEMORY_BYTES = 4 << 30  # a picture of 50 megapixels takes 1 GB
Answer: TypeAlias = tuple[dict[str, Any], NDArray[Any]]


def audio(content: bytes, max_duration_s: float) -> Iterator[Answer]:
    wave = decode_audio(content, max_duration_s=max_duration_s)
    fields = {name: value for name, value in vars(wave).items() if name != "samples"}
    yield fields, wave.samples


def image(content: bytes, max_pixels: int, max_side: int) -> Iterator[Answer]:
    found = decode_image(content, ImageLimits(max_pixels, max_side))
    yield {"notes": found.notes}, found.pixels


def recording(_: bytes, path: str) -> Iterator[Answer]:
    """Its blocks, before them one of no samples and after them another."""
    with AudioFile(Path(path)) as file:

        def state() -> dict[str, Any]:
            names = ("channels", "codec", "notes")
            return {name: getattr(file, name) for name in names}

        nothing = np.zeros((0, 0), np.float32)
        yield state(), nothing
        for block in file.blocks():
            yield state(), block
        yield state(), nothing


TASKS: Mapping[str, Callable[..., Iterator[Answer]]] = {
    task.__name__: task for task in (audio, image, recording)
}


def main(connection: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it would hold a customer's voice
    # Meant for the server, which finishes what it accepted; it ends this process by closing.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    try:
        while True:
            fields, content = receive(connection)
            _work(connection, bytes(content), **fields)
    except (EOFError, OSError):
        return


def _work(
    connection: Connection, content: bytes, task: str, limit_s: float, **arguments: Any
) -> None:
    """Raises OSError where nobody takes the answers."""
    answers = TASKS[task](content, **arguments)
    last: dict[str, Any] = {"end": "done"}
    while True:
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        try:
            answer = next(answers, None)
        except InputError as error:
            kind = "limit" if isinstance(error, LimitError) else "input"
            answer, last = None, {"end": kind, "reason": error.reason}
        except OSError as error:
            answer, last = None, {"end": "file", "errno": error.errno, "reason": error.strerror}
        except Exception as error:  # its message may quote the content
            answer, last = None, {"end": "error", "reason": _where(error)}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if answer is None:
            send(connection, last)
            return
        fields, array = answer
        fields |= {"shape": array.shape, "dtype": str(array.dtype)}
        send(connection, fields, np.ascontiguousarray(array))


def _where(error: BaseException) -> str:
    trace, at = error.__traceback__, ""
    while trace is not None:
        at = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {at}"


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
