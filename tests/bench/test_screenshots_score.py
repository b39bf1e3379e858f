"""The scorer's arithmetic, on truth made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.screenshots.readers import Reading, Said, read_plain
from bench.screenshots.score import Counts, Judged, figures, judge, judge_merge, normal
from modalities.image.ocr import OcrLine

FIRST, SECOND = (20, 100, 220, 160), (180, 200, 380, 260)


def item(kind: str, text: str, box: tuple[int, ...], number: int = -1, **more: Any) -> Any:
    made = {"kind": kind, "text": text, "box": list(box), "number": number}
    return made | {"side": "none", "cut": False} | more


def truth(*more: Any, **fields: Any) -> dict[str, Any]:
    items = [
        item("timestamp", "昨天 9:41", (160, 60, 240, 80)),
        item("message", "退款还没到账", FIRST, 1, side="left"),
        item("timestamp", "9:42", (180, 140, 215, 155), 1),
        item("message", "sorry for that 🙏", SECOND, 2, side="right"),
    ]
    return {"language": "zh", "items": [*items, *more], **fields}


RIGHT = [Said("退款还没到账", "left", FIRST), Said("sorry for that", "right", SECOND)]


def share(judged: Judged, name: str) -> Any:
    return figures(judged.counts)[name]


def test_perfect_reading_has_no_fault() -> None:
    judged = judge(truth(), Reading(RIGHT, [("timestamp", "昨天9:41"), ("timestamp", "9:42")]))
    assert judged.faults == []
    found = figures(judged.counts)
    assert found["side"] == found["order_exact"] == found["kept_out"] == 1.0
    assert found["recognised_timestamp"] == 1.0
    assert found["character_error_rate"] == 0.0


def test_missed_message_counts_against_side_order_and_characters() -> None:
    judged = judge(truth(), Reading(RIGHT[:1]))
    assert share(judged, "side") == 0.5
    assert share(judged, "order_exact") == 0.0
    assert share(judged, "order_of_found") == 1.0
    assert judged.counts.errors == len("sorry for that")
    assert judged.counts.characters == len("sorry for that") + 6


def test_invented_message_counts_against_all_three() -> None:
    judged = judge(truth(), Reading([*RIGHT, Said("发消息", "left", (40, 700, 200, 740))]))
    assert share(judged, "side") == pytest.approx(2 / 3, abs=1e-4)
    assert share(judged, "order_exact") == 0.0
    assert judged.counts.errors == 3


def test_two_parts_of_one_bubble_are_one_found_and_one_invented() -> None:
    parts = [Said("退款还", "left", (20, 100, 220, 130)), Said("没到", "left", (20, 131, 220, 160))]
    judged = judge(truth(), Reading([*parts, RIGHT[1]]))
    assert (judged.counts.matched, judged.counts.invented) == (2, 1)
    assert judged.counts.errors == 3 + 2  # the longer lacks three characters; two are invented


def test_two_bubbles_read_as_one_are_two_missed() -> None:
    judged = judge(truth(), Reading([Said("退款还没到账sorry", "left", (20, 100, 380, 260))]))
    assert (judged.counts.matched, judged.counts.invented) == (0, 1)


def test_wrong_side_and_wrong_order() -> None:
    swapped = [RIGHT[1], replace(RIGHT[0], side="right")]
    judged = judge(truth(), Reading(swapped))
    assert share(judged, "side") == 0.5
    assert share(judged, "order_of_found") == 0.0 == share(judged, "order_exact")


@pytest.mark.parametrize("kind", ["message", "card", "voice", "sticker"])
def test_what_is_cut_or_has_no_text_counts_neither_way(kind: str) -> None:
    box = (20, 300, 220, 330)
    cut = item(kind, "半截", box, 3, side="left", cut=kind == "message")
    clock = item("timestamp", "9:43", (180, 315, 215, 328), 3)
    for said in (RIGHT, [*RIGHT, Said("半 9:43", "right", box)]):
        judged = judge(truth(cut, clock), Reading(said))
        assert judged.faults == []
        assert judged.counts.lines["timestamp"] == 2


@pytest.mark.parametrize(
    ("text", "kept"), [("退款还没到账9:42", 1), ("9:42退款还没到账", 1), ("退款没到账", 2)]
)
def test_clock_read_into_a_message(text: str, kept: int) -> None:
    judged = judge(truth(), Reading([replace(RIGHT[0], text=text), RIGHT[1]]))
    assert judged.counts.kept["timestamp"] == kept
    assert judged.counts.lines["timestamp"] == 2


def test_line_elsewhere_taken_for_a_message() -> None:
    notice = item("system", "你撤回了一条消息", (100, 400, 300, 420))
    judged = judge(truth(notice), Reading([*RIGHT, Said("你撤回", "left", (100, 395, 300, 425))]))
    assert (judged.counts.lines["system"], judged.counts.kept["system"]) == (1, 0)
    assert judged.counts.invented == 1


def test_empty_chat_is_exact_where_nothing_is_found() -> None:
    empty = {"language": "empty", "items": [item("system", "客服", (10, 10, 60, 30))]}
    assert share(judge(empty, Reading([])), "order_exact") == 1.0
    judged = judge(empty, Reading([Said("客服", "left", (10, 10, 60, 30))]))
    assert share(judged, "order_exact") == 0.0 == share(judged, "kept_out")
    assert share(judged, "character_error_rate") is None


def test_scripts_that_the_ocr_does_not_read_have_no_error_rate() -> None:
    judged = judge(truth(language="rtl"), Reading([replace(one, text="?") for one in RIGHT]))
    assert share(judged, "side") == 1.0
    assert share(judged, "character_error_rate") is None


def test_normal_form() -> None:
    assert normal("，是 的 😭！") == normal(", 是的!") == ",是的!"
    assert normal("two  words") == "two words"
    assert normal("订单 TX 4471 到了") == "订单TX 4471到了"


def test_counts_add_up() -> None:
    total = Counts()
    for said in (RIGHT, RIGHT[:1]):
        total.add(judge(truth(), Reading(said)).counts)
    assert (total.pictures, total.messages, total.matched, total.exact) == (2, 4, 3, 1)
    assert total.lines["timestamp"] == 4


def test_merge() -> None:
    later = item("message", "好的", (20, 300, 90, 340), 3, side="left")
    pages = [truth(), {"language": "zh", "items": [truth()["items"][3], later]}]
    last = Said("好的", "left", (20, 300, 90, 340), page=1)
    assert judge_merge(pages, [*RIGHT, last]) == (True, [])
    double = replace(RIGHT[1], page=1)
    for wrong in ([*RIGHT, double, last], RIGHT, [last, *RIGHT]):
        assert not judge_merge(pages, wrong)[0]


def test_merge_keeps_the_whole_one_of_two() -> None:
    half = truth()["items"][3] | {"cut": True, "box": [180, 0, 380, 30]}
    pages = [truth(), {"language": "zh", "items": [half]}]
    cut = Said("that", "right", (180, 0, 380, 30), page=1)
    assert judge_merge(pages, RIGHT)[0]
    assert not judge_merge(pages, [RIGHT[0], cut])[0]


def test_plain_reading_joins_lines_of_one_side() -> None:
    lines = [
        OcrLine("您好，", (20, 100, 200, 130), 0.9),
        OcrLine("在吗", (20, 135, 120, 165), 0.9),
        OcrLine("在的", (300, 140, 380, 170), 0.9),
    ]
    said = read_plain(np.zeros((400, 400, 3), np.uint8), lines).said
    assert [(one.side, one.text) for one in said] == [("left", "您好，在吗"), ("right", "在的")]
