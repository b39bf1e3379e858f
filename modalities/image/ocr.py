"""OCR by rapidocr (PP-OCR on onnxruntime); its models come in its wheel, nothing is fetched."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import rapidocr
from numpy.typing import NDArray
from rapidocr.utils.process_img import get_rotate_crop_image

from modalities.errors import UnavailableError

Box = tuple[int, int, int, int]  # x0, y0, x1, y1, pixels, x1 and y1 exclusive

# Detection pays by the pixel and needs no sharp letters: it runs on a shrunk copy, and once more on
# a larger one where the lines found turn out to be low. Letters are read at full size.
FIRST_SIDE = 800  # pixels that the short side is shrunk to at first
LOW_LINE = 15.0  # pixels in the copy; lines whose median is lower are looked for again
GOOD_LINE = 22.0  # pixels that they are brought to
MIN_LONG_SIDE = 736  # smaller pictures are enlarged: the detector misses text under 10 px
MAX_ENLARGEMENT = 4.0
WELL_READ = 0.85  # mean confidence of words that surely stand upright
SURE_TURN = 0.9  # of the classifier's score
MOST_VOTES = 9  # lines that it is asked of
LEAST_READ = 3.0  # squares of a line to one character read
TILE_PIXELS = 1_800_000  # of one pass of the detector; bounds its memory to some 600 MB


@dataclass(frozen=True)
class OcrLine:
    """One line of text as it was found; confidence in [0, 1].

    Of a script that the OCR does not know (Arabic, Cyrillic) the text is wrong, or some of its
    punctuation, or "".
    """

    text: str
    box: Box
    confidence: float

    @property
    def is_unread(self) -> bool:
        """Whether far fewer characters were read than the line has room for: it is in a script that
        the OCR does not know."""
        x0, y0, x1, y1 = self.box
        squares = (x1 - x0) / max(y1 - y0, 1)  # a Chinese character fills one, others less
        return squares > 2 and len("".join(self.text.split())) < squares / LEAST_READ


class Ocr:
    """A loaded OCR. One picture at a time: the lock bounds its memory and its threads."""

    def __init__(self, threads: int = 2) -> None:
        """Load the models; raises UnavailableError where the wheel came without them."""
        folder = Path(rapidocr.__file__).parent / "models"
        # Given by path, so that rapidocr never looks for them anywhere else.
        paths = {
            part: next(folder.glob(f"*_{name}_*.onnx"), None)
            for part, name in (("Det", "det"), ("Cls", "cls"), ("Rec", "rec"))
        }
        if None in paths.values():
            raise UnavailableError("rapidocr's models are missing", "reinstall rapidocr")
        self._lock = threading.Lock()
        self._engine = rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",  # it would log what it reads
                "Global.use_preprocess_img": False,  # sizes are chosen here
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "Det.limit_side_len": 32,
                "Det.unclip_ratio": 1.8,  # at 1.6 a last "？" was cut off now and then
                "Rec.rec_batch_num": 1,  # more are padded to the longest, which is slower
                **{f"{part}.model_path": str(path) for part, path in paths.items()},
            }
        )

    def read(self, pixels: NDArray[np.uint8]) -> list[OcrLine]:
        """Lines of text in (h, w, 3) RGB pixels, from top to bottom.

        A tall picture is read in tiles that are cut where no text is, so that memory does not
        grow with its height.
        """
        height, width = pixels.shape[:2]
        scale = max(
            min(1.0, FIRST_SIDE / min(height, width)),
            min(MAX_ENLARGEMENT, MIN_LONG_SIDE / max(height, width)),
        )
        tiles = self._detect(pixels, scale)
        heights = [_height(quad) for _, quads in tiles for quad in quads]
        if heights and (low := float(np.median(heights)) * scale) < LOW_LINE:
            larger = min(scale * GOOD_LINE / low, MAX_ENLARGEMENT)
            tiles = self._detect(pixels, larger)
        return [
            self._recognise(pixels[top:bottom], quad, top)
            for (top, bottom), quads in tiles
            for quad in quads
        ]

    def quarter_turns(self, pixels: NDArray[np.uint8], lines: Sequence[OcrLine]) -> int:
        """By how many quarters (h, w, 3) pixels are to be turned counter-clockwise until their
        words stand upright, as the OCR's own classifier sees `lines`, which were read of them.

        It is asked of lines on their side, and of those that were read badly: upright words mostly
        are read well.
        """
        long = [line for line in lines if _length(line.box) > 2]
        on_side = [line for line in long if line.box[3] - line.box[1] > line.box[2] - line.box[0]]
        sideways = 2 * len(on_side) > len(long)
        asked = sorted(on_side if sideways else long, key=lambda line: -_length(line.box))
        if not asked or (not sideways and mean_confidence(long) >= WELL_READ):
            return 0
        votes = 0
        for line in asked[:MOST_VOTES]:
            x0, y0, x1, y1 = line.box
            crop = pixels[y0:y1, x0:x1]
            if sideways:
                crop = np.rot90(crop)
            found = self._ask(np.ascontiguousarray(crop), "cls")
            ((label, score),) = found.cls_res
            votes += (-1 if "180" in label else 1) if score > SURE_TURN else 0
        if sideways:
            return 1 if votes >= 0 else 3
        return 2 if 2 * -votes > min(len(asked), MOST_VOTES) else 0

    def _ask(self, pixels: NDArray[np.uint8], part: str) -> Any:
        """One part of the OCR, "det", "cls" or "rec", of RGB pixels."""
        with self._lock:
            return self._engine(
                cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR),
                **{f"use_{name}": name == part for name in ("det", "cls", "rec")},
            )

    def _detect(
        self, pixels: NDArray[np.uint8], scale: float
    ) -> list[tuple[tuple[int, int], list[NDArray[np.float32]]]]:
        """Tiles (top, bottom) with their lines' corners (4, 2) x, y in the tile, clockwise."""
        tiles = []
        for top, bottom in cut_rows(pixels, round(TILE_PIXELS / (pixels.shape[1] * scale * scale))):
            tile = pixels[top:bottom]
            if scale != 1.0:
                method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
                tile = cv2.resize(tile, None, fx=scale, fy=scale, interpolation=method)
            found = self._ask(tile, "det")
            quads = [] if found.boxes is None else [quad / scale for quad in found.boxes]
            tiles.append(((top, bottom), sorted(quads, key=lambda quad: quad[:, 1].mean())))
        return tiles

    def _recognise(self, tile: NDArray[np.uint8], quad: NDArray[np.float32], top: int) -> OcrLine:
        crop = get_rotate_crop_image(tile, quad.astype(np.float32))
        found = self._ask(crop, "rec")
        x0, y0 = np.floor(quad.min(0)).astype(int)
        x1, y1 = np.ceil(quad.max(0)).astype(int)
        height, width = tile.shape[:2]
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
        box = (int(x0), int(y0) + top, int(x1), int(y1) + top)
        return OcrLine(found.txts[0].strip(), box, float(found.scores[0]))


def _length(box: Box) -> float:
    """A line's longer side over its shorter one."""
    sides = box[2] - box[0], box[3] - box[1]
    return max(sides) / max(min(sides), 1)


class Written(Protocol):
    """A line, or a message of several."""

    @property
    def text(self) -> str: ...

    @property
    def confidence(self) -> float: ...


def mean_confidence(read: Sequence[Written]) -> float:
    """Weighted by characters; 0 where nothing was read."""
    characters = sum(len(one.text) for one in read)
    return sum(len(one.text) * one.confidence for one in read) / max(characters, 1)


def _height(quad: NDArray[np.float32]) -> float:
    """Of a line by its corners, clockwise from the upper left."""
    return float(np.linalg.norm(quad[3] - quad[0]) + np.linalg.norm(quad[2] - quad[1])) / 2


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
