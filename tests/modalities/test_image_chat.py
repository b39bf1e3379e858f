from __future__ import annotations

import io
import json
import re
import tracemalloc
import unicodedata
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from modalities.image.chat import Kind, ReadMessage, is_chat, join_text, read_messages
from modalities.image.ocr import Ocr, cut_rows
from modalities.image.sides import Side
from modalities.image.times import is_time

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "data" / "screenshots"
TRUTH: dict[str, dict[str, Any]] = json.loads((FOLDER / "truth.json").read_text())
CHATS = [name for name, truth in TRUTH.items() if truth["messages"]]


@cache
def ocr() -> Ocr:
    return Ocr(threads=2)


def load(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


@cache
def read(name: str) -> list[ReadMessage]:
    pixels = load(FOLDER / f"{name}.png")
    return read_messages(pixels, ocr().read(pixels))


def messages(found: list[ReadMessage]) -> list[ReadMessage]:
    return [message for message in found if message.kind is Kind.MESSAGE]


def same(text: str) -> str:
    """The OCR says nothing of spaces beside Chinese, nor of a character's width (? or ？)."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


@pytest.mark.parametrize("name", CHATS)
def test_every_bubble_is_one_message_on_its_side(name: str) -> None:
    assert [m.side.value for m in messages(read(name))] == [
        m["side"] for m in TRUTH[name]["messages"]
    ]


def test_messages_are_exact() -> None:
    pairs = [
        (same(found.text), same(truth["text"]))
        for name in CHATS
        for found, truth in zip(messages(read(name)), TRUTH[name]["messages"], strict=True)
    ]
    assert len(pairs) == 42
    wrong = [pair for pair in pairs if pair[0] != pair[1]]
    assert len(wrong) / len(pairs) <= 0.05, wrong  # 42 of 42 when this was written


@pytest.mark.parametrize("name", CHATS)
def test_names_and_timestamps_are_apart(name: str) -> None:
    found = read(name)
    for kind, key in ((Kind.NAME, "names"), (Kind.TIMESTAMP, "timestamps")):
        read_ones = [same(message.text) for message in found if message.kind is kind]
        assert read_ones == [same(text) for text in TRUTH[name][key]]


@pytest.mark.parametrize("name", CHATS)
def test_times_are_attached(name: str) -> None:
    for found, truth in zip(messages(read(name)), TRUTH[name]["messages"], strict=True):
        expected = truth["clock"] or TRUTH[name]["timestamps"][0]
        assert same(found.time_text) == same(expected)


def test_boxes_lie_in_order_and_in_the_picture() -> None:
    found = read(CHATS[0])
    height, width = load(FOLDER / f"{CHATS[0]}.png").shape[:2]
    assert [m.box[1] for m in found] == sorted(m.box[1] for m in found)
    for message in found:
        x0, y0, x1, y1 = message.box
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert 0.5 <= message.confidence <= 1.0


def test_title_and_input_bar_are_no_messages() -> None:
    system = [message.text for message in read("blue_1080") if message.kind is Kind.SYSTEM]
    assert "Northline" in system
    assert "iMessage" in system


def test_a_jpeg_reads_like_its_png() -> None:
    name = "portraits_light_720"
    with Image.open(FOLDER / f"{name}.png") as image:
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=75)
    pixels = np.array(Image.open(buffer))
    found = messages(read_messages(pixels, ocr().read(pixels)))
    assert [m.side for m in found] == [m.side for m in messages(read(name))]


def test_only_timestamps_give_no_message() -> None:
    found = read("times_720")
    assert not is_chat(found)
    assert {message.kind for message in found} == {Kind.TIMESTAMP}


def test_text_without_bubbles_is_plain_text() -> None:
    pixels = load(FOLDER / "single_1080.png")
    lines = ocr().read(pixels)
    bubble_on_its_own = pixels[380:540, 190:900]  # the page around it cut away
    offset = [
        type(line)(line.text, tuple(np.subtract(line.box, (190, 380, 190, 380))), line.confidence)
        for line in lines
        if 380 < line.box[1] < 540
    ]
    found = read_messages(np.ascontiguousarray(bubble_on_its_own), offset)
    assert [(m.kind, m.side) for m in found] == [(Kind.TEXT, Side.NONE)]
    assert same(found[0].text) == same(TRUTH["single_1080"]["messages"][0]["text"])


def test_a_long_picture_reads_like_its_parts_in_bounded_memory() -> None:
    names = ["portraits_light_720", "portraits_dark_720"] * 2
    parts = [load(FOLDER / f"{name}.png")[:-110] for name in names]  # without input bars
    pixels = np.concatenate(parts)
    spans = cut_rows(pixels, 2_500)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(pixels) > 3_900
    assert all(above[1] == below[0] for above, below in pairwise(spans))
    assert max(bottom - top for top, bottom in spans) <= 2_500
    tracemalloc.start()
    found = [line.text for line in ocr().read(pixels)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # numpy's share: a tile of float32 (1.8 MP × 3 × 4 B) a few times over, never the picture's.
    assert peak < 160e6
    wanted = [m["text"] for name in names for m in TRUTH[name]["messages"]]
    assert sum(len(same(text)) for text in wanted) <= len(same("".join(found)))
    assert sum("再来" in text for text in found) == 2
    assert sum("储水" in text or "提前" in text for text in found) >= 2


@pytest.mark.parametrize(
    "text",
    [
        *("昨天 20:15", "10月12日下午3:26", "2026年1月5日 10:20", "星期三", "14:03√√"),
        *("Yesterday", "Mon 14:20", "6:02 PM", "Today at 10:42", "3 March 2026", "10/12/2026"),
    ],
)
def test_times(text: str) -> None:
    assert is_time(text)


@pytest.mark.parametrize(
    "text", ["我要投诉", "at", "12", "5 stars", "20:15到的", "周到", "May", ""]
)
def test_no_times(text: str) -> None:
    assert not is_time(text)


def test_lines_join_by_script() -> None:
    assert join_text(["我等了", "三天"]) == "我等了三天"
    assert join_text(["I waited", "three days"]) == "I waited three days"
    assert join_text(["订单", "TX 44"]) == "订单TX 44"
