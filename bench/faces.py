"""`python -m bench.faces`: how many faces are found, by size and turn, whole and half shown.

Faces of FER2013 (split `dev`, or `test` for published figures) are cut out as ellipses, scaled to
24 to 400 px, turned by up to 45°, and laid on plain, shaded and blurred grounds. A face is found
where a frame's middle is within a third of its size of the true one. Half shown: one side or the
lower half lies behind the ground. The faces are 48 px: the larger ones are blurred.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from modalities.image.decode import ImageLimits, decode
from modalities.image.face import Face, FaceFinder
from training.rows import load, read_bytes

SIZES = (24, 48, 96, 200, 400)  # pixels
TURNS = (0, 15, 30, 45)  # degrees, to either side
HALVES = ("left", "right", "lower")
NEAR = 1 / 3  # of a face's size
LEAST_SIDE = 480  # pixels of a ground
Pixels = NDArray[np.uint8]


def ground(rng: np.random.Generator, side: int) -> Pixels:
    """(side, side, 3) without a face: plain, shaded or blurred noise."""
    kind = rng.integers(3)
    if kind == 0:
        return np.full((side, side, 3), rng.integers(40, 230, 3), np.uint8)
    if kind == 1:
        y, x = np.mgrid[:side, :side] * 200 // side + 20
        return np.stack([x, y, np.full_like(x, 120)], -1).astype(np.uint8)
    noise = cv2.GaussianBlur(rng.integers(0, 255, (side, side, 3)).astype(np.uint8), (0, 0), 6)
    return np.asarray(cv2.normalize(noise, None, 20, 235, cv2.NORM_MINMAX), np.uint8)


def scene(
    face: Pixels, size: int, turn: float, hidden: str, rng: np.random.Generator
) -> tuple[Pixels, tuple[int, int]]:
    """A picture with one face, (h, w, 3), and where its middle is; `hidden` is "" or of HALVES."""
    side = max(LEAST_SIDE, 2 * size)
    page, room = ground(rng, side), round(0.75 * size)
    x, y = (int(at) for at in rng.integers(room, side - room + 1, 2))
    method = cv2.INTER_CUBIC if size > len(face) else cv2.INTER_AREA
    scaled = cv2.resize(face, (size, size), interpolation=method)
    mask = np.zeros((size, size), np.uint8)
    axes = round(0.49 * size), round(0.56 * size)
    cv2.ellipse(mask, (size // 2, size // 2), axes, 0, 0, 360, 255, -1)
    if hidden == "lower":
        mask[size * 11 // 20 :] = 0
    elif hidden:
        mask[:, : size // 2] = 0 if hidden == "left" else mask[:, : size // 2]
        mask[:, size // 2 :] = 0 if hidden == "right" else mask[:, size // 2 :]
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), turn, 1.0)
    matrix[:, 2] += x - size / 2, y - size / 2
    laid, cover = (cv2.warpAffine(one, matrix, (side, side)) for one in (scaled, mask))
    share = cover[..., None] / 255
    return (page * (1 - share) + laid * share).astype(np.uint8), (x, y)


def is_found(faces: Sequence[Face], middle: tuple[int, int], size: int) -> bool:
    return any(
        abs((face.box[0] + face.box[2]) / 2 - middle[0]) < NEAR * size
        and abs((face.box[1] + face.box[3]) / 2 - middle[1]) < NEAR * size
        for face in faces
    )


def measure(split: str, n: int, seed: int = 1, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Recall by size and turn, and of faces half shown by size; `n` faces each."""
    rng, finder, faces = np.random.default_rng(seed), FaceFinder(), _faces(split)

    def recall(size: int, turns: Sequence[float], halves: Sequence[str]) -> float:
        found = 0
        for index in range(n):
            turn = float(turns[index % len(turns)])
            page, middle = scene(next(faces), size, turn, halves[index % len(halves)], rng)
            found += is_found(finder.find_all(page), middle, size)
        return round(found / n, 4)

    return {
        "detector": "cascades" if finder.lacking else "CenterFace",
        "split": split,
        "faces": n,
        "recall": {
            str(size): {str(turn): recall(size, (turn, -turn), ("",)) for turn in TURNS}
            for size in sizes
        },
        "half shown": {str(size): recall(size, (0,), HALVES) for size in sizes},
    }


def _faces(split: str) -> Iterator[Pixels]:
    rows = load("image", "fer", split)
    while True:
        for row in rows[:: max(1, len(rows) // 400)]:
            yield decode(read_bytes(row.content), ImageLimits()).pixels


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.faces")
    parser.add_argument("--split", choices=("dev", "test"), default="dev")
    parser.add_argument("--faces", type=int, default=100, help="of each size and turn")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="pixels")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.split, arguments.faces, sizes=arguments.sizes), indent=2))


if __name__ == "__main__":
    main()
