"""Words are found in whatever characters they are written."""

from __future__ import annotations

import pytest

from server.strategy.book import Book
from server.strategy.keywords import Keywords, plain
from server.strategy.negation import Stance


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("refund", "什麼時候才退錢？"),
        ("wants_refund", "我要求賠償"),
        ("complaint", "我會找律師"),
        ("threat", "我要投訴你們，法院見"),
        ("leaving", "幫我取消會員，再也不來了"),
        ("supervisor", "叫你們主管或經理來"),
        ("repeated", "打了好幾次，一直沒解決"),
        ("delay", "還要多久？我等了兩週"),
        ("security", "信用卡被盜刷，是詐騙嗎"),
        ("hardship", "我失業了，還不起"),
        ("danger", "我不想活了，想跳樓"),
        ("thanks", "謝謝妳，解決了"),
    ],
)
def test_the_shipped_words_are_found_in_traditional_characters(name: str, text: str) -> None:
    assert Book.default().keywords[name].are_in(plain(text))


@pytest.mark.parametrize(
    ("text", "stance"),
    [
        ("我要退款", Stance.SAID),
        ("我們不是來要退款的", Stance.DENIED),
        ("不需要退款", Stance.DENIED),
        ("請問退款要多久？", Stance.ASKED),
        ("你們一直不給退款", Stance.SAID),
    ],
)
def test_words_are_denied_and_asked_about_in_them_too(text: str, stance: Stance) -> None:
    assert Keywords(["退款"]).stance(plain(text)) is stance


def test_a_list_in_traditional_characters_finds_both() -> None:
    words = Keywords(["客訴", "檢舉"])
    assert words.are_in(plain("我要檢舉")) and words.are_in(plain("我要检举"))
    assert not words.are_in(plain("我要舉手"))
