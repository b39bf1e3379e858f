from __future__ import annotations

import pytest

from modalities.image.chat import Kind, ReadMessage
from modalities.image.pages import merge_pages, overlapping
from modalities.image.sides import Side

CHAT = (
    ("l", "外卖到现在还没送到，都一个半小时了"),
    ("r", "亲，骑手正在路上，请您再耐心等待"),
    ("l", "每次都说十分钟！"),
    ("l", "每次都说十分钟！"),
    ("r", "实在抱歉，给您申请一张优惠券"),
    ("l", "算了，下次不点了"),
)


def page(said: tuple[tuple[str, str], ...], number: int, time: str = "") -> list[ReadMessage]:
    lines = [ReadMessage("小馆", Kind.SYSTEM, Side.NONE, number, (0, 0, 90, 30), 0.9)]
    if time:
        lines.append(ReadMessage(time, Kind.TIMESTAMP, Side.NONE, number, (40, 40, 90, 60), 0.9))
    for index, (side, text) in enumerate(said):
        top = 100 * (index + 1)
        lines.append(
            ReadMessage(
                text,
                Kind.MESSAGE,
                Side.LEFT if side == "l" else Side.RIGHT,
                number,
                (10, top, 300, top + 80),
                0.9,
                time_text=time,
            )
        )
    return lines


def texts(lines: list[ReadMessage]) -> list[tuple[str, str]]:
    return [(m.side.value[0], m.text) for m in lines if m.kind is Kind.MESSAGE]


@pytest.mark.parametrize("overlap", range(1, 5))
def test_what_two_pages_show_is_there_once(overlap: int) -> None:
    merged = merge_pages([page(CHAT[:4], 0), page(CHAT[4 - overlap :], 1)])
    assert texts(merged) == list(CHAT)


def test_pages_that_do_not_overlap_are_joined() -> None:
    merged = merge_pages([page(CHAT[:3], 0), page(CHAT[4:], 1)])
    assert texts(merged) == [*CHAT[:3], *CHAT[4:]]


def test_a_page_sent_twice_adds_nothing() -> None:
    assert merge_pages([page(CHAT, 0, "10:30"), page(CHAT, 1, "10:30")]) == page(CHAT, 0, "10:30")


def test_a_message_cut_at_the_edge_is_kept_whole() -> None:
    cut_above = (("l", "都一个半小时了"), *CHAT[1:])
    merged = merge_pages([page(CHAT[:2], 0), page(cut_above, 1)])
    assert texts(merged) == list(CHAT)
    cut_below = (CHAT[0], ("r", "亲，骑手正在路"))
    merged = merge_pages([page(cut_below, 0), page(CHAT[1:], 1)])
    assert texts(merged) == list(CHAT)


def test_a_misread_letter_does_not_double_a_message() -> None:
    misread = (("r", "亲,骑手正在路土，请您再耐心等待"), *CHAT[2:])
    assert texts(merge_pages([page(CHAT[:2], 0), page(misread, 1)])) == [*CHAT]


def test_the_other_side_saying_the_same_is_no_overlap() -> None:
    first, second = (("l", "谢谢您的耐心"),), (("r", "谢谢您的耐心"), ("l", "再见"))
    assert texts(merge_pages([page(first, 0), page(second, 1)])) == [*first, *second]


def test_a_short_word_twice_is_said_twice() -> None:
    first, second = (("l", "在吗"), ("r", "好的")), (("r", "好的"), ("l", "什么时候发货"))
    assert texts(merge_pages([page(first, 0), page(second, 1)])) == [*first, *second]
    assert overlapping(page(first, 0)[1:], page(first, 1)[1:]) == 2


def test_a_time_counts_on_the_next_page() -> None:
    merged = merge_pages([page(CHAT[:2], 0, "昨天 20:15"), page(CHAT[2:], 1)])
    assert {m.time_text for m in merged if m.kind is Kind.MESSAGE} == {"昨天 20:15"}
