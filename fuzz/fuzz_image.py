"""Coverage-guided fuzzing of pictures: `python fuzz/fuzz_image.py CORPUS`.

Needs the extra `fuzz`. Whatever is not an InputError stops it, and the input lies in crash-*.
"""

import sys
from contextlib import suppress
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["modalities", "PIL"]):
    from modalities.errors import InputError
    from modalities.image.decode import ImageLimits, decode

LIMITS = ImageLimits(max_pixels=250_000, max_side=1_000)


def one(data: bytes) -> None:
    with suppress(InputError):
        decode(data, LIMITS)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
