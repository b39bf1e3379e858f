"""What in a picture the vision encoder goes by: its parts are covered one by one.

Occlusion (Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, §4.2)
by cells of a coarse grid. It needs answers alone, so that any encoder can be asked.
"""

from __future__ import annotations

import numpy as np

from modalities.image.infer import VisionItem
from modalities.image.ocr import Box
from modalities.image.prepare import PreparedImage

GRID = 6  # cells in a row and in a column


def occluded(item: VisionItem) -> list[VisionItem]:
    """The item with each cell in turn painted in the item's mean colour, row by row."""
    side = len(item.pixels)
    mean = item.pixels.mean((0, 1)).round().astype(np.uint8)  # (3,)
    covered = []
    for left, top, right, bottom in cells((0, 0, side, side)):
        pixels = item.pixels.copy()
        pixels[top:bottom, left:right] = mean
        covered.append(VisionItem(pixels, item.quality))
    return covered


def shown(picture: PreparedImage) -> Box:
    """The part of the picture that the encoder is shown, in its pixels: its face, or all of it."""
    assert picture.vision is not None
    if picture.vision.quality.face:
        return picture.faces[0]
    return 0, 0, picture.width, picture.height


def cells(box: Box) -> list[Box]:
    """The grid's cells in a box, row by row; they cover it without a gap."""
    x, y = (
        [round(low + (high - low) * step / GRID) for step in range(GRID + 1)]
        for low, high in ((box[0], box[2]), (box[1], box[3]))
    )
    return [
        (x[column], y[row], x[column + 1], y[row + 1])
        for row in range(GRID)
        for column in range(GRID)
    ]
