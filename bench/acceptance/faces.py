"""Issue 'Faces and pictures by a pretrained network': its 'Must show', at full size.

Speed is measured by `make acceptance ISSUE=screenshots`. The files of `cases/image`, beside the
data, are answered as the page beside them says.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import weights
from bench import faces, stickers
from bench.acceptance import screenshots
from bench.acceptance.service import BUILD, ROOT, Outcome, tests
from bench.screenshots.generate import generate
from modalities.image.chat import Kind
from modalities.image.decode import DecodedImage, ImageLimits, decode
from modalities.image.face import FaceFinder
from modalities.image.kinds import ImageKind
from modalities.image.prepare import ImagePreparer, PreparedImage
from training.data import data_dir
from training.evaluation import judge
from training.evaluation.judge import Classified

ACCURACY, MACRO_F1, ECE = 0.66, 0.65, 0.03
RECALL, LEAST_SIZE, N_FACES = 0.9, 48, 200  # faces of each size and turn
FALSE_FACES, LEAST_PICTURES = 0.01, 300
WITHIN = 0.01  # of upright pictures' sides, turned ones'
EVERY = 11  # screenshot is turned
BEFORE = 0.302  # macro-F1 of the stickers' sentiments, by the picture alone
CARDS = 2  # in the picture of a red packet and a transfer


def fer() -> Outcome:
    results = judge.judge("image", "fer", "test", weights.path_of("image"))
    (found,) = (r for r in results if isinstance(r, Classified) and r.head == "emotion")
    one = found.figures
    figures = {"n": one.n, "accuracy": one.accuracy, "macro_f1": one.macro_f1, "ece": one.ece}
    size = weights.path_of("image").stat().st_size
    held = one.accuracy >= ACCURACY and one.macro_f1 >= MACRO_F1 and one.ece <= ECE
    return {**figures, "bytes": size}, held and size <= 8_000_000


def recall() -> Outcome:
    figures = faces.measure("test", N_FACES)
    held = [
        share >= RECALL
        for size, by_turn in figures["recall"].items()
        for share in by_turn.values()
        if int(size) >= LEAST_SIZE
    ]
    return figures, all(held)


def false_faces() -> Outcome:
    finder = FaceFinder()
    pictures = sorted(_pictures().glob("*.png"))
    found = sum(bool(finder.find_all(_decoded(path).pixels)) for path in pictures)
    share = found / len(pictures)
    return {"pictures": len(pictures), "with a face": found}, (
        len(pictures) >= LEAST_PICTURES and share < FALSE_FACES
    )


def turned() -> Outcome:
    """Messages read from turned screenshots on the side where they are read upright."""
    preparer = ImagePreparer()
    same, total = {1: 0, 2: 0, 3: 0}, 0
    for path in sorted(_pictures().glob("*.png"))[::EVERY]:
        image = _decoded(path)
        upright = _said(preparer.read(image))
        total += len(upright)
        for quarters in same:
            pixels = np.ascontiguousarray(np.rot90(image.pixels, quarters))
            again = _said(preparer.read(DecodedImage(pixels, ())))
            same[quarters] += sum(one in again for one in upright)
    figures = {f"{90 * quarters}°": round(one / total, 4) for quarters, one in same.items()}
    return {"messages": total, **figures}, min(figures.values()) >= 1 - WITHIN


def sticker_sentiments() -> Outcome:
    stickers.main()
    figures = json.loads((ROOT / "bench" / "results" / "stickers.json").read_text())
    every = figures["macro_f1"]["all"]
    return every, every["picture and text"] > max(BEFORE, every["majority"])


def cases() -> Outcome:
    folder, preparer = data_dir().parent / "cases" / "image", ImagePreparer()

    def read(name: str) -> PreparedImage:
        return preparer.prepare((folder / name).read_bytes())

    control = _said(read("F14_control_uncropped.png"))
    money = read("F19_red_packet_transfer.png")
    figures = {
        "F01, F02 unread": all(
            message.unread
            for name in ("F01_arabic_chat", "F01_russian_two_bubbles", "F02_russian_chat")
            for message in read(f"{name}.png").messages
            if message.kind is Kind.MESSAGE
        ),
        "F11 end mark": _said(read("F11_jpeg_no_eoi.jpg")) == control,
        "F11 big text": _said(read("F11_png_big_itxt.png")) == control,
        "F12": _text(read("F12_white_text_transparent.png"))
        == _text(read("F12_control_black_text_transparent.png")),
        "F13": all(
            (page := read(f"F13_plain_page_{lines}.png")).kind is ImageKind.DOCUMENT
            and bool(_text(page))
            for lines in (1, 3)
        ),
        "F14": [side for side, _ in _said(read("F14_crop_at_right_bubbles.png"))]
        == [side for side, _ in control],
        "F17": _said(read("F17_mpo_photo.jpg")) == control,
        "F19": sum(m.kind is Kind.SYSTEM and m.side != "none" for m in money.messages) == CARDS,
        "F20": _said(read("F20_on_its_side.png")) == control,
    }
    return figures, all(figures.values())


def _pictures() -> Path:
    folder = BUILD / "screenshots" / "test"
    generate("test", folder, screenshots.SEED)
    return folder


def _decoded(path: Path) -> DecodedImage:
    return decode(path.read_bytes(), ImageLimits())


def _said(picture: PreparedImage) -> list[tuple[str, str]]:
    return [(m.side.value, m.text) for m in picture.messages if m.kind is Kind.MESSAGE]


def _text(picture: PreparedImage) -> str:
    return " ".join(m.text for m in picture.messages if m.kind is Kind.TEXT)


CHECKS: dict[str, Callable[[], Outcome]] = {
    "fer": fer,
    "recall": recall,
    "false_faces": false_faces,
    "turned_screenshots": turned,
    "stickers": sticker_sentiments,
    "cases": cases,
    "bad_input": partial(
        tests, "tests/modalities/test_image_decode.py", "tests/modalities/test_image_face.py"
    ),
}
