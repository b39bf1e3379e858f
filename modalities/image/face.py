"""Where a face is: Viola & Jones cascades (CVPR 2001), whose files come in OpenCV 4's wheel."""

from __future__ import annotations

import threading

import cv2
import cv2.data
import numpy as np
from numpy.typing import NDArray

from modalities.errors import UnavailableError
from modalities.image.ocr import Box

# A picture this small is somebody's crop of one face (FER2013's are 48 px). It gets a wide-open
# search, also tilted; in larger ones the same would find faces in any pattern.
CROP_SIDE = 96
SEARCH_SIDE = {True: 160, False: 640}  # pixels that the long side is scaled to, by "is a crop"
MIN_FACE = {True: 0.4, False: 0.08}  # of the picture's long side
NEIGHBOURS = {True: 1, False: 5}
TILTS = {True: (0, 15, -15), False: (0,)}  # degrees
# FER2013's frames, which the vision model learned, are this much wider than a detector's box.
FRAME = 1.04
# A drawn face (most chat stickers) is largely paper white, a photographed one is not. The model
# knows photographs: of the stickers' faces it read one in ten right, and was sure of them.
PAPER_WHITE = 240
MOST_PAPER = 0.3


class FaceFinder:
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

    def find(self, pixels: NDArray[np.uint8]) -> Box | None:
        """The largest of `find_all`; None without one."""
        return next(iter(self.find_all(pixels)), None)

    def find_all(self, pixels: NDArray[np.uint8]) -> list[Box]:
        """Faces in (h, w, 3) RGB pixels, framed as FER2013's are, largest first; none where the
        largest is drawn.

        In a picture of at most CROP_SIDE pixels a side the frame is the whole picture.
        """
        height, width = pixels.shape[:2]
        is_crop = max(height, width) <= CROP_SIDE
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        scale = SEARCH_SIDE[is_crop] / max(height, width)
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
        else:
            return []
        if is_crop:
            return [(0, 0, width, height)]
        boxes = []
        for x, y, side, _ in sorted(found, key=lambda box: -int(box[2])):
            centre = (np.array([x, y]) + side / 2 - border) / scale
            half = FRAME * side / scale / 2
            x0, y0 = np.floor(np.maximum(centre - half, 0)).astype(int)
            x1, y1 = np.ceil(np.minimum(centre + half, (width, height))).astype(int)
            if (pixels[y0:y1, x0:x1].min(axis=2) > PAPER_WHITE).mean() > MOST_PAPER:
                break  # a drawing, and so are the smaller ones
            boxes.append((int(x0), int(y0), int(x1), int(y1)))
        return boxes


def _tilted(grey: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    if degrees == 0:
        return grey
    height, width = grey.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return cv2.warpAffine(grey, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
