"""Screenshots as they arrive: turned, in odd modes, of a screenshot, empty, in other scripts."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from modalities.image.chat import Kind, ReadMessage
from modalities.image.kinds import ImageKind
from modalities.image.prepare import ImagePreparer, PreparedImage

ROOT = Path(__file__).parents[2]
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
EXPECTED = [
    ("right", "衣服收到了，质量特别好，颜色和图片一模一样"),
    ("left", "谢谢您的喜欢，欢迎下次再来"),
]


@pytest.fixture(scope="module")
def preparer() -> ImagePreparer:
    return ImagePreparer(threads=2)


def chat() -> Image.Image:
    """The upper part of a screenshot of ours, two messages."""
    path = ROOT / "tests" / "data" / "screenshots" / "portraits_light_720.png"
    with Image.open(path) as image:
        return image.convert("RGB").crop((0, 140, 720, 460))


def encode(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def said(image: PreparedImage) -> list[tuple[str, str]]:
    return [(m.side.value, m.text) for m in image.messages if m.kind is Kind.MESSAGE]


def sixteen_bit() -> bytes:
    grey = np.asarray(chat().convert("L")).astype(np.uint16) * 257
    return encode(Image.fromarray(grey))


def see_through() -> bytes:
    """The page itself is transparent: white shows through it."""
    image = chat().convert("RGBA")
    pixels = np.array(image)
    page = np.abs(pixels[..., :3].astype(int) - 237).max(-1) < 3
    pixels[page, :3] = 236
    pixels[page, 3] = 200
    return encode(Image.fromarray(pixels))


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 8  # turn 90° anticlockwise to view
    return encode(chat().rotate(-90, expand=True), "JPEG", quality=90, exif=exif)


@pytest.mark.parametrize(
    "make",
    [
        lambda: encode(chat().quantize(16)),
        sixteen_bit,
        see_through,
        turned,
        lambda: encode(chat(), "GIF", save_all=True, append_images=[Image.new("RGB", (720, 320))]),
        lambda: encode(chat().convert("CMYK"), "JPEG", quality=90),
    ],
    ids=["palette", "16-bit", "alpha", "EXIF", "animated", "CMYK"],
)
def test_an_odd_encoding_reads_alike(preparer: ImagePreparer, make: Callable[[], bytes]) -> None:
    assert said(preparer.prepare(make())) == EXPECTED


def test_a_screenshot_of_a_screenshot(preparer: ImagePreparer) -> None:
    """As a viewer shows it: smaller, between black bars, with a counter and buttons."""
    inner = chat().resize((540, 240), Image.Resampling.LANCZOS)
    outer = Image.new("RGB", (560, 700), "black")
    outer.paste(inner, (10, 200))
    draw = ImageDraw.Draw(outer)
    draw.text((250, 20), "3 / 7", fill="white", font=ImageFont.truetype(str(FONT), 22))
    draw.text((30, 650), "Save", fill="white", font=ImageFont.truetype(str(FONT), 22))
    image = preparer.prepare(encode(outer))
    assert image.kind is ImageKind.SCREENSHOT
    assert said(image) == EXPECTED


def test_an_empty_chat_says_nothing(preparer: ImagePreparer) -> None:
    page = Image.new("RGB", (720, 1280), (237, 237, 237))
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, 720, 120), fill=(247, 247, 247))
    draw.text((300, 60), "Orchid Shop", fill="black", font=ImageFont.truetype(str(FONT), 30))
    draw.rectangle((0, 1180, 720, 1280), fill=(247, 247, 247))
    draw.rounded_rectangle((80, 1200, 560, 1260), 8, fill="white")
    draw.text((100, 1212), "Message", fill=(150, 150, 150), font=ImageFont.truetype(str(FONT), 26))
    image = preparer.prepare(encode(page))
    assert image.kind is ImageKind.SCREENSHOT
    assert image.vision is None
    assert {m.kind for m in image.messages} == {Kind.SYSTEM}
    assert image.quality.characters == 0
    assert "the screenshot shows no message" in image.notes


def test_a_script_that_the_ocr_does_not_know_keeps_its_sides(preparer: ImagePreparer) -> None:
    page = Image.new("RGB", (720, 640), (237, 237, 237))
    draw = ImageDraw.Draw(page)
    font = ImageFont.truetype(str(FONT), 32)
    texts = ("שלום, החבילה שלי עדיין לא הגיעה", "כבר שבוע אני מחכה לתשובה")
    for index in range(4):
        text, top = texts[index % 2], 40 + 140 * index
        width = round(font.getlength(text)) + 40
        left = 20 if index % 2 == 0 else 700 - width
        fill = "white" if index % 2 == 0 else (149, 236, 105)
        draw.rounded_rectangle((left, top, left + width, top + 80), 12, fill=fill)
        draw.text((left + 20, top + 18), text, fill="black", font=font)
    image = preparer.prepare(encode(page))
    found: list[ReadMessage] = [m for m in image.messages if m.kind is Kind.MESSAGE]
    assert [m.side.value for m in found] == ["left", "right", "left", "right"]
