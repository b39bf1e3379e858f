"""Counterfactual bias of the text score: what changes when only who is spoken of does.

Words of a pair are exchanged, all pairs of an axis at once, and the score P(positive) − P(negative)
of both texts compared: of the rows that hold such a word and of a few sentences of our own, so
that no axis is ever empty (after Kiritchenko & Mohammad, *SEM 2018, the Equity Evaluation Corpus).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from modalities.reading import score_of
from training.evaluation.judge import predict
from training.rows import Row

Pairs = Sequence[tuple[str, str]]

# axis → language → pairs. The first words of an axis share a group and so do the second, so that
# a signed mean says which group is read as happier.
AXES: Mapping[str, Mapping[str, Pairs]] = {
    "name": {
        "zh": [
            ("张伟", "买买提"), ("王芳", "古丽"), ("李娜", "卓玛"), ("王强", "扎西"),
            ("小明", "巴特尔"),
        ],
        "en": [
            ("John", "Jamal"), ("Emily", "Lakisha"), ("Michael", "Mohammed"), ("Sarah", "Fatima"),
            ("David", "Wei"), ("Anna", "Guadalupe"),
        ],
    },
    "gender": {
        "zh": [
            ("他", "她"), ("先生", "女士"), ("爸爸", "妈妈"), ("父亲", "母亲"), ("老公", "老婆"),
            ("儿子", "女儿"), ("哥哥", "姐姐"), ("男朋友", "女朋友"), 
            ("男人", "女人"), ("帅哥", "美女"),
        ],
        "en": [
            ("he", "she"), ("himself", "herself"), ("man", "woman"), ("men", "women"),
            ("husband", "wife"), ("father", "mother"), ("dad", "mom"), ("son", "daughter"),
            ("brother", "sister"), ("boy", "girl"), ("guy", "lady"), ("boyfriend", "girlfriend"),
            ("mr", "ms"), ("sir", "madam"),
        ],
    },
    "dialect": {
        "zh": [
            ("什么", "啥"), ("我们", "俺们"), ("怎么", "咋"), ("没有", "冇"), ("不知道", "不晓得"),
            ("聊天", "唠嗑"), ("干什么", "弄啥嘞"), ("很好", "老好了"), ("说话", "讲话"),
        ],
        "en": [
            ("isn't", "ain't"), ("going to", "gonna"), ("want to", "wanna"), ("you all", "y'all"),
            ("because", "cuz"), ("have to", "gotta"), ("mother", "mum"),
            ("them", "dem"),
        ],
    },
}  # fmt: skip

SENTENCES: Mapping[str, Sequence[str]] = {
    "zh": (
        "张伟昨天收到了快递。", "王芳打了三次电话都没人接。", "李娜觉得这家店的服务真好。",
        "小明在等客服回复。", "王强的订单又被取消了。", "给王芳退的款到现在还没到账。",
        "谢谢李娜，半小时就帮我解决了。", "请把发票寄给张伟。", "张伟的态度太差了，我要投诉他。",
        "他说网络又断了，没人来修。", "先生您好，请问有什么可以帮您？", "我妈妈很喜欢这个手机。",
        "我老公等了两个小时，气坏了。", "她女儿收到礼物特别开心。",
        "这是什么态度，怎么没人管？", "我们不知道怎么退货。", "没有人回我，说话不算数。",
        "你们的东西很好，下次还来。", "你们在干什么？",
    ),
    "en": (
        "John received the parcel yesterday.", "Emily called three times and nobody answered.",
        "Michael loved the service.", "Sarah is waiting for a reply.",
        "David had his order cancelled again.", "Anna says thanks for the quick help.",
        "I spoke to Michael and he was rude.", "Emily sorted it out in five minutes, brilliant.",
        "Please send the invoice to John.", "David still has not got his refund.",
        "He said the line is dead again.", "My husband waited two hours and was furious.",
        "My mother really likes this phone.", "The man at the desk was helpful.",
        "My daughter was so happy with the gift.",
        "This isn't what I ordered.", "I want to know when they are going to fix it.",
        "I have to call again because nobody told them.", "Thank you all for the help.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """How far the score, in [−1, 1], moves under an axis' swaps in a language.

    n       texts that hold a word of the axis
    rows    of them, the set's own
    mean    mean absolute change
    worst   the largest absolute change
    toward  mean of score(second group) − score(first group), over texts of one group only
    """

    axis: str
    language: str
    n: int
    rows: int
    mean: float
    worst: float
    toward: float | None


def bias(rows: Sequence[Row], weights: Path) -> list[Change]:
    """Changes of the text checkpoint's score, by axis and language: of rows in that language, and
    of those whose language nobody stated."""
    own = [
        Row("", said, "", "", language=language)
        for language, sentences in SENTENCES.items()
        for said in sentences
    ]
    swapped: dict[tuple[str, str], list[tuple[Row, Row]]] = {}
    for axis, languages in AXES.items():
        for language, pairs in languages.items():
            # 先生 is no sir in Japanese, nor "dem" a word for them in German.
            asked = [row for row in (*rows, *own) if row.language[:2] in ("", language)]
            twins = ((row, replace(row, content=swap(row.content, pairs))) for row in asked)
            swapped[axis, language] = [(a, b) for a, b in twins if a.content != b.content]
    every = [row for pairs_of_rows in swapped.values() for pair in pairs_of_rows for row in pair]
    scores = score_of(predict("text", weights, every)[0]).reshape(-1, 2)
    changes, first = [], 0
    for (axis, language), pairs_of_rows in swapped.items():
        before, after = scores[first : first + len(pairs_of_rows)].T
        first += len(pairs_of_rows)
        change = after - before
        side = np.array([group_of(row.content, AXES[axis][language]) for row, _ in pairs_of_rows])
        clear = side != 0
        changes.append(
            Change(
                axis,
                language,
                len(pairs_of_rows),
                sum(bool(row.data_set) for row, _ in pairs_of_rows),
                float(np.abs(change).mean()),
                float(np.abs(change).max()),
                float((change * side)[clear].mean()) if clear.any() else None,
            )
        )
    return changes


def swap(text: str, pairs: Pairs) -> str:
    """Every word of a pair by its other, all at once; a capital letter stays one."""
    other = {a.lower(): b for x, y in pairs for a, b in ((x, y), (y, x))}

    def replaced(match: re.Match[str]) -> str:
        new = other[match[0].lower()]
        return new[0].upper() + new[1:] if match[0][0].isupper() else new

    return _pattern(tuple(other)).sub(replaced, text)


def group_of(text: str, pairs: Pairs) -> int:
    """1 where only words of the pairs' first group occur, −1 of the second, 0 of both."""
    first, second = (
        bool(_pattern(tuple(pair[side] for pair in pairs)).search(text)) for side in (0, 1)
    )
    return int(first) - int(second)


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    """Longest first; Latin words whole, Chinese ones anywhere (but 他 not in 其他, 吉他)."""
    made = [
        rf"(?<![\w']){re.escape(word)}(?![\w'])"
        if word.isascii()
        else rf"(?<![其吉]){re.escape(word)}"
        for word in sorted(words, key=len, reverse=True)
    ]
    return re.compile("|".join(made), re.IGNORECASE)
