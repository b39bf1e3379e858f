"""Personal data goes, and what only looks like it stays."""

from __future__ import annotations

import pytest

from bench.pii import measure
from bench.pii_lines import MAKERS
from bench.pii_templates import TUNING
from server.privacy.redact import Redacted, find, redact

TAKEN = {
    "我的手机号是13812345678，快递单号SF1234567890123": "我的手机号是[PHONE]，快递单号[ORDER]",
    "１３８-１２３４-５６７８": "[PHONE]",
    "幺三八，幺二三四，五六七八": "[PHONE]",
    "1 3 8 1 2 3 4 5 6 7 8": "[PHONE]",
    "it is oh seven nine double one one two three four five six": "it is [PHONE]",
    "call 212-555-0123 or +44 7911 123456": "call [PHONE] or [PHONE]",
    "座机(0755)84648292": "座机[PHONE]",
    "身份证11010519491231002x": "身份证[ID_CARD]",
    "身份证110105 19491231 002X": "身份证[ID_CARD]",
    "卡号 4111 1111 1111 1111": "卡号 [BANK_CARD]",
    "邮箱zhang.san＠qq.com。": "邮箱[EMAIL]。",
    "john dot smith at gmail dot com": "[EMAIL]",
    "寄到广东省深圳市南山区科技路18号3栋2单元501室，谢谢": "寄到[ADDRESS]，谢谢",
    "I live at 221B Baker Street, London NW1 6XE.": "I live at [ADDRESS].",
    "订单号：2024010112345678": "订单号：[ORDER]",
    "order 112-1234567-1234567 and 1ZA123456789012345": "order [ORDER] and [ORDER]",
    "zero\u200b13812\u200b345678": "zero\u200b13812\u200b345678",  # a letter before it: no number
    "138\u200b1234\u200b5678": "[PHONE]",
}
STAYS = (
    "价格是1999元，2024年1月15日买的，型号XJ-900123",
    "$16,776.99 on 2024-09-06",
    "20240115 10:30:05",
    "序列号110105194912310021，条码6901234567892",  # wrong checksum; no issuer
    "card number 4111111111111112",
    "I waited 20 minutes on the road and gave a 5 star review",
    "在人民路等了3个小时，第2层的货架",
    "一共三百二十五块六，一二三四五，上山打老虎",
    "order 3 pizzas, order 2 of the 128GB",
    "you can search for it at Baidu.com",
    "192.168.1.254 v10.15.7 978-7-111-12345-6",
    "13912345",
)


@pytest.mark.parametrize("text", TAKEN)
def test_personal_data_is_replaced_by_its_kind(text: str) -> None:
    assert redact(text).text == TAKEN[text]


@pytest.mark.parametrize("text", STAYS)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert redact(text) == Redacted(text, ())


def test_spans_say_where_it_stood() -> None:
    text = "手机１３８１２３４５６７８，邮箱a@b.cn"
    assert [text[span.start : span.end] for span in find(text)] == [
        "１３８１２３４５６７８",
        "a@b.cn",
    ]


def test_a_redacted_text_has_nothing_left_to_redact() -> None:
    for text in TAKEN:
        once = redact(text).text
        assert redact(once) == Redacted(once, ())


def test_characters_that_databases_refuse_go() -> None:
    assert redact("a\0b").text == "ab"
    assert redact("").spans == ()


def test_precision_and_recall_on_generated_lines() -> None:
    from bench.pii import lines
    from bench.pii_templates import REPORTED

    for templates, seed in ((TUNING, 5), (REPORTED, 6)):
        made = lines(600, seed, templates)
        for kind, n in measure(made).items():
            assert n["true"] > 20, kind
            assert n["found"] >= 0.97 * n["true"], kind
            assert n["right"] >= 0.97 * n["told"], kind


def test_the_measure_sees_what_is_missed_and_what_is_taken_too_much() -> None:
    from bench.pii import Line
    from server.privacy.detect import Kind
    from server.privacy.redact import Span

    missed = Line("13812345", (Span(Kind.PHONE, 0, 8),))
    wrong = Line("手机13812345678", ())
    counts = measure([missed, wrong])[Kind.PHONE]
    assert (counts["true"], counts["found"], counts["told"], counts["right"]) == (1, 0, 1, 0)
    assert set(MAKERS) > {"PHONE_zh", "bad_id"}
