"""Emoji of Noto Color Emoji in drawn bubbles; skipped where the font is absent."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from modalities.errors import UnavailableError
from modalities.image.chat import Kind, ReadMessage, read_messages
from modalities.image.emoji import Emoji, find_emoji, with_emoji
from modalities.image.ocr import OcrLine
from training.emoji import CHARACTERS, OTHERS, glyph

WHITE, GREEN, INK = (255, 255, 255), (149, 236, 105), (25, 25, 25)
LINE = 40  # pixels of a line of text


@pytest.fixture(autouse=True)
def font() -> None:
    try:
        glyph("😀")
    except UnavailableError as error:
        pytest.skip(str(error))


def paste(image: Image.Image, character: str, x: int, y: int) -> None:
    small = glyph(character).resize((36, 36), Image.Resampling.BILINEAR)
    image.paste(small, (x, y), small)


def letters(image: Image.Image, x: int, y: int, count: int, ink: tuple[int, int, int]) -> OcrLine:
    """Upright strokes where `count` letters would be, and the line that the OCR would give."""
    draw = ImageDraw.Draw(image)
    for place in range(count):
        for stroke in (4, 14, 24):
            left = x + place * LINE + stroke
            draw.rectangle((left, y + 6, left + 4, y + 34), fill=ink)
    return OcrLine("字" * count, (x, y, x + count * LINE, y + LINE), 0.95)


def found(image: Image.Image, ground: tuple[int, int, int]) -> list[Emoji]:
    ends = np.array([ground, ground], np.int16)
    pixels = np.asarray(image)
    return find_emoji(pixels, (0, 0, *image.size), ends, np.array(INK, float), LINE)


@pytest.mark.parametrize("ground", [WHITE, GREEN])
def test_known_emoji_are_named_and_others_are_not(ground: tuple[int, int, int]) -> None:
    named = {}
    for character in CHARACTERS + OTHERS:
        image = Image.new("RGB", (80, 60), ground)
        paste(image, character, 20, 12)
        named[character] = [one.character for one in found(image, ground)]
    known = [named[character] for character in CHARACTERS]
    assert sum(n == [c] for n, c in zip(known, CHARACTERS, strict=True)) > 0.8 * len(known)
    assert not [(c, n) for n, c in zip(known, CHARACTERS, strict=True) if set(n) - {c, ""}]
    assert sum(any(named[character]) for character in OTHERS) <= 1


@pytest.mark.parametrize("ink", [INK, (30, 80, 220), (220, 30, 30)])
def test_letters_are_no_emoji_in_whatever_colour(ink: tuple[int, int, int]) -> None:
    image = Image.new("RGB", (400, 60), WHITE)
    letters(image, 10, 10, 8, ink)
    assert found(image, WHITE) == []


def test_two_that_touch_are_two() -> None:
    image = Image.new("RGB", (140, 60), WHITE)
    paste(image, "😭", 20, 12)
    paste(image, "😭", 56, 12)
    assert [one.character for one in found(image, WHITE)] == ["😭", "😭"]


def test_emoji_stand_at_their_place_in_the_text() -> None:
    line = OcrLine("ABCD好的", (0, 0, 300, 40), 0.9)
    smile = Emoji((130, 2, 166, 38), "😀", 0.8)
    cut = sorted(with_emoji([line], [smile]), key=lambda one: one.box[0])
    assert [one.text for one in cut] == ["ABCD", "😀", "好的"]
    garbage = OcrLine("8", (125, 0, 170, 40), 0.8)
    assert [one.text for one in with_emoji([garbage], [smile])] == ["😀"]


def chat() -> tuple[NDArray[np.uint8], list[OcrLine]]:
    image = Image.new("RGB", (1080, 900), (237, 237, 237))
    draw = ImageDraw.Draw(image)
    boxes = [(40, 50, 560), (520, 200, 1040), (40, 350, 560), (520, 500, 1040)]
    lines = []
    for index, (x0, y0, x1) in enumerate(boxes):
        draw.rounded_rectangle((x0, y0, x1, y0 + 90), 10, WHITE if index % 2 == 0 else GREEN)
        lines.append(letters(image, x0 + 24, y0 + 25, 10, INK))
    paste(image, "😡", boxes[2][0] + 24 + 10 * LINE + 8, boxes[2][1] + 27)
    draw.rounded_rectangle((940, 650, 1040, 740), 10, GREEN)
    paste(image, "👍", 972, 677)
    draw.rounded_rectangle((40, 780, 140, 870), 10, WHITE)
    paste(image, "🚗", 72, 807)
    return np.array(image), lines


def test_a_bubble_of_emoji_alone_is_a_message() -> None:
    read = [one for one in read_messages(*chat()) if one.kind is Kind.MESSAGE]
    words = "字" * 10

    def said(one: ReadMessage) -> tuple[str, str, int]:
        return one.side.value, one.text, one.emoji

    assert [said(one) for one in read] == [
        ("left", words, 0),
        ("right", words, 0),
        ("left", words + "😡", 1),
        ("right", words, 0),
        ("right", "👍", 1),
        ("left", "", 1),  # found, its character not known: no guess
    ]
