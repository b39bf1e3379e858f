"""Draw a chat screenshot: `python examples/make_screenshot.py` writes examples/screenshot.png.

Needs Noto Sans CJK (Debian: fonts-noto-cjk). The text and the drawing are our own, under CC0.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"  # face 2: simplified Chinese
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Theme:
    """Colours, and what an app draws around its bubbles. Lengths are in points, 360 a width."""

    page: Colour
    bar: Colour
    ink: Colour
    grey: Colour
    left: Colour
    right: Colour
    right_ink: Colour
    radius: int = 5
    avatars: bool = True  # square portraits beside the bubbles
    clocks: bool = False  # the time inside the bubble, at its lower right
    pills: bool = False  # timestamps on a background of their own
    wallpaper: bool = False  # a pattern on the page
    font_pt: float = 16.0


LIGHT = Theme(
    page=(237, 237, 237), bar=(247, 247, 247), ink=(25, 25, 25), grey=(150, 150, 150),
    left=(255, 255, 255), right=(149, 236, 105), right_ink=(25, 25, 25),
)  # fmt: skip
DARK = Theme(
    page=(17, 17, 17), bar=(25, 25, 25), ink=(213, 213, 213), grey=(110, 110, 110),
    left=(44, 44, 44), right=(62, 181, 117), right_ink=(8, 22, 14),
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """side: "left", "right" (bubbles), "name", "time" or "notice"."""

    side: str
    text: str
    clock: str = ""


def wrap(text: str, font: ImageFont.FreeTypeFont, room: float) -> list[str]:
    """Break at spaces between Latin words and anywhere between Chinese characters."""
    words: list[str] = []
    for character in text:
        if words and character.isascii() and words[-1][-1].isascii() and words[-1][-1] != " ":
            words[-1] += character
        else:
            words.append(character)
    lines = [""]
    for word in words:
        if lines[-1] and font.getlength((lines[-1] + word).rstrip()) > room:
            lines.append("")
        lines[-1] += word
    return [line.strip() for line in lines]


def draw_chat(
    lines: Sequence[Line], theme: Theme, title: str, placeholder: str, width: int = 1080
) -> Image.Image:
    """One screenshot, as tall as its lines need, with a title bar and an input bar."""
    u = width / 360  # pixels a point
    fonts = {
        size: ImageFont.truetype(FONT, round(size * u), index=2)
        for size in (theme.font_pt, 12.0, 11.0, 17.0)
    }
    height = round((190 + sum(_room(line, fonts, theme, u) for line in lines)) * u)
    image = Image.new("RGB", (width, height), theme.page)
    draw = ImageDraw.Draw(image)
    if theme.wallpaper:
        rng = random.Random(1)
        shade = tuple(c - 8 if c > 128 else c + 8 for c in theme.page)
        for _ in range(width * height // 9000):
            x, y, r = rng.randrange(width), rng.randrange(height), rng.randrange(8, 30)
            draw.arc((x, y, x + r, y + r), 0, 300, fill=shade, width=2)
    draw.rectangle((0, 0, width, 70 * u), fill=theme.bar)
    draw.text((15 * u, 6 * u), "9:41", font=fonts[12.0], fill=theme.ink)
    draw.text((width / 2, 47 * u), title, font=fonts[17.0], fill=theme.ink, anchor="mm")
    y = 84.0
    for line in lines:
        y = _draw_line(draw, line, y, theme, fonts, u, width)
    draw.rectangle((0, height - 60 * u, width, height), fill=theme.bar)
    field = (40 * u, height - 50 * u, width - 80 * u, height - 12 * u)
    draw.rounded_rectangle(field, 5 * u, fill=theme.left)
    draw.text(
        (50 * u, height - 31 * u), placeholder, font=fonts[12.0], fill=theme.grey, anchor="lm"
    )
    return image


def _room(line: Line, fonts: dict[float, ImageFont.FreeTypeFont], theme: Theme, u: float) -> float:
    """Points of height that a line takes, gap included."""
    if line.side == "name":
        return 18
    if line.side in ("time", "notice"):
        return 36
    rows = len(wrap(line.text, fonts[theme.font_pt], 226 * u))
    return rows * theme.font_pt * 1.42 + 20 + 14 + (14 if line.clock else 0)


def _draw_line(
    draw: ImageDraw.ImageDraw,
    line: Line,
    y: float,
    theme: Theme,
    fonts: dict[float, ImageFont.FreeTypeFont],
    u: float,
    width: int,
) -> float:
    """Draw one line with its top at `y` points; returns the next one's."""
    below = y + _room(line, fonts, theme, u)
    indent = (58 if theme.avatars else 10) * u
    if line.side in ("time", "notice"):
        middle = (width / 2, (y + 10) * u)
        if theme.pills:
            half = fonts[12.0].getlength(line.text) / 2 + 10 * u
            box = (middle[0] - half, (y - 1) * u, middle[0] + half, (y + 22) * u)
            draw.rounded_rectangle(box, 8 * u, fill=theme.left)
        draw.text(middle, line.text, font=fonts[12.0], fill=theme.grey, anchor="mm")
        return below
    if line.side == "name":
        draw.text((indent, y * u), line.text, font=fonts[12.0], fill=theme.grey)
        return below
    font = fonts[theme.font_pt]
    rows = wrap(line.text, font, 226 * u)
    inner = max(font.getlength(row) for row in rows)
    inner = max(inner, fonts[11.0].getlength(line.clock) + 20 * u if line.clock else 0)
    x = indent if line.side == "left" else width - indent - inner - 24 * u
    fill, ink = (theme.left, theme.ink) if line.side == "left" else (theme.right, theme.right_ink)
    box = (x, y * u, x + inner + 24 * u, (below - 14) * u)
    draw.rounded_rectangle(box, theme.radius * u, fill=fill)
    for index, row in enumerate(rows):
        draw.text(
            (x + 12 * u, (y + 9 + index * theme.font_pt * 1.42) * u), row, font=font, fill=ink
        )
    if line.clock:
        at = (box[2] - 8 * u, box[3] - 6 * u)
        draw.text(at, line.clock, font=fonts[11.0], fill=theme.grey, anchor="rs")
    if theme.avatars:
        left = 10 * u if line.side == "left" else width - 50 * u
        portrait = (left, y * u, left + 40 * u, (y + 40) * u)
        tint = (92, 130, 170) if line.side == "left" else (190, 140, 90)
        draw.rounded_rectangle(portrait, 4 * u, fill=tint)
        draw.ellipse((left + 13 * u, (y + 8) * u, left + 27 * u, (y + 22) * u), fill=theme.left)
        draw.pieslice(
            (left + 7 * u, (y + 24) * u, left + 33 * u, (y + 54) * u), 180, 360, theme.left
        )
    return below


# The customer's own screenshot: what they say stands on the right.
CONVERSATION = (
    Line("time", "10月12日 下午3:26"),
    Line("right", "你好，我的包裹晚了五天才到，盒子还是破的！"),
    Line("left", "您好，非常抱歉给您带来不便，请问方便发一下订单号吗？"),
    Line("right", "订单号是 20811357，杯子碎了两个，太让人生气了。"),
    Line("left", "收到，这边马上为您登记破损。"),
    Line("time", "下午3:40"),
    Line("right", "我已经等了半个小时了，到底能不能退款？"),
    Line("left", "可以的，全额退款今天就会原路退回，再次向您道歉。"),
)


def main() -> None:
    image = draw_chat(CONVERSATION, LIGHT, "小橘家居客服", "发消息")
    path = Path(__file__).parent / "screenshot.png"
    image.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {image.width} × {image.height} px, {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
