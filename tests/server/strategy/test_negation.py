"""What a word is to its writer: said, asked about, denied. The word stands between asterisks."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from server.strategy.keywords import MOST_JUDGED, Keywords, plain
from server.strategy.negation import Stance, stance
from server.strategy.passage import AFTER, BEFORE

DENIED = """\
I have no *complaints*.
I can't *complain*, everything worked.
I can’t really *complain*
cant *complain*
I won't *sue you*, don't worry.
I don't want a *refund*, just the manual please.
No *thanks* to you, I fixed it myself.
*Thanks* for nothing.
I'm not going to make a *complaint*.
no its not a *complaint* um im just
This isn't a *complaint*, I just wonder
I wouldn't call it a *complaint*
I'm not calling to *complain*
There's nothing to *complain* about
I've never had cause for *complaint*
without a single *complaint*
*Complaints*? None.
I don't need to *complain* or anything, just wondering
It's not that I want to make a *complaint* as such
I've decided not to *complain*
it got solved without me having to *complain*
There was no need for me to *complain*
Love the app, no *complaints*
I withdraw my *complaint*
Please drop my *complaint*, it's sorted
I'm not saying I'll *sue you*
Nobody is going to *sue you*
I won't complain or take *legal action*
There's no need to involve *lawyers*
You don't need to *refund* me
Please don't *refund* me, just send a new one
no *refund* please, i just want it to work
It's not about the *refund*
A *refund* isn't necessary.
a *refund* is not what I'm after
I'd like a replacement, not a *refund*
I want a replacement instead of a *refund*
I don't want a voucher or a *refund*
I want neither a voucher nor a *refund*
Never mind the *refund*, just fix it
*Refund*? No thanks, I'd like a new one
I did not come here for a *refund*
I don't want my *money back*
We don't require any *compensation*
Please don't *cancel my account*
I did not ask you to *close my account*
I don't need to speak to a *manager*
I wasn't *hacked*, I just forgot it
It's not *perfect*
我不*投诉*，只是问一下
没有*投诉*的意思
没有*不满意*的地方
我不是要*投诉*，就想问下代收点几点关门。
没什么好*投诉*的
没想过要*投诉*
懒得*投诉*
谈不上*投诉*
*投诉*就算了
*投诉*我就不必了
*投诉*？不存在的
那个*投诉*我撤了
我不觉得需要*投诉*
不会因为这点小事*投诉*你们
不可能*投诉*
我唔係要*complain*，但你哋
我不要*refund*
我不要*退款*，换一个就行
不用给我*退款*了
我不*退款*了
不*退款*，换货就行
没有*退款*的意思
*退款*就不用了
你们不用*退款*
不是来*退货*的，我是想问滤网
我不会去法院*起诉*
不用找*律师*
不是说要*退订*，我就是问问
我没有*被骗*
"""
ASKED = """\
how long does a *refund* take?
Is there a *refund* of the airport tax if I don't fly?
I'd like to know how a *refund* works
Who do I address a *complaint* about another passenger to?
Could you tell me where to *complain*?
How do I *cancel my subscription*?
have i been *hacked*
怎么*投诉*
请问怎么*投诉*？
*投诉*电话是哪个？
*投诉*商家需要提供聊天记录截图吗
*退款*多久到账
仅*退款*和退货有啥区别
*注销*后余额可以转吗
"""
SAID = """\
I don't want a voucher, I want a *refund*
I don't want a voucher I want a *refund*
They won't give me a *refund*
the shop does not want to *refund* me
still no *refund*
no *refund*, no answer, nothing
I haven't had my *refund*
Why don't you *refund* me?
Can't I get a *refund*?
I'm not leaving without a *refund*
I want nothing but a *refund*
You sent me a voucher instead of a *refund*
I don't just want a *refund*
Don't forget my *refund*
A *refund* isn't enough
no i want a *refund*
it does not work i want a *refund*
I don't care, I want a *refund*
When do I get my *refund*?
Will I get my *money back*?
Can I get a *refund*?
How about a *refund*?
I can't *complain* enough about you
I can't even *complain* properly because your form times out
I can't not *complain* about a captcha
I'd love to say I can't *complain*, but a smashed telly
I wish I didn't have to *complain*
I have no choice but to *complain*
Don't make me *complain* to the ombudsman
You never answered my *complaint*
No. I have a *complaint*.
No, I have a *complaint*
"No *complaints* received"? I've posted two
You dropped my *complaint* without telling me
I won't hesitate to *sue you*
Don't think I won't *sue you*
I won't *sue you* if you pay by Friday
It doesn't work and I will *sue you*
I can't *cancel my account*
You did not *cancel my subscription*
This isn't working for me, *cancel my account*
Your agent didn't help, get me your *manager*
Isn't this a *scam*?
can't *thank you* enough
No, *thanks* to your team it works
不要代金券，我要*退款*
不要代金券我要*退款*
你们不给*退款*
不*退款*我就投诉
为什么不*退款*
怎么还不*退款*
一直不*退款*
客服说不*退款*
没有收到*退款*
还没*退款*
能*退款*吗
不能*退款*吗
我要*退款*怎么操作
没用，*退款*
不想要了*退款*
*退钱*我不要换我不要券
再不解决我就*投诉*！
不*投诉*是不行了，忍你们很久了
我不*投诉*一下都对不起自己
我不得不*投诉*
别逼我*投诉*
别以为我不会*投诉*
你以为我不会*投诉*你们？
难道要我*投诉*吗
没人处理我的*投诉*
不仅要*投诉*，还要曝光
不好意思我要*投诉*
我不是不能*投诉*，我是给过你们三次机会了
没想到*解决了*
不，*谢谢*
"""
EXPECTED = [
    (line, expected)
    for lines, expected in ((DENIED, "DENIED"), (ASKED, "ASKED"), (SAID, "SAID"))
    for line in lines.splitlines()
]


@pytest.mark.parametrize(("line", "expected"), EXPECTED)
def test_how_a_word_stands(line: str, expected: str) -> None:
    before, word, after = plain(line).split("*")
    assert stance(before + word + after, len(before), len(before + word)).name == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I don't want a refund. On second thoughts: refund me!", Stance.SAID),
        ("No refund needed. How does a refund work?", Stance.ASKED),
        ("No refund needed, no complaint either.", Stance.DENIED),
        ("All is well.", None),
        ("no complaint. " * (MOST_JUDGED - 1), Stance.DENIED),
        ("no complaint. " * (MOST_JUDGED + 1), Stance.SAID),
    ],
)
def test_the_strongest_stance_counts(text: str, expected: Stance | None) -> None:
    assert Keywords(["complaint", "refund"]).stance(plain(text)) is expected


def test_the_documented_stances() -> None:
    doc = (Path(__file__).parents[3] / "docs/rules.md").read_text()
    table = doc.split("| text | `mentions.refund` | `says.refund` | `states.refund` |\n")[1]
    rows = [row.strip("| ").split(" | ") for row in table.split("\n\n")[0].splitlines()[1:]]
    assert len(rows) == 5
    for texts, *answers in rows:
        for text in texts.split(" · "):
            found = Keywords(["refund", "退款"]).stance(plain(text))
            assert found is not None
            assert answers == [str(least <= found).lower() for least in Stance], text


def test_a_negator_far_off_denies_nothing() -> None:
    far = "not" + " really" * (BEFORE // 7 + 1) + " a complaint"
    assert stance(far, far.index("complaint"), len(far)) is Stance.SAID


@pytest.mark.parametrize(
    "part", ["not ", "no or ", "really ", "wish i ", "不", "真是", "还是", "? ", "  ", ",:"]
)
@pytest.mark.parametrize("word", ["refund", "thanks", "投诉"])
def test_no_sentence_takes_long(part: str, word: str) -> None:
    text = part * (BEFORE // len(part)) + word + part * (AFTER // len(part))
    started = time.process_time()
    for _ in range(10):
        stance(text, text.index(word), text.index(word) + len(word))
    assert time.process_time() - started < 1.0
