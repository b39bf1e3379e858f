"""Where a face is, without a detector that was pulled: Viola & Jones cascades (CVPR 2001).

Their files come in OpenCV 4's wheel. They find upright faces of some size; `modalities.image.face`
says what is used in their place.
"""

from __future__ import annotations

import threading

import cv2
import cv2.data
import numpy as np
from numpy.typing import NDArray

from modalities.errors import UnavailableError
from modalities.image.ocr import Box

SEARCH_SIDE = {True: 160, False: 640}  # pixels that the long side is scaled to, by "is a crop"
MIN_FACE = {True: 0.4, False: 0.08}  # of the picture's long side
NEIGHBOURS = {True: 1, False: 5}
TILTS = {True: (0, 15, -15), False: (0,)}  # degrees


class Cascades:
    """The loaded cascades. They keep state while they search: one picture at a time."""

    def __init__(self) -> None:
        """Raises UnavailableError on OpenCV 5, which left the cascades out."""
        if not hasattr(cv2, "CascadeClassifier"):
            raise UnavailableError(
                "OpenCV 5 has no face detector", "pip install 'opencv-python-headless<5'"
            )
        self._lock = threading.Lock()
        self._cascade = {
            is_crop: cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_{name}.xml")
            for is_crop, name in ((True, "frontalface_default"), (False, "frontalface_alt2"))
        }

    def find(self, pixels: NDArray[np.uint8], is_crop: bool) -> list[Box]:
        """Boxes of faces in (h, w, 3) RGB pixels, largest first.

        A crop of one face gets a wide-open search, also tilted; in larger pictures the same would
        find faces in any pattern.
        """
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        scale = SEARCH_SIDE[is_crop] / max(grey.shape)
        if is_crop or scale < 1:
            method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=method)
        else:
            scale = 1.0
        # A face that fills its picture lacks the surroundings that the cascade was taught with.
        border = max(grey.shape) // 4
        grey = cv2.copyMakeBorder(grey, border, border, border, border, cv2.BORDER_REPLICATE)
        if is_crop:  # over a larger picture it would flatten the face for the page's sake
            grey = cv2.equalizeHist(grey)
        smallest = round(MIN_FACE[is_crop] * (max(grey.shape) - 2 * border))
        for tilt in TILTS[is_crop]:
            with self._lock:
                found = self._cascade[is_crop].detectMultiScale(
                    _tilted(grey, tilt),
                    scaleFactor=1.1,
                    minNeighbors=NEIGHBOURS[is_crop],
                    minSize=(smallest, smallest),
                )
            if len(found):
                break
        boxes = (np.array(found, float).reshape(-1, 4) - [border, border, 0, 0]) / scale
        return [
            (round(x), round(y), round(x + side), round(y + side))
            for x, y, side, _ in sorted(boxes.tolist(), key=lambda box: -box[2])
        ]


def _tilted(grey: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    if degrees == 0:
        return grey
    height, width = grey.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return cv2.warpAffine(grey, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
