"""A screenshot of a chat, against the OCR library's call as it comes."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from bench.speed import content
from bench.speed.measure import REPEATS, Section, in_turn, row
from modalities.image.decode import ImageLimits
from modalities.image.prepare import ImagePreparer

NAME = "a 1080 × 2400 screenshot: decode, OCR, bubbles, sides, kind"
BASELINE = "RapidOCR()(pixels), the picture already decoded"
LIMITS = ImageLimits(50_000_000, 20_000)

HOW = (
    "The example's chat as a PNG, from its bytes to its messages by side; the library's call finds "
    "lines of text and no more. Both on as many threads as there are cores."
)


def measure(repeats: int = REPEATS) -> Section:
    import rapidocr

    section = Section("Image", HOW)
    n_threads = torch.get_num_threads()
    data = content.picture()
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])
    preparer = ImagePreparer(n_threads)
    library = rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": n_threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
    seconds = in_turn(
        {NAME: lambda: preparer.prepare(data, LIMITS), BASELINE: lambda: library(pixels)}, repeats
    )
    section.rows.append(row(NAME, BASELINE, seconds[NAME], seconds[BASELINE]))
    return section
