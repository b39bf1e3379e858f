"""Chats drawn on the spot, in any script that DejaVu has."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import server_media as media
from PIL import Image, ImageDraw, ImageFont

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
LEFT, RIGHT = "left", "right"


def chat(*lines: tuple[str, str]) -> bytes:
    """A screenshot of bubbles: the side and a text of one row."""
    page = Image.new("RGB", (1080, 80 + 140 * len(lines)), (237, 237, 237))
    draw, font = ImageDraw.Draw(page), ImageFont.truetype(str(FONT), 30)
    for index, (side, text) in enumerate(lines):
        top, width = 40 + 140 * index, round(font.getlength(text)) + 40
        left = 20 if side == LEFT else 1060 - width
        fill = "white" if side == LEFT else (149, 236, 105)
        draw.rounded_rectangle((left, top, left + width, top + 80), 12, fill=fill)
        draw.text((left + 20, top + 20), text, fill="black", font=font)
    return media.encode(page)


def page(text: str) -> bytes:
    """A white page with one row on it."""
    image = Image.new("RGB", (1080, 400), "white")
    font = ImageFont.truetype(str(FONT), 40)
    ImageDraw.Draw(image).text((60, 160), text, fill="black", font=font)
    return media.encode(image)
