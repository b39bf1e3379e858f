"""When the rules of the default book that ask for words fire, and when they had better not."""

from __future__ import annotations

from pathlib import Path

import pytest
from strategy_moments import RULE, info, said, write

from server.strategy.advise import Advisor
from server.strategy.book import Book
from server.strategy.facts import Tracker

DEFAULT = Book.default()
THREAT, REFUND, LEAVING = "threat-to-sue-or-go-public", "wants-money-back", "wants-to-leave"
MOODS = {"angry": 0.9, "neutral": 0.95, "happy": 0.9}


def fired(text: str, emotion: str = "neutral", book: Book = DEFAULT) -> set[str]:
    facts = Tracker(info()).facts(said(text, emotion, MOODS[emotion]))
    return {one.rule for one in Advisor(book).advise(0, facts)}


@pytest.mark.parametrize("mood", MOODS)
@pytest.mark.parametrize(
    "text",
    [
        "I have no complaints.",
        "I can't complain, everything worked.",
        "I won't sue you, don't worry.",
        "I don't want a refund, just the manual please.",
        "我不投诉，只是问一下",
        "没有投诉的意思",
        "No thanks to you, I fixed it myself.",
        "Thanks for nothing.",
        "没有不满意的地方",
        "I'm not going to switch to another provider, please don't cancel my contract.",
        "我没打算起诉，也不要赔偿，更不是要退订",
        "All arrived, thank goodness.\n\n> I'll sue you! I want a refund, or I close my account!",
    ],
)
def test_what_is_denied_or_quoted_fires_nothing_whatever_the_mood(text: str, mood: str) -> None:
    assert not fired(text, mood) & {THREAT, REFUND, LEAVING, "thanked"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("I don't want a voucher, I want a refund.", REFUND),
        ("不要代金券，我要退款", REFUND),
        ("refund please", REFUND),
        ("Why don't you refund me?", REFUND),
        ("If you don't answer I will sue you.", THREAT),
        ("再不解决我就投诉！", THREAT),
        ("I'd like to file a complaint.", THREAT),
        ("How do I cancel my subscription?", LEAVING),
        ("Can I speak to a manager?", "asks-for-a-supervisor"),
        ("叫你们经理来", "asks-for-a-supervisor"),
        ("請你們主管或經理來", "asks-for-a-supervisor"),
        ("再不解決我就投訴！", THREAT),
        ("Have I been hacked?", "security-first"),
        ("I don't want to die, but I can't go on.", "life-at-risk"),
    ],
)
def test_what_is_said_calmly_fires(text: str, rule: str) -> None:
    assert rule in fired(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("how long does a refund take?", REFUND),
        ("The refund went to the old card, which is still valid.", REFUND),
        ("退款退到微信，不是银行卡。", REFUND),
        ("怎么投诉", THREAT),
        ("What is the address of your complaints department?", THREAT),
        ("the complaint number begins with CMP", THREAT),
        ("投诉单号是2024开头的，后面是7713", THREAT),
        ("My solicitor needs the delivery date in writing for the house sale.", THREAT),
        ("Dear Manager, my fixed deposit matures on 2nd and I wish to renew it.",
         "asks-for-a-supervisor"),
        ("不是我本人，我是他女儿", "security-first"),
    ],
)  # fmt: skip
def test_a_question_or_an_errand_fires_nothing(text: str, rule: str) -> None:
    assert rule not in fired(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("How long does a refund take, a year? Because we're at seven months.", REFUND),
        ("投诉电话是摆设吗？我打了八遍你们接过一遍没有？", THREAT),
        ("My solicitor will be in touch about the broken promises.", THREAT),
    ],
)
def test_the_same_words_of_somebody_who_is_upset_fire(text: str, rule: str) -> None:
    assert rule in fired(text, "angry")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("It came a full day before the funeral. You have no idea what that means.", "hardship"),
        ("whoa, fixed already?", "clarify-surprise"),
    ],
)
def test_good_news_needs_no_condolence(text: str, rule: str) -> None:
    assert rule not in fired(text, "happy")


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("I want a refund", {"mentions", "says", "states"}),
        ("how does a refund work?", {"mentions", "says"}),
        ("I don't want a refund", {"mentions"}),
        ("I don't want a voucher", set()),
    ],
)
def test_a_book_of_one_s_own_asks_the_same(tmp_path: Path, text: str, facts: set[str]) -> None:
    head, rule = RULE.split("\n", 1)
    rules = [
        rule.replace("upset", asked).replace("score < -0.5", f"{asked}.money")
        for asked in ("mentions", "says", "states")
    ]
    book = "\n".join(["keywords: {money: [refund]}", head, *rules])
    assert fired(text, book=Book.load(write(tmp_path, book))) == facts
