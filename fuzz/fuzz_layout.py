"""Coverage-guided fuzzing of how lines of text become a chat: `python fuzz/fuzz_layout.py CORPUS`.

Needs the extra `fuzz`. Rectangles, and lines of text as an OCR may find them where it is wrong.
"""

import sys
from pathlib import Path

import atheris
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["modalities.image"]):
    from modalities.image.chat import read_messages
    from modalities.image.ocr import OcrLine

WORDS = ["", "12:30", "好的，谢谢", "昨天", "a" * 60, "对方正在输入", "¥ 12"]


def one(data: bytes) -> None:
    fed = atheris.FuzzedDataProvider(data)
    width, height = fed.ConsumeIntInRange(8, 300), fed.ConsumeIntInRange(8, 400)

    def box() -> tuple[int, int, int, int]:
        x0, y0 = fed.ConsumeIntInRange(0, width - 1), fed.ConsumeIntInRange(0, height - 1)
        return x0, y0, fed.ConsumeIntInRange(x0 + 1, width), fed.ConsumeIntInRange(y0 + 1, height)

    def colour() -> list[int]:
        return [fed.ConsumeIntInRange(0, 255) for _ in range(3)]

    pixels = np.full((height, width, 3), colour(), np.uint8)
    for _ in range(fed.ConsumeIntInRange(0, 6)):
        x0, y0, x1, y1 = box()
        pixels[y0:y1, x0:x1] = colour()
    lines = [
        OcrLine(fed.PickValueInList(WORDS), box(), fed.ConsumeProbability())
        for _ in range(fed.ConsumeIntInRange(0, 8))
    ]
    read_messages(pixels, lines)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
