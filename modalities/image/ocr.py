"""OCR by rapidocr (PP-OCR on onnxruntime); its models come in its wheel, nothing is fetched."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rapidocr
from numpy.typing import NDArray

from modalities.errors import UnavailableError

Box = tuple[int, int, int, int]  # x0, y0, x1, y1, pixels, x1 and y1 exclusive

MAX_WIDTH = 2000  # wider pictures are shrunk to it: phone text stays above 20 px
MIN_LONG_SIDE = 736  # smaller pictures are enlarged: the detector misses text under 10 px
MAX_ENLARGEMENT = 4.0
TILE_PIXELS = 1_800_000  # one pass of the detector; bounds its memory to some 600 MB


@dataclass(frozen=True)
class OcrLine:
    """One line of text as it was found; confidence in [0, 1]."""

    text: str
    box: Box
    confidence: float


class Ocr:
    """A loaded OCR. One picture at a time: the lock bounds its memory and its threads."""

    def __init__(self, threads: int = 2) -> None:
        """Load the models; raises UnavailableError where the wheel came without them."""
        folder = Path(rapidocr.__file__).parent / "models"
        # Given by path, so that rapidocr never looks for them anywhere else.
        paths = {
            part: next(folder.glob(f"*_{name}_*.onnx"), None)
            for part, name in (("Det", "det"), ("Rec", "rec"))
        }
        if None in paths.values():
            raise UnavailableError("rapidocr's models are missing", "reinstall rapidocr")
        self._lock = threading.Lock()
        self._engine = rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",  # it would log what it reads
                "Global.use_cls": False,  # screenshots are upright
                "Global.max_side_len": MAX_WIDTH,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "Det.limit_side_len": 32,  # sizes are chosen here
                "Det.unclip_ratio": 1.8,  # at 1.6 a last "？" was cut off now and then
                **{f"{part}.model_path": str(path) for part, path in paths.items()},
            }
        )

    def read(self, pixels: NDArray[np.uint8]) -> list[OcrLine]:
        """Lines of text in (h, w, 3) RGB pixels, from top to bottom.

        A tall picture is read in tiles that are cut where no text is, so that memory does not
        grow with its height.
        """
        height, width = pixels.shape[:2]
        scale = min(1.0, MAX_WIDTH / width)
        scale = max(scale, min(MAX_ENLARGEMENT, MIN_LONG_SIDE / max(height, width)))
        lines = []
        for top, bottom in cut_rows(pixels, round(TILE_PIXELS / (width * scale * scale))):
            tile = cv2.cvtColor(pixels[top:bottom], cv2.COLOR_RGB2BGR)
            if scale != 1.0:
                method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
                tile = cv2.resize(tile, None, fx=scale, fy=scale, interpolation=method)
            with self._lock:
                found = self._engine(tile)
            if found.txts is None:
                continue
            for quad, text, confidence in zip(found.boxes, found.txts, found.scores, strict=True):
                x0, y0 = np.floor(quad.min(0) / scale).astype(int)
                x1, y1 = np.ceil(quad.max(0) / scale).astype(int)
                box = (int(x0), int(y0) + top, int(x1), int(y1) + top)
                lines.append(OcrLine(text.strip(), box, float(confidence)))
        return lines


def cut_rows(pixels: NDArray[np.uint8], max_rows: int) -> list[tuple[int, int]]:
    """Spans of at most `max_rows` rows that cover the picture, cut between lines of text.

    A row of text changes often from left to right; a cut goes where, over the height of a gap
    between lines, the rows change least.
    """
    height, width = pixels.shape[:2]
    spans, top = [], 0
    while height - top > max_rows:
        # Equal shares of what is left, so that the last tile is no sliver.
        share = (height - top) / -(-(height - top) // max_rows)
        low = top + round(0.75 * share)
        high = min(top + max_rows, low + round(0.4 * share))
        window = cv2.cvtColor(pixels[low:high], cv2.COLOR_RGB2GRAY).astype(np.float32)
        busy = np.abs(np.diff(window, axis=1)).mean(1)  # (rows,)
        gap = max(5, width // 90) | 1
        calm = int(cv2.blur(busy.reshape(-1, 1), (1, gap)).argmin())
        spans.append((top, low + calm))
        top = low + calm
    return [*spans, (top, height)]
