"""Layouts of chats, drawn here, with lines of text where an OCR would find them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image, ImageDraw

from modalities.image.chat import Kind, ReadMessage, read_messages
from modalities.image.ocr import OcrLine

WIDTH, HEIGHT = 720, 900
Colour = tuple[int, int, int]
PAGE, LEFT, RIGHT, INK = (237, 237, 237), (255, 255, 255), (149, 236, 105), (25, 25, 25)
FAINT = (150, 150, 150)


@dataclass
class Scene:
    """A page that is drawn on, and the lines that were written on it (as dashes)."""

    page: Colour = PAGE
    lines: list[OcrLine] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.image = Image.new("RGB", (WIDTH, HEIGHT), self.page)
        self.draw = ImageDraw.Draw(self.image)

    def write(self, text: str, x: int, y: int, ink: Colour = INK, size: int = 30) -> int:
        """A line of `size` pixels' height; returns its right end."""
        step = round(0.9 * size)
        for index in range(len(text)):
            left = x + index * step
            self.draw.rectangle((left, y + 6, left + step // 2, y + size - 6), outline=ink, width=3)
        box = (x - 2, y, x + step * len(text) + 2, y + size)
        self.lines.append(OcrLine(text, box, 0.99))
        return box[2]

    def bubble(
        self, side: str, y: int, *rows: str, edge: int = 100, fill: Colour | None = None,
        ink: Colour = INK, wide: int = 0, above: int = 0,
    ) -> tuple[int, int, int, int]:  # fmt: skip
        """A bubble with rows of text, `above` pixels kept free over them; returns its box."""
        inner = max(wide, *(27 * len(row) for row in rows))
        x0 = edge if side == "left" else WIDTH - edge - inner - 40
        box = (x0, y, x0 + inner + 40, y + above + 40 * len(rows) + 24)
        self.draw.rounded_rectangle(box, 10, fill=fill or (LEFT if side == "left" else RIGHT))
        for index, row in enumerate(rows):
            self.write(row, x0 + 20, y + above + 15 + 40 * index, ink)
        return box

    def portrait(self, side: str, y: int, letter: str = "") -> None:
        x = 15 if side == "left" else WIDTH - 85
        self.draw.rectangle((x, y, x + 70, y + 70), fill=(70, 90, 140))
        if letter:
            self.write(letter, x + 22, y + 20, (255, 255, 255))
        else:
            self.draw.ellipse((x + 20, y + 10, x + 50, y + 60), fill=(230, 190, 150))

    def read(self) -> list[ReadMessage]:
        return read_messages(np.array(self.image), self.lines)

    def said(self) -> list[tuple[str, str]]:
        return [(m.side.value, m.text) for m in self.read() if m.kind is Kind.MESSAGE]


def two(scene: Scene, top: int = 60) -> list[tuple[str, str]]:
    """A message of either side, so that a scene is a chat."""
    scene.bubble("left", top, "什么时候发货")
    scene.bubble("right", top + 90, "今天下午发出")
    return [("left", "什么时候发货"), ("right", "今天下午发出")]


def test_a_letter_beside_a_lettered_portrait() -> None:
    scene = Scene()
    expected = two(scene)
    for side, y in (("left", 300), ("right", 420)):
        scene.portrait(side, y, "张")
        scene.bubble(side, y, "好")
        expected.append((side, "好"))
    assert scene.said() == expected


def test_a_message_as_wide_as_the_page_allows_belongs_to_its_portrait() -> None:
    scene = Scene()
    two(scene)
    for side, y in (("left", 300), ("right", 420)):
        scene.portrait(side, y)
        scene.bubble(side, y, "这是一条很长很长的消息呀呀呀", wide=480)
    assert [side for side, _ in scene.said()] == ["left", "right", "left", "right"]


def test_gradients_in_the_page_and_in_a_bubble() -> None:
    scene = Scene()
    for y in range(HEIGHT):
        scene.draw.line((0, y, WIDTH, y), fill=(200 + y // 30, 215, 235 - y // 40))
    two(scene)
    x0, y0, x1, y1 = scene.bubble("right", 300, *["一行文字又一行字"] * 8)
    for y in range(y0 + 12, y1 - 12):
        shade = (y - y0) // 12
        scene.draw.line((x0 + 1, y, x1 - 1, y), fill=(149 - shade, 236 - shade, 105 + shade))
    for index in range(8):
        scene.lines.pop()
        scene.write("一行文字又一行字", x0 + 20, y0 + 15 + 40 * (7 - index))
    assert scene.said()[2:] == [("right", "一行文字又一行字" * 8)]


def test_only_outlined_bubbles() -> None:
    scene = Scene(page=(255, 255, 255))
    for side, y in (("left", 60), ("right", 180)):
        box = scene.bubble(side, y, "只有边框", fill=(255, 255, 255))
        scene.draw.rounded_rectangle(box, 10, outline=(190, 190, 190), width=2)
    assert scene.said() == [("left", "只有边框"), ("right", "只有边框")]


@pytest.mark.parametrize("how", ["block", "bar", "faint"])
def test_a_quote_in_the_bubble_is_apart(how: str) -> None:
    scene = Scene()
    expected = two(scene)
    x0, y0, x1, _ = scene.bubble("right", 300, "我想退款", wide=190, above=50)
    if how == "block":
        scene.draw.rectangle((x0 + 15, y0 + 12, x1 - 15, y0 + 50), fill=(130, 210, 90))
    if how == "bar":
        scene.draw.rectangle((x0 + 18, y0 + 12, x0 + 22, y0 + 50), fill=(0, 90, 160))
    scene.write("客服：请说", x0 + 40, y0 + 16, INK if how == "bar" else (110, 170, 90), 24)
    assert scene.said() == [*expected, ("right", "我想退款")]
    assert [m.quoted for m in scene.read() if m.quoted] == ["客服：请说"]


def test_a_quote_under_the_bubble_is_apart() -> None:
    scene = Scene()
    expected = two(scene)
    _, _, x1, y1 = scene.bubble("right", 300, "我想退款")
    scene.draw.rounded_rectangle((x1 - 200, y1 + 8, x1, y1 + 46), 4, fill=(222, 222, 222))
    scene.write("客服：请说", x1 - 180, y1 + 15, FAINT, 24)
    assert scene.said() == [*expected, ("right", "我想退款")]
    assert [m.quoted for m in scene.read() if m.quoted] == ["客服：请说"]


def test_a_name_in_its_own_colour_is_the_sender() -> None:
    scene = Scene()
    two(scene)
    x0, y0, *_ = scene.bubble("left", 300, "大家好呀", above=34)
    scene.write("王小雨", x0 + 20, y0 + 8, (200, 30, 120), 26)
    found = [m for m in scene.read() if m.text == "大家好呀"]
    assert [(m.sender, m.kind) for m in found] == [("王小雨", Kind.MESSAGE)]


def test_a_field_and_its_button_are_no_messages() -> None:
    scene = Scene()
    expected = two(scene)
    scene.draw.rectangle((0, 820, WIDTH, HEIGHT), fill=(247, 247, 247))
    scene.draw.rounded_rectangle((20, 832, 580, 888), 8, fill=(255, 255, 255))
    scene.write("发消息", 36, 845, FAINT)
    scene.draw.rounded_rectangle((600, 832, 700, 888), 8, fill=RIGHT)
    scene.write("发送", 622, 845)
    assert scene.said() == expected


def test_chips_side_by_side_are_no_messages() -> None:
    scene = Scene()
    expected = two(scene)
    for x in (20, 200, 380):
        scene.draw.rounded_rectangle((x, 700, x + 160, 750), 20, fill=(255, 255, 255))
        scene.write("查物流", x + 40, 710)
    assert scene.said() == expected


def test_goods_and_voice_are_no_words() -> None:
    scene = Scene()
    expected = two(scene)
    x0, y0, *_ = scene.bubble("left", 300, "保温杯500ml", wide=420, above=60)
    scene.draw.rectangle((x0 + 320, y0 + 15, x0 + 440, y0 + 110), fill=(150, 200, 220))
    scene.bubble("right", 480, '17"', wide=90)
    assert scene.said() == expected


def test_a_list_of_contacts_beside_the_chat() -> None:
    scene = Scene(page=(245, 245, 245))
    scene.draw.rectangle((0, 0, 230, HEIGHT), fill=(225, 225, 230))
    for index in range(5):
        top = 40 + 110 * index
        if index == 1:
            scene.draw.rectangle((8, top - 14, 222, top + 80), fill=(200, 200, 206))
        scene.write("王小雨", 30, top)
        scene.write("好的明天见", 30, top + 38, FAINT, 24)
    scene.bubble("left", 60, "在吗亲", edge=260)
    scene.bubble("right", 180, "在的您说", edge=30)
    assert scene.said() == [("left", "在吗亲"), ("right", "在的您说")]


def test_a_notice_on_a_wallpaper_has_no_side() -> None:
    scene = Scene()
    rng = np.random.default_rng(3)
    for x, y in rng.integers(0, 880, (120, 2)).tolist():
        scene.draw.arc((x, y, x + 40, y + 40), 0, 300, fill=(228, 228, 228), width=2)
    expected = two(scene)
    scene.draw.rounded_rectangle((180, 300, 540, 350), 20, fill=(255, 243, 205))
    scene.write("消息已经撤回", 270, 310, FAINT)
    scene.bubble("left", 400, "好吧那算了")
    assert scene.said() == [*expected, ("left", "好吧那算了")]


def test_bubbles_cut_above_and_below() -> None:
    scene = Scene()
    scene.bubble("left", -30, "第一行看不见", "第二行看得见")
    scene.bubble("right", 100, "中间的消息")
    scene.bubble("left", 850, "最后的消息在这")
    scene.lines = [line for line in scene.lines if line.text != "第一行看不见"]
    assert scene.said() == [
        ("left", "第二行看得见"), ("right", "中间的消息"), ("left", "最后的消息在这"),
    ]  # fmt: skip
