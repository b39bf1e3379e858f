from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_image

from modalities.image.chat import Kind
from modalities.image.kinds import ImageKind, Measures, classify, measure
from modalities.image.prepare import ImagePreparer
from training.rows import load, read_bytes

SAMPLES = Path(matplotlib.get_data_path()) / "sample_data"
PLAIN = Measures(0, 0.0, 0, 0, 0.0, 0.1, 120, 0.2, 0.0, 900, 0.75)  # a photograph's


@pytest.fixture(scope="module")
def preparer() -> ImagePreparer:
    return ImagePreparer(threads=2)


def encode(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def page_of_text() -> Image.Image:
    image = Image.new("RGB", (800, 900), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=26)
    for row in range(14):
        draw.text((60, 50 + 55 * row), f"Item {row}: delivered late and damaged, refund due",
                  font=font, fill="black")  # fmt: skip
    return image


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_photographs(preparer: ImagePreparer, name: str) -> None:
    image = preparer.prepare(encode(Image.fromarray(load_sample_image(name))))
    assert image.kind is ImageKind.PHOTO
    assert "no face" in image.classified.reason
    assert image.faces == ()


def test_a_portrait_is_a_face_with_its_box(preparer: ImagePreparer) -> None:
    image = preparer.prepare((SAMPLES / "grace_hopper.jpg").read_bytes())
    assert image.kind is ImageKind.FACE
    x0, y0, x1, y1 = image.faces[0]
    assert x0 < 256 < x1  # her nose
    assert y0 < 230 < y1
    assert image.vision is not None
    assert image.vision.quality.face == 1.0


def test_a_page_of_text_is_a_document_and_is_not_looked_at(preparer: ImagePreparer) -> None:
    image = preparer.prepare(encode(page_of_text()))
    assert image.kind is ImageKind.DOCUMENT
    assert image.vision is None
    (words,) = image.messages
    assert words.kind is Kind.TEXT
    assert words.text.count("refund due") == 14


def test_most_stickers_are_stickers(preparer: ImagePreparer, data: Path) -> None:
    rows = load("image", "stickers", "dev")[::12]
    kinds = [preparer.prepare(read_bytes(row.content)).kind for row in rows]
    assert kinds.count(ImageKind.STICKER) >= 0.8 * len(kinds)  # .92 of all 143 when written


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, ImageKind.PHOTO),
        ({"face": 0.2}, ImageKind.FACE),
        ({"face": 0.2, "side": 300, "lines": 1, "text": 0.1}, ImageKind.STICKER),
        ({"messages": 5, "surest": 0.9, "other": 4}, ImageKind.SCREENSHOT),
        ({"messages": 1, "surest": 0.9, "other": 0}, ImageKind.PHOTO),
        ({"messages": 1, "surest": 0.9, "other": 2}, ImageKind.SCREENSHOT),
        ({"messages": 1, "surest": 0.9, "other": 2, "side": 300, "lines": 3}, ImageKind.STICKER),
        ({"lines": 3, "flat": 0.9, "text": 0.02}, ImageKind.SCREENSHOT),
        ({"lines": 20, "text": 0.3, "flat": 0.5}, ImageKind.DOCUMENT),
        ({"top": 0.9, "colours": 12}, ImageKind.STICKER),
        ({"lines": 1, "text": 0.08}, ImageKind.STICKER),
    ],
)
def test_rules(change: dict[str, float], kind: ImageKind) -> None:
    found = classify(replace(PLAIN, **change))  # type: ignore[arg-type]
    assert found.kind is kind
    assert 0.5 <= found.confidence <= 1.0
    assert found.reason


def test_further_beyond_a_threshold_is_surer() -> None:
    some, many = (classify(replace(PLAIN, lines=n, text=0.2, flat=0.5)) for n in (8, 16))
    assert some.kind is many.kind is ImageKind.DOCUMENT
    assert some.confidence < many.confidence


def test_measures() -> None:
    pixels: NDArray[np.uint8] = np.full((200, 100, 3), 250, np.uint8)
    pixels[:50] = np.random.default_rng(0).integers(0, 255, (50, 100, 3), np.uint8)
    found = measure(pixels, [], [], [(0, 0, 50, 40)])
    assert found.face == pytest.approx(0.1)
    assert found.flat == pytest.approx(18 / 25)  # rows of blocks below the noise
    assert found.top == pytest.approx(0.75, abs=0.03)
    assert found.aspect == 2.0
