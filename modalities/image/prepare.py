"""Image bytes → what can be read of them: a chat's messages, words, and a crop for the encoder.

CPU only. A picture with chat bubbles is a SCREENSHOT and is read for its messages alone; one with
a face is read for the face; any other for the whole picture. Words are read in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.image.chat import Kind, ReadMessage, is_chat, read_messages
from modalities.image.decode import ImageLimits, decode
from modalities.image.face import CROP_SIDE, FaceFinder
from modalities.image.infer import VisionItem
from modalities.image.model import SIZE
from modalities.image.ocr import Box, Ocr, OcrLine
from modalities.reading import Quality

MEASURED_SIDE = 640  # detail is measured on a picture shrunk to this
EDGE_LEVELS = 12  # of 255: what two neighbours on an edge differ by
LEAST_DETAIL = 0.01  # share of pixels on edges, words aside; below it there is nothing to see


class ImageKind(StrEnum):
    SCREENSHOT = "screenshot"
    FACE = "face"
    PICTURE = "picture"


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """What was found in one picture.

    width, height  of the upright picture, pixels
    messages       everything read, from top to bottom; what a caller says is MESSAGE and TEXT
    vision         the crop for the vision encoder; None where a picture has nothing to say
    quality        ocr_confidence, face, sharpness and characters (of what counts as said)
    notes          what a caller should know: a frame left out, nothing found
    """

    kind: ImageKind
    width: int
    height: int
    messages: tuple[ReadMessage, ...]
    vision: VisionItem | None
    quality: Quality
    notes: tuple[str, ...]


class ImagePreparer:
    """The OCR and the face finder, loaded once; `prepare` may be called from many threads."""

    def __init__(self, threads: int = 2, crop_size: int = SIZE) -> None:
        """`crop_size` is the vision encoder's, pixels.

        Raises UnavailableError where a library came without its models.
        """
        self._ocr = Ocr(threads)
        self._faces = FaceFinder()
        self._crop_size = crop_size

    def prepare(
        self, content: bytes, limits: ImageLimits | None = None, page: int = 0
    ) -> PreparedImage:
        """Decode and read one image; `page` is its index in the request.

        Raises LimitError over `limits` and InputError on what is no readable image.
        """
        image = decode(content, limits or ImageLimits())
        pixels, notes = image.pixels, list(image.notes)
        # A small crop of a face holds no words, but the OCR finds some in the features.
        small = max(pixels.shape[:2]) <= CROP_SIDE
        face = self._faces.find(pixels) if small else None
        lines = [] if face else self._ocr.read(pixels)
        messages = tuple(read_messages(pixels, lines, page))
        said = [m for m in messages if m.kind in (Kind.MESSAGE, Kind.TEXT)]
        kind, vision = ImageKind.SCREENSHOT, None
        if not is_chat(messages):
            face = face or self._faces.find(pixels)
            kind, vision = _look(pixels, lines, face, self._crop_size)
            if messages and not said:
                notes.append("only dates and times are written in the picture")
            if vision is None:
                notes.append(
                    "nothing but text is in the picture"
                    if lines
                    else "the picture is blank: no text, no face and hardly any detail"
                )
        quality = Quality(
            characters=float(sum(len(m.text) for m in said)),
            ocr_confidence=_mean_confidence(said),
            face=vision.quality.face if vision else 0.0,
            sharpness=sharpness(pixels),
        )
        height, width = pixels.shape[:2]
        return PreparedImage(kind, width, height, messages, vision, quality, tuple(notes))


def _look(
    pixels: NDArray[np.uint8], lines: list[OcrLine], face: Box | None, size: int
) -> tuple[ImageKind, VisionItem | None]:
    if face is not None:
        return ImageKind.FACE, crop(pixels, face, size)
    seen = detail(pixels, lines) >= LEAST_DETAIL
    return ImageKind.PICTURE, crop(pixels, None, size) if seen else None


def crop(pixels: NDArray[np.uint8], face: Box | None, size: int) -> VisionItem:
    """What the encoder is shown of a picture: its face, in grey, or all of it."""
    if face is None:
        return VisionItem(square(pixels, size), Quality(face=0.0, sharpness=sharpness(pixels)))
    x0, y0, x1, y1 = face
    shown = pixels[y0:y1, x0:x1]
    grey = cv2.cvtColor(cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return VisionItem(square(grey, size), Quality(face=1.0, sharpness=sharpness(shown)))


def square(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(h, w, 3) squeezed to (size, size, 3)."""
    shrinks = max(pixels.shape[:2]) > size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(pixels, (size, size), interpolation=method)


def sharpness(pixels: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian v (Pech-Pacheco et al., ICPR 2000) as v / (v + 100), [0, 1)."""
    grey = cv2.cvtColor(_shrunk(pixels), cv2.COLOR_RGB2GRAY)
    variance = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    return variance / (variance + 100.0)


def detail(pixels: NDArray[np.uint8], lines: list[OcrLine]) -> float:
    """Share of the pixels outside of text that lie on an edge between shades, [0, 1]."""
    small = _shrunk(pixels)
    scale = small.shape[0] / pixels.shape[0]
    outside = np.ones(small.shape[:2], bool)
    for line in lines:
        margin = 0.3 * (line.box[3] - line.box[1])
        x0, y0 = (round(max(0.0, v - margin) * scale) for v in line.box[:2])
        x1, y1 = (round((v + margin) * scale) for v in line.box[2:])
        outside[y0:y1, x0:x1] = False
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    steps = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))[outside]
    return float((steps > EDGE_LEVELS).mean()) if steps.size else 0.0


def _shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = MEASURED_SIDE / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _mean_confidence(said: list[ReadMessage]) -> float:
    if not said:
        return 0.0
    weights = [len(message.text) for message in said]
    return float(np.average([message.confidence for message in said], weights=weights))
