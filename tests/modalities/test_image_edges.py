"""Chats at the edge: scripts that are not read, cards of money, cut bubbles, turned pictures."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from modalities.image.chat import Kind, mostly_unread
from modalities.image.decode import DecodedImage
from modalities.image.kinds import ImageKind
from modalities.image.ocr import OcrLine
from modalities.image.parts import is_card
from modalities.image.prepare import ImagePreparer, PreparedImage

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
ENGLISH = ("Hello, how can I help you?", "Where is my parcel? I want my money")
RUSSIAN = ("Где мой заказ? Я жду уже неделю", "Верните мне деньги, это ужасно")


@pytest.fixture(scope="module")
def preparer() -> ImagePreparer:
    return ImagePreparer(threads=1)


def line(text: str, width: int, height: int = 40, top: int = 0) -> OcrLine:
    return OcrLine(text, (0, top, width, top + height), 0.95)


def test_a_line_with_fewer_characters_than_room_is_unread() -> None:
    assert line(", ?", 540).is_unread and line("", 200).is_unread
    assert not line("我要退款", 170).is_unread
    assert not line("?", 40).is_unread
    assert mostly_unread([line(", ?", 540), line("OK", 60)])
    assert not mostly_unread([line("", 100), line("I want my money back", 400)])


def test_cards_of_money_are_no_messages_and_words_about_them_are() -> None:
    assert is_card([line("恭喜发财，大吉大利", 360), line("微信红包", 120, 26, 60)])
    assert is_card(
        [line("￥20.00", 160, 50), line("已退还", 120, 36, 60), line("转账", 80, 30, 110)]
    )
    assert not is_card([line("我没有收到", 200), line("你们的微信红包", 280, 40, 60)])
    assert not is_card([line("红包", 80)])


def encode(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def said(picture: PreparedImage) -> list[tuple[str, str]]:
    return [(m.side.value, m.text) for m in picture.messages if m.kind is Kind.MESSAGE]


def text_of(picture: PreparedImage) -> str:
    return " ".join(m.text for m in picture.messages if m.kind is Kind.TEXT)


def bubbles(texts: tuple[str, str]) -> Image.Image:
    """A chat of two messages, left and right."""
    page = Image.new("RGB", (900, 340), (237, 237, 237))
    draw, letters = ImageDraw.Draw(page), ImageFont.truetype(str(FONT), 30)
    for text, top, side in zip(texts, (40, 190), ("left", "right"), strict=True):
        width = round(draw.textlength(text, letters)) + 60
        left = 30 if side == "left" else 870 - width
        colour = "white" if side == "left" else (149, 236, 105)
        draw.rounded_rectangle((left, top, left + width, top + 100), 12, colour)
        draw.text((left + 30, top + 32), text, "black", letters)
    return page


def test_a_script_that_is_not_known_is_told(preparer: ImagePreparer) -> None:
    picture = preparer.prepare(encode(bubbles(RUSSIAN)))
    messages = [m for m in picture.messages if m.kind is Kind.MESSAGE]
    assert messages and all(m.unread and m.text == "" for m in messages)
    assert picture.quality.ocr_confidence == picture.quality.characters == 0


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_chat_on_its_side_or_head_is_turned(preparer: ImagePreparer, quarters: int) -> None:
    upright = np.asarray(bubbles(ENGLISH))
    picture = preparer.read(DecodedImage(np.ascontiguousarray(np.rot90(upright, quarters)), ()))
    assert (picture.height, picture.width) == upright.shape[:2]
    assert said(picture) == list(zip(("left", "right"), ENGLISH, strict=True))
    assert any("turned by" in note for note in picture.notes)


def test_bubbles_cut_by_the_border_keep_their_side(preparer: ImagePreparer) -> None:
    picture = preparer.prepare(encode(bubbles(ENGLISH).crop((20, 0, 862, 340))))
    assert said(picture) == list(zip(("left", "right"), ENGLISH, strict=True))


def test_a_plain_page_of_one_line_is_a_document(preparer: ImagePreparer) -> None:
    page = Image.new("RGB", (800, 1400), "white")
    draw = ImageDraw.Draw(page)
    draw.text((40, 150), "I am furious, nobody answers", "black", ImageFont.truetype(str(FONT), 40))
    picture = preparer.prepare(encode(page))
    assert picture.kind is ImageKind.DOCUMENT
    assert text_of(picture) == "I am furious, nobody answers"
    draw.rectangle((0, 1300, 800, 1400), (230, 230, 230))  # an app's input bar
    assert preparer.prepare(encode(page)).kind is ImageKind.SCREENSHOT
