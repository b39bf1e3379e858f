"""Image files that are sound but for something beside their pixels, made readable.

What is mended: a JPEG without its end mark, and a PNG with more text or a larger colour profile
than Pillow unpacks.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
NO_MARKER = b"\x55\xaa" * 32  # bytes that only a scan that goes on would take in
BESIDE_PIXELS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")

Reader = Callable[[Image.Image], NDArray[np.uint8]]


def without_metadata(content: bytes) -> bytes:
    """A PNG's bytes without its texts and its colour profile; any other file's as they are."""
    if not content.startswith(PNG):
        return content
    kept, at = [PNG], len(PNG)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if kind not in BESIDE_PIXELS:
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


def without_end(content: bytes, read: Reader) -> NDArray[np.uint8] | None:
    """The pixels of a JPEG that lacks nothing but its end mark, by `read`; None for any other file.

    Where the last scan is not whole, the decoder takes whatever bytes follow for a part of it: then
    two readings with different bytes before the mark differ.
    """
    if not content.startswith(JPEG):
        return None
    made = []
    for tail in (JPEG_END, NO_MARKER + JPEG_END):
        with Image.open(io.BytesIO(content.rstrip(b"\xff") + tail), formats=("JPEG",)) as image:
            made.append(read(image))
    return made[0] if np.array_equal(made[0], made[1]) else None
