"""Image bytes → what can be read of them: a chat's messages, words, and a crop for the encoder.

CPU only. What sort of picture it is decides the route: a SCREENSHOT is read for its messages alone,
a DOCUMENT for its words alone, a FACE for the face, a STICKER or a PHOTO for the whole picture.
Words are read in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.image.chat import (
    Kind,
    ReadMessage,
    is_chat,
    mostly_unread,
    plain_text,
    read_messages,
)
from modalities.image.decode import DecodedImage, ImageLimits, decode
from modalities.image.face import CROP_SIDE, Face, FaceFinder, shown
from modalities.image.infer import VisionItem
from modalities.image.kinds import Classified, ImageKind, classify, measure, shrunk
from modalities.image.model import SIZE
from modalities.image.ocr import Box, Ocr, OcrLine, mean_confidence
from modalities.reading import Quality

EDGE_LEVELS = 12  # of 255: what two neighbours on an edge differ by
LEAST_CONFIDENCE = 0.5  # of the OCR, which reads patterns, too, as letters
LEAST_DETAIL = 0.01  # share of pixels on edges, words aside; below it there is nothing to see


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """What was found in one picture.

    classified     what sort of picture it is, which decides how it is read
    width, height  of the upright picture, pixels
    messages       everything read, from top to bottom; what a caller says is MESSAGE and TEXT
    faces          their boxes, largest first
    vision         the crop for the vision encoder; None where a picture has nothing to say
    quality        ocr_confidence, face, sharpness and characters (of what counts as said)
    notes          what a caller should know: a frame left out, nothing found
    """

    classified: Classified
    width: int
    height: int
    messages: tuple[ReadMessage, ...]
    faces: tuple[Box, ...]
    vision: VisionItem | None
    quality: Quality
    notes: tuple[str, ...]

    @property
    def kind(self) -> ImageKind:
        return self.classified.kind


class ImagePreparer:
    """The OCR and the face finder, loaded once; `prepare` may be called from many threads."""

    def __init__(self, threads: int = 2, crop_size: int = SIZE) -> None:
        """`crop_size` is the vision encoder's, pixels.

        Raises UnavailableError where a library came without its models.
        """
        self._ocr = Ocr(threads)
        self.faces = FaceFinder(threads)
        self._crop_size = crop_size

    def prepare(
        self, content: bytes, limits: ImageLimits | None = None, page: int = 0
    ) -> PreparedImage:
        """Decode and read one image; `page` is its index in the request.

        Raises LimitError over `limits` and InputError on what is no readable image.
        """
        return self.read(decode(content, limits or ImageLimits()), page)

    def read(self, image: DecodedImage, page: int = 0) -> PreparedImage:
        """As `prepare`, of an image that is decoded."""
        pixels, notes = image.pixels, list(image.notes)
        # A small crop of a face holds no words, but the OCR finds some in the features.
        faces = self.faces.find_all(pixels) if max(pixels.shape[:2]) <= CROP_SIDE else []
        lines = [] if faces else self._ocr.read(pixels)
        if quarters := self._ocr.quarter_turns(pixels, lines):
            turned = np.ascontiguousarray(np.rot90(pixels, quarters))
            again = self._ocr.read(turned)
            if mean_confidence(again) > mean_confidence(lines):
                pixels, lines = turned, again
                notes.append(f"turned by {90 * quarters}° counter-clockwise, as its words stand")
        messages = read_messages(pixels, lines, page)
        if not is_chat(messages):
            faces = faces or self.faces.find_all(pixels)
        boxes = tuple(face.box for face in faces)
        classified = classify(measure(pixels, lines, messages, boxes))
        messages = _of_kind(messages, lines, classified.kind, page)
        said = [m for m in messages if m.kind in (Kind.MESSAGE, Kind.TEXT)]
        vision = _look(pixels, lines, faces, classified.kind, self._crop_size)
        if not said and vision is None:
            notes.append(_why_nothing(messages, lines, classified.kind))
        quality = Quality(
            characters=float(sum(len(m.text) for m in said)),
            ocr_confidence=mean_confidence(said),
            face=vision.quality.face if vision else 0.0,
            sharpness=sharpness(pixels),
        )
        height, width = pixels.shape[:2]
        return PreparedImage(
            classified, width, height, tuple(messages), boxes, vision, quality, tuple(notes)
        )


def _of_kind(
    messages: list[ReadMessage], lines: list[OcrLine], kind: ImageKind, page: int
) -> list[ReadMessage]:
    """A screenshot without a bubble says nothing; elsewhere a box with words is no bubble."""
    if kind is ImageKind.SCREENSHOT:
        return [replace(m, kind=Kind.SYSTEM) if m.kind is Kind.TEXT else m for m in messages]
    return plain_text(lines, page) if is_chat(messages) else messages


def _look(
    pixels: NDArray[np.uint8], lines: list[OcrLine], faces: list[Face], kind: ImageKind, size: int
) -> VisionItem | None:
    if kind in (ImageKind.SCREENSHOT, ImageKind.DOCUMENT):
        return None
    if faces:
        return crop(pixels, faces[0], size)
    words = [line for line in lines if line.text and line.confidence >= LEAST_CONFIDENCE]
    return crop(pixels, None, size) if detail(pixels, words) >= LEAST_DETAIL else None


def _why_nothing(messages: list[ReadMessage], lines: list[OcrLine], kind: ImageKind) -> str:
    if lines and mostly_unread(lines):
        return "what is written is in a script that the OCR does not know"
    if kind is ImageKind.SCREENSHOT:
        return "the screenshot shows no message"
    if messages:
        return "only dates and times are written in the picture"
    return "the picture is blank: no text, no face and hardly any detail"


def crop(pixels: NDArray[np.uint8], face: Face | None, size: int) -> VisionItem:
    """What the encoder is shown of a picture: its face, upright and in grey, or all of it."""
    if face is None:
        return VisionItem(square(pixels, size), Quality(face=0.0, sharpness=sharpness(pixels)))
    frame = shown(pixels, face, size)
    grey = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return VisionItem(square(grey, size), Quality(face=1.0, sharpness=sharpness(frame)))


def square(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(h, w, 3) squeezed to (size, size, 3)."""
    shrinks = max(pixels.shape[:2]) > size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(pixels, (size, size), interpolation=method)


def sharpness(pixels: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian v (Pech-Pacheco et al., ICPR 2000) as v / (v + 100), [0, 1)."""
    grey = cv2.cvtColor(shrunk(pixels), cv2.COLOR_RGB2GRAY)
    variance = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    return variance / (variance + 100.0)


def detail(pixels: NDArray[np.uint8], lines: list[OcrLine]) -> float:
    """Share of the pixels outside of text that lie on an edge between shades, [0, 1]."""
    small = shrunk(pixels)
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
