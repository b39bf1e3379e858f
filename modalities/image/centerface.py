"""The face detector: CenterFace, run by onnxruntime.

Xu et al., "CenterFace: joint face detection and alignment using face as point", 2020; MIT. For each
place of a grid it tells how likely a face's centre is there, how large the face is, and where its
five points are. Its file is pulled once (`modalities.image.face_pull`).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

Array = NDArray[np.float32]

STRIDE = 4  # pixels of the picture between two places of the grid
MULTIPLE = 32  # a picture's sides are filled up to one of this
SAME_FACE = 0.3  # two boxes that share more of their union are of one face
OUTPUTS = ("537", "538", "539", "540")  # centres, sizes, offsets, points
# The file states a batch of 10 pictures of 32 × 32; here any number and size is let in. A dimension
# lies in it as `0a 02 08 n`, and as `0a 02 12 00` where it is left open.
STATED = ((10, 3, 32, 32), (10, 1, 8, 8), (10, 2, 8, 8), (10, 10, 8, 8))


@dataclass(frozen=True, eq=False)
class Found:
    """One face.

    score   in [0, 1]
    box     (4,) x0, y0, x1, y1
    points  (5, 2) x, y of the eyes, the nose and the corners of the mouth, each pair from left to
            right in the picture
    """

    score: float
    box: Array
    points: Array


class CenterFace:
    """The loaded detector. One picture at a time: the lock bounds its memory and its threads."""

    def __init__(self, path: Path, threads: int) -> None:
        content = path.read_bytes()
        for batch, channels, *sides in STATED:
            content = content.replace(
                _shape(batch, channels, *sides), _shape(None, channels, None, None)
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(content, options)
        self._lock = threading.Lock()

    def find(self, pixels: NDArray[np.uint8], least: float) -> list[Found]:
        """Faces in (h, w, 3) RGB pixels whose score is at least `least`, surest first."""
        height, width = pixels.shape[:2]
        filled = cv2.copyMakeBorder(
            pixels, 0, -height % MULTIPLE, 0, -width % MULTIPLE, cv2.BORDER_REPLICATE
        )
        batch = filled.transpose(2, 0, 1)[None].astype(np.float32)  # (1, 3, h, w)
        with self._lock:
            outputs = self._session.run(OUTPUTS, {"input.1": batch})
        # (h / 4, w / 4), then 2, 2 and 10 values of each place, y before x in every pair
        centres, sizes, offsets, points = outputs[0][0, 0], *(one[0] for one in outputs[1:])
        highest = cv2.dilate(centres, np.ones((3, 3), np.uint8))
        found = []
        for row, column in np.argwhere((centres == highest) & (centres >= least)):
            size = np.exp(sizes[::-1, row, column]) * STRIDE  # (2,) x, y
            middle = (offsets[::-1, row, column] + (column + 0.5, row + 0.5)) * STRIDE
            corner = middle - size / 2
            within = points[:, row, column].reshape(5, 2)[:, ::-1]  # of the box, by its sides
            found.append(
                Found(
                    float(centres[row, column]),
                    np.concatenate([corner, corner + size]).astype(np.float32),
                    (corner + within * size).astype(np.float32),
                )
            )
        return _apart(sorted(found, key=lambda one: -one.score))


def _shape(*dims: int | None) -> bytes:
    return b"".join(
        b"\x0a\x02" + (b"\x12\x00" if dim is None else bytes([0x08, dim])) for dim in dims
    )


def _apart(found: list[Found]) -> list[Found]:
    """The surest of those that are of one face."""
    kept: list[Found] = []
    for one in found:
        if all(_shared(one.box, other.box) < SAME_FACE for other in kept):
            kept.append(one)
    return kept


def _shared(a: Array, b: Array) -> float:
    """Intersection over union."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])  # (2,)
    if (sides <= 0).any():
        return 0.0
    both = float(sides.prod())
    return both / float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - both)
