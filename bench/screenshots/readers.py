"""What is compared: our reader, the same OCR in plain reading order, and tesseract.

The two baselines get what a caller would do without a layout reader: a block of text is a
message, its side the nearer margin.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.errors import UnavailableError
from modalities.image import ocr
from modalities.image.chat import Kind, ReadMessage, join_text, read_messages
from modalities.image.decode import ImageLimits, decode
from modalities.image.ocr import Box, Ocr, OcrLine
from modalities.image.pages import merge_pages

LIMITS = ImageLimits(50_000_000, 20_000)
THREADS = 2


@dataclass(frozen=True)
class Said:
    """A message as a reader gives it; page is the picture's index where there are several, and
    emoji how many were found in it, whether named or not."""

    text: str
    side: str
    box: Box
    page: int = 0
    emoji: int = 0


@dataclass
class Reading:
    """`said` in the reader's order; `others`: (kind, text) of what it found and holds apart."""

    said: list[Said]
    others: list[tuple[str, str]] = field(default_factory=list)
    ours: list[ReadMessage] = field(default_factory=list)  # to be merged with other pages'


def pixels_of(path: Path) -> NDArray[np.uint8]:
    return decode(path.read_bytes(), LIMITS).pixels


class CachedOcr:
    """Our OCR's lines of a picture, kept in `folder` by the picture's content and ocr.py's own."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        source = Path(ocr.__file__).read_bytes() + version("rapidocr").encode()
        self._version = hashlib.sha256(source).hexdigest()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def read(self, pixels: NDArray[np.uint8]) -> list[OcrLine]:
        if self._folder is None:
            return _engine().read(pixels)
        digest = hashlib.sha256(self._version.encode() + str(pixels.shape).encode())
        digest.update(pixels.tobytes())
        path = self._folder / f"{digest.hexdigest()[:32]}.json"
        if not path.exists():
            started = time.perf_counter()
            lines = _engine().read(pixels)
            made = {
                "seconds": round(time.perf_counter() - started, 3),
                "lines": [[line.text, line.box, line.confidence] for line in lines],
            }
            path.write_text(json.dumps(made, ensure_ascii=False))
        return [
            OcrLine(text, (box[0], box[1], box[2], box[3]), confidence)
            for text, box, confidence in json.loads(path.read_text())["lines"]
        ]


@cache
def _engine() -> Ocr:
    return Ocr(THREADS)


def read_ours(pixels: NDArray[np.uint8], lines: Sequence[OcrLine], page: int = 0) -> Reading:
    found = read_messages(pixels, lines, page)
    reading = Reading(_said(found), ours=found)
    for message in found:
        if message.kind is Kind.MESSAGE:
            apart = {"timestamp": message.time_text, "name": message.sender,
                     "quote": message.quoted}  # fmt: skip
            reading.others += [(kind, text) for kind, text in apart.items() if text]
        else:
            reading.others.append((message.kind.value, message.text))
    return reading


def merge_ours(readings: Sequence[Reading]) -> list[Said]:
    """Several screenshots of one chat, first to last, as one."""
    return _said(merge_pages([reading.ours for reading in readings]))


def _said(found: Sequence[ReadMessage]) -> list[Said]:
    return [
        Said(m.text, m.side.value, m.box, m.page, m.emoji) for m in found if m.kind is Kind.MESSAGE
    ]


def read_plain(pixels: NDArray[np.uint8], lines: Sequence[OcrLine], page: int = 0) -> Reading:
    """Lines from top to bottom; those of one side less than a line's height apart are a message."""
    width = pixels.shape[1]
    blocks: list[list[OcrLine]] = []
    for line in sorted(lines, key=lambda line: (line.box[1], line.box[0])):
        last = blocks[-1][-1] if blocks else None
        if (
            last is not None
            and _side(last.box, width) == _side(line.box, width)
            and line.box[1] - last.box[3] < 0.8 * (line.box[3] - line.box[1])
        ):
            blocks[-1].append(line)
        else:
            blocks.append([line])
    return Reading([_block([(line.text, line.box) for line in block], width, page)
                    for block in blocks])  # fmt: skip


def read_tesseract(pixels: NDArray[np.uint8], lines: Sequence[OcrLine], page: int = 0) -> Reading:
    """tesseract's paragraphs, Chinese and English, in its own order; our OCR's lines unused."""
    import pytesseract

    dark = float(np.median(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))) < 128
    found = pytesseract.image_to_data(
        255 - pixels if dark else pixels,
        lang="chi_sim+eng",
        config="--psm 3",
        output_type=pytesseract.Output.DICT,
    )
    paragraphs: dict[tuple[int, int], list[tuple[str, Box]]] = {}
    for index, word in enumerate(found["text"]):
        if word.strip():
            x, y = found["left"][index], found["top"][index]
            box = (x, y, x + found["width"][index], y + found["height"][index])
            key = (found["block_num"][index], found["par_num"][index])
            paragraphs.setdefault(key, []).append((word.strip(), box))
    width = pixels.shape[1]
    return Reading([_block(words, width, page) for words in paragraphs.values()])


def check_tesseract() -> None:
    """Raises UnavailableError where tesseract, its Chinese model or its wrapper is absent."""
    remedy = "apt-get install tesseract-ocr tesseract-ocr-chi-sim; pip install pytesseract"
    try:
        import pytesseract
    except ImportError as error:
        raise UnavailableError("pytesseract is not installed", remedy) from error
    if shutil.which("tesseract") is None or "chi_sim" not in pytesseract.get_languages():
        raise UnavailableError("tesseract or its Chinese model is absent", remedy)


def _block(parts: Sequence[tuple[str, Box]], width: int, page: int) -> Said:
    edges = np.array([box for _, box in parts])
    x0, y0 = edges[:, :2].min(0).tolist()
    x1, y1 = edges[:, 2:].max(0).tolist()
    box = (x0, y0, x1, y1)
    return Said(join_text([text for text, _ in parts]), _side(box, width), box, page)


def _side(box: Box, width: int) -> str:
    return "left" if box[0] < width - box[2] else "right"


Reader = Callable[[NDArray[np.uint8], Sequence[OcrLine], int], Reading]
READERS: dict[str, Reader] = {
    "ours": read_ours,
    "plain OCR": read_plain,
    "tesseract": read_tesseract,
}
