"""A dialogue → the items of one chat as an app shows them: times, notices, quotes, cards, names.

The phrases that apps write (as against people) are our own, under CC0.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.screenshots.texts import Texts, Turn

NAMES = (
    "王小雨", "三栋李姐", "物业老周", "阿杰", "Linda", "陈晨", "Mr. Zhao", "小满", "橙子", "何工",
)  # fmt: skip
TITLES = {
    "zh": ("晨光家电旗舰店", "绿野户外客服", "一叶书屋", "星河通信在线客服", "阿姨厨房"),
    "en": ("Skyline Help", "Northline Support", "Maple Bank", "Orchid Hotels", "Parcel Desk"),
    "mixed": ("Global 海淘客服", "TravelMate 旅行", "Import 进口超市"),
    "rtl": ("תמיכה", "الدعم"),
}  # fmt: skip
DIVIDER = {"zh": "以下为新消息", "en": "Unread messages"}
NOTICES = {
    "zh": (
        "“{name}”撤回了一条消息",
        "你撤回了一条消息 重新编辑",
        "客服 {name} 为您服务",
        "您已进入人工服务，请描述您的问题",
        "以上是打招呼的内容",
        "对方已开启消息免打扰",
        "会话已结束，请对本次服务作出评价",
    ),
    "en": (
        "You are now served by {name}",
        "{name} deleted a message",
        "You deleted this message",
        "Messages are end-to-end encrypted",
        "{name} joined the chat",
        "This conversation has been closed",
    ),
}
GOODS = {
    "zh": (("静音加湿器 4L 大容量", "¥129.00"), ("登山鞋 防水 42码", "¥368.00"),
           ("不锈钢保温杯 500ml", "¥59.90"), ("人体工学椅 灰色", "¥899.00")),
    "en": (("Cabin suitcase, 38 L", "$79.00"), ("Noise-cancelling headset", "$129.99"),
           ("Desk lamp, warm white", "$24.50")),
}  # fmt: skip
# Our own lines; the OCR reads no Hebrew or Arabic, so only sides and order are asked of them.
RTL = (
    (0, "שלום, החבילה שלי עדיין לא הגיעה"),
    (1, "שלום, אני בודק את זה עכשיו"),
    (0, "כבר שבוע אני מחכה"),
    (1, "החבילה תגיע מחר בבוקר"),
    (0, "مرحبا، لم يصل الطلب حتى الآن"),
    (1, "نعتذر عن التأخير، سنتصل بك اليوم"),
    (0, "شكرا لكم"),
)
EMOJI = "😀😂😅😍🙏👍😭😡🎉🌹💪😱"
STICKERS = "🐼🐱🐶🐰🦊🐻🐸🐨"


@dataclass
class Item:
    """One thing in a chat.

    kind    message, time, notice, divider; or a bubble without a text of its own: sticker,
            picture, card, voice
    who     the writer, as in Turn; 0 where there is none
    number  its place in the chat; the same in every screenshot of it
    """

    kind: str
    who: int = 0
    text: str = ""
    number: int = 0
    name: str = ""  # shown above or in the bubble
    quote: str = ""
    clock: str = ""  # where the app writes one with every message
    receipt: str = ""  # where the app writes one beside or below the bubble
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Chat:
    items: tuple[Item, ...]
    title: str
    language: str
    group: bool
    owner: int  # whose phone it is: their bubbles stand on the right


def compose(
    rng: random.Random, texts: Texts, language: str, *, length: int, group: bool = False
) -> Chat:
    """A chat of about `length` messages in "zh", "en", "mixed" or "rtl", with what apps add."""
    words = "zh" if language in ("zh", "mixed") else "en"
    turns = _turns(rng, texts, language, length, group)
    owner = 0 if group else rng.randrange(2)
    names = rng.sample(NAMES, 6)
    minute = rng.randrange(8 * 60, 20 * 60)
    items = [Item("time", text=_stamp(rng, words, minute))]
    said: list[Turn] = []
    divider = rng.randrange(2, max(3, len(turns) - 1)) if rng.random() < 0.3 else -1
    for place, turn in enumerate(turns):
        minute += rng.choice((0, 0, 1, 1, 2, 5))
        if place and rng.random() < 0.16:
            minute = (minute + rng.randrange(20, 300)) % 1440
            items.append(Item("time", text=_stamp(rng, words, minute)))
        if place == divider:
            items.append(Item("divider", text=DIVIDER[words]))
        elif rng.random() < 0.10:
            text = rng.choice(NOTICES[words]).format(name=rng.choice(names))
            items.append(Item("notice", text=text))
        if rng.random() < 0.12:
            items.append(_wordless(rng, words, turn.who))
        items.append(
            Item(
                "message",
                turn.who,
                turn.text + ("" if rng.random() > 0.12 else rng.choice(EMOJI) * rng.randint(1, 2)),
                quote=_quote(rng, said, names),
            )
        )
        said.append(turn)
        for item in items[-2:]:
            if item.kind not in ("time", "notice", "divider"):
                item.name = names[item.who] if group and item.who != owner else ""
                item.clock = _clock(minute, words)
                item.receipt = _receipt(rng, words) if item.who == owner else ""
                account = names[item.who] if group else ("tb2071_55", "晨光旗舰店:小美")[item.who]
                day = f"2026-11-20 {_clock(minute, 'zh')}:{rng.randrange(60):02}"
                item.extra |= {"heading": (account, day), "last": False}
    own = [item for item in items if item.receipt and item.kind == "message"]
    for item in own[-1:]:
        item.extra["last"] = True  # the only one to be marked where an app marks one
    for number, item in enumerate(items):
        item.number = number
    title = rng.choice(TITLES[language])
    return Chat(tuple(items), f"{title}({rng.randint(5, 200)})" if group else title,
                language, group, owner)  # fmt: skip


def _turns(rng: random.Random, texts: Texts, language: str, length: int, group: bool) -> list[Turn]:
    if language == "rtl":
        start = rng.randrange(len(RTL))
        return [Turn(*RTL[(start + place) % len(RTL)]) for place in range(length)]
    turns: list[Turn] = []
    while len(turns) < length:
        turns += texts.group(rng) if group else texts.support(rng, language)
    return turns[:length]


def _wordless(rng: random.Random, words: str, who: int) -> Item:
    kind = rng.choice(("sticker", "picture", "card", "voice"))
    if kind == "voice":
        return Item("voice", who, f'{rng.randint(2, 59)}"')
    if kind == "card":
        title, price = rng.choice(GOODS[words])
        return Item("card", who, title, extra={"price": price, "hue": rng.randrange(360)})
    return Item(kind, who, extra={"glyph": rng.choice(STICKERS), "hue": rng.randrange(360)})


def _quote(rng: random.Random, said: Sequence[Turn], names: Sequence[str]) -> str:
    if not said or rng.random() > 0.08:
        return ""
    turn = rng.choice(said[-4:])
    return f"{names[turn.who]}：{turn.text[:30]}"


def _receipt(rng: random.Random, words: str) -> str:
    return rng.choice(("已读", "已读", "未读") if words == "zh" else ("Read", "Delivered", "Read"))


def _clock(minute: int, words: str) -> str:
    hour, minute = divmod(minute % 1440, 60)
    if words == "zh":
        return f"{hour}:{minute:02}"
    return f"{(hour - 1) % 12 + 1}:{minute:02} {'AM' if hour < 12 else 'PM'}"


def _stamp(rng: random.Random, words: str, minute: int) -> str:
    clock = _clock(minute, words)
    if words == "zh":
        hour = minute % 1440 // 60
        half = "凌晨" if hour < 6 else "上午" if hour < 12 else "下午" if hour < 18 else "晚上"
        twelve = f"{half}{(hour - 1) % 12 + 1}:{minute % 60:02}"
        month, day = rng.randint(1, 12), rng.randint(1, 28)
        return rng.choice((
            clock, f"昨天 {clock}", f"星期{rng.choice('一二三四五六日')} {twelve}",
            f"{month}月{day}日 {twelve}", f"2026年{month}月{day}日 {clock}",
            f"2026-{month:02}-{day:02} {clock}",
        ))  # fmt: skip
    day_name = rng.choice(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Sunday"))
    month_name = rng.choice(("Jan", "Mar", "May", "July", "September", "Nov"))
    return rng.choice((
        f"Today {clock}", f"Yesterday {clock}", f"{day_name} {clock}", "Yesterday", "Today",
        f"{day_name[:3]}, {month_name} {rng.randint(1, 28)} at {clock}",
        f"{month_name} {rng.randint(1, 28)}, 2026",
    ))  # fmt: skip
