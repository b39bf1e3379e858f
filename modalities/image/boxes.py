"""Boxes x0, y0, x1, y1 in pixels, x1 and y1 exclusive."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modalities.image.ocr import Box


def overlap(a: Box, b: Box, axis: int) -> int:
    """Pixels that two boxes share along x (axis 0) or y (axis 1); negative is the gap."""
    return min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis])


def contains(outer: Box, inner: Box) -> bool:
    return (
        outer[0] <= inner[0]
        and outer[1] <= inner[1]
        and outer[2] >= inner[2]
        and outer[3] >= inner[3]
    )


def bounds(boxes: Sequence[Box]) -> Box:
    edges = np.array(boxes)
    x0, y0 = edges[:, :2].min(0).tolist()
    x1, y1 = edges[:, 2:].max(0).tolist()
    return x0, y0, x1, y1


def holds(box: Box, text: Box, line_height: int) -> bool:
    """Whether text lies in a box; what juts out of one was read in a picture, where the fill caught
    only a patch behind it. A line may be cut by a bar above or below."""
    x, y = 0.25 * line_height, 0.5 * line_height
    return (
        text[0] >= box[0] - x
        and text[1] >= box[1] - y
        and text[2] <= box[2] + x
        and text[3] <= box[3] + y
        and box[3] - box[1] > 0.8 * line_height
    )
