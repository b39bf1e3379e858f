"""Where faces are, and how they are shown to the vision encoder: upright, framed as FER2013's are.

The detector is CenterFace where it was pulled, else OpenCV's cascades, which know no points: then a
face stays as it is turned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.errors import UnavailableError
from modalities.image import face_pull
from modalities.image.cascade import Cascades
from modalities.image.centerface import Array, CenterFace
from modalities.image.ocr import Box

# A picture this small is somebody's crop of one face (FER2013's are 48 px), and is its frame.
CROP_SIDE = 96
CROP_SEARCH = ((160, (0, 25, -25)), (224, (0,)))
# Pixels that the long side is scaled to, and by how many degrees the picture is turned then; what
# comes later is tried where nothing was found before.
SEARCH = ((640, (0,)), (320, (0, 30, -30)), (960, (0,)))
LEAST_SCORE = {True: 0.3, False: 0.5}  # by "is a crop"
LEAST_SIDE = 20  # pixels of a frame; below it no expression is seen
# The mean places of the points in FER2013's frames (dev), made symmetrical; x, y as shares of it.
POINTS = np.array([[0.312, 0.41], [0.688, 0.41], [0.5, 0.61], [0.353, 0.76], [0.647, 0.76]])
# FER2013's frames are this much wider than a cascade's box.
CASCADE_FRAME = 1.04
# A drawn face (most chat stickers) is largely paper white, a photographed one is not. The model
# knows photographs.
PAPER_WHITE = 240
MOST_PAPER = 0.3


@dataclass(frozen=True, eq=False)
class Face:
    """One face.

    box     its frame's bounds in the picture
    points  (5, 2) x, y of the eyes, the nose and the corners of the mouth; None: not known
    """

    box: Box
    points: Array | None = None


class FaceFinder:
    """The loaded detector; `lacking` says what was not pulled, None where nothing lacks."""

    revision = face_pull.SHA256[:12]  # where nothing lacks

    def __init__(self, threads: int = 2) -> None:
        """Raises UnavailableError where there is no detector at all."""
        self.lacking: UnavailableError | None = None
        self._detector: CenterFace | Cascades
        try:
            self._detector = CenterFace(face_pull.pulled(), threads)
        except UnavailableError as error:
            self.lacking = error
            self._detector = Cascades()

    def find(self, pixels: NDArray[np.uint8]) -> Face | None:
        """The largest of `find_all`; None without one."""
        return next(iter(self.find_all(pixels)), None)

    def find_all(self, pixels: NDArray[np.uint8]) -> list[Face]:
        """Faces in (h, w, 3) RGB pixels, largest first; none where the largest is drawn.

        In a picture of at most CROP_SIDE pixels a side the frame is the whole picture.
        """
        height, width = pixels.shape[:2]
        is_crop = max(height, width) <= CROP_SIDE
        if isinstance(self._detector, CenterFace):
            faces = _searched(self._detector, pixels, is_crop)
        else:
            boxes = self._detector.find(pixels, is_crop)
            faces = [Face(_widened(box, width, height)) for box in boxes]
        if is_crop:
            return [Face((0, 0, width, height))] if faces else []
        kept = []
        for face in sorted(faces, key=lambda face: face.box[0] - face.box[2]):
            x0, y0, x1, y1 = face.box
            shown = pixels[y0:y1, x0:x1]
            if min(shown.shape[:2]) < LEAST_SIDE:
                continue
            if (shown.min(axis=2) > PAPER_WHITE).mean() > MOST_PAPER:
                break  # a drawing, and so are the smaller ones
            kept.append(face)
        return kept


def _searched(detector: CenterFace, pixels: NDArray[np.uint8], is_crop: bool) -> list[Face]:
    height, width = pixels.shape[:2]
    long_side, scaled = max(height, width), set()
    for side, turns in CROP_SEARCH if is_crop else SEARCH:
        # Larger than 640 only where the picture is: enlarging shows nothing new.
        scale = side / long_side if side <= 640 or is_crop else min(side, long_side) / long_side
        if scale in scaled:
            continue
        scaled.add(scale)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=method)
        for degrees in turns:
            turned, matrix = _turned(small, degrees)
            found = detector.find(turned, LEAST_SCORE[is_crop])
            if found:
                back = cv2.invertAffineTransform(matrix)  # (2, 3)
                points = [one.points @ back[:, :2].T + back[:, 2] for one in found]
                return [_framed(one / scale, width, height) for one in points]
    return []


def _turned(
    pixels: NDArray[np.uint8], degrees: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A picture turned about its middle, none of it cut off, and the (2, 3) matrix that did it."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    if degrees == 0:
        return pixels, matrix
    cosine, sine = np.abs(matrix[0, :2])
    wide, high = round(height * sine + width * cosine), round(height * cosine + width * sine)
    matrix[:, 2] += (wide - width) / 2, (high - height) / 2
    made = cv2.warpAffine(pixels, matrix, (wide, high), borderMode=cv2.BORDER_REPLICATE)
    return made, matrix


def _frame(points: Array) -> tuple[complex, complex]:
    """(a, b) of the similarity z → a·z + b that brings POINTS nearest to `points` (5, 2): it maps a
    frame's unit square into the picture, x and y being a complex number's parts."""
    here = points[:, 0] + 1j * points[:, 1]
    there = POINTS[:, 0] + 1j * POINTS[:, 1]
    centred = there - there.mean()
    a = complex((centred.conj() * (here - here.mean())).sum() / (np.abs(centred) ** 2).sum())
    return a, complex(here.mean() - a * there.mean())


def _framed(points: Array, width: int, height: int) -> Face:
    a, b = _frame(points)
    corners = np.array([b, b + a, b + 1j * a, b + (1 + 1j) * a])
    x0, y0 = max(0, math.floor(corners.real.min())), max(0, math.floor(corners.imag.min()))
    x1, y1 = min(width, math.ceil(corners.real.max())), min(height, math.ceil(corners.imag.max()))
    return Face((x0, y0, max(x0, x1), max(y0, y1)), points)


def _widened(box: Box, width: int, height: int) -> Box:
    """A cascade's box, framed."""
    x0, y0, x1, y1 = box
    more = (CASCADE_FRAME - 1) / 2 * (x1 - x0)
    return (
        max(0, math.floor(x0 - more)),
        max(0, math.floor(y0 - more)),
        min(width, math.ceil(x1 + more)),
        min(height, math.ceil(y1 + more)),
    )


def shown(pixels: NDArray[np.uint8], face: Face, size: int) -> NDArray[np.uint8]:
    """(h, w, 3) → the face's frame as (n, n, 3), n a multiple of `size` where it is larger than
    that; turned upright where its points are known, else as it stands in the picture."""
    if face.points is None:
        x0, y0, x1, y1 = face.box
        return pixels[y0:y1, x0:x1]
    a, b = _frame(face.points)
    n = size * max(1, math.ceil(abs(a) / size - 0.01))  # no fewer pixels than there are
    a /= n
    b += 0.5 * (a * (1 + 1j) - (1 + 1j))  # from the middle of a pixel to that of another
    matrix = np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(pixels, matrix, (n, n), flags=flags, borderMode=cv2.BORDER_REPLICATE)
