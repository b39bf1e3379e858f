"""Whether a Chinese sentence denies a word, or asks about it.

As in English a negator denies what words join it to that carry it on: 我*不是来要*投诉. Many words
hold a negator without being one (不但, 不好意思), say that something cannot be had (不给, 没法), or
hold two (不得不): these end the reach of what stands before them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from server.strategy.passage import Passage

MOST_CARRIED = 12  # words between a negator and what it denies


def _words(*text: str) -> frozenset[str]:
    return frozenset(" ".join(text).split())


# Those in the second line also say that it is not wanted.
UNWANTING = _words(
    "无需 无须 毋需 毋须 免了 用不着 犯不着 犯不上 没必要 没有必要 不至于 谈不上 算不上",
    "称不上 说不上 懒得 无意 无心 放弃 撤销 撤回",
)
NEGATORS = UNWANTING | _words(
    "不 没 没有 无 未 别 勿 甭 莫 唔 冇 咪 并非 毫无 不可能 以为 别以为",
    "不要以为 莫以为",
)
NOT_NEGATORS = _words(
    # words of another meaning
    "不过 不但 不仅 不光 不只 不单 不止 不断 不停 不好意思 对不起 不错",
    "不满 不满意 不爽 不行 不如 不妨 不惜 不然 要不 要不然 要不是 差不多 不久 不少 不同 不管",
    "不论 不料 不便 不服 不公 没想到 不愧 不幸 不知道 不知 不懂 不明白 不晓得 无奈 无语",
    "无论 无非 别的 别人 特别 区别 级别 个别 分别 告别 别家 没用 没有用 没完 不好 不对 不到",
    "巴不得 有没有 是不是 要不要 能不能 会不会 可不可以 想不想 该不该 好不好 行不行 用不用",
    # twice denied, or no denial
    "不得不 不能不 不会不 不可能不 不由得 不得已 不禁 禁不住 忍不住 不排除 不怕 别逼 别让 别怪",
    "不怪",
    # it cannot be had, or nobody is there for it
    "不能 不可以 不可 不给 不肯 不让 不许 不允许 不支持 不同意 不认 无法 没法 没办法",
    "没给 没收到 没有收到 没到账 没人 没有人 无人",
)
WANTING = _words(
    "要 想 打算 准备 计划 考虑 用 必 必要 需 需要 须 愿意 希望 求 要求 为了 为 找 申请 提",
    "急着 使 非要 是来",
)
SAYING = _words("说 觉得 认为 感觉 以为")
# Before 我, where that is no subject of its own.
LEADING = SAYING | _words("别以为 不要以为 莫以为 给 帮 为")
CARRYING = WANTING | (SAYING - NEGATORS) | _words(
    "是 系 来 去 到 会 有 什么 啥 甚么 任何 任何的 一点 半点 半句 丝毫 可 好 值得",
    "对 过 你 你们 您 他 他们 她 它 贵司 贵公司 贵行 公司 客服 商家 卖家 店家 店铺 平台",
    "银行 小哥 师傅 谁 人 法院 这 这个 这家 这点 那 那个 此 该 小事 事 点 点事 再 真 真的 也 都",
    "进行 提出 提起 办理 办 发起 走 请 叫 喊 联系 打 打电话 向 跟 和 同 因为 马上 现在 暂时 目前",
    "继续 特意 专门 故意 真心 意思 意图 想法 理由 兴趣 心思 精力 时间 写 上 网 当面 怎么 太 多 得",
    "把 钱 的 帮 给 个 啲 乜 嘢",
)  # fmt: skip
SELVES = _words("我 我们 咱 咱们 俺 本人")
OTHERS = _words("你 你们 您 他 他们 她 她们 商家 卖家 店家 店铺 平台 客服 公司 银行 人家 对方")
NEEDING = _words("用 必 需 需要 须 必要 使") | UNWANTING
BESIDES = _words(
    "真 真的 也 都 可 并 倒 其实 现在 暂时 先 从来 从 一直 绝对 肯定 根本 完全 确实 是 只是 就",
    "本来 会 又 暂",
)
REFUSING = _words("一直 就是 还 又 死活 拒 拒绝 迟迟 坚持 总 总是 老 老是 始终 仍 仍然 再 说")

_WORDS = sorted(
    NEGATORS | NOT_NEGATORS | CARRYING | SELVES | OTHERS | BESIDES | REFUSING, key=len, reverse=True
)  # fmt: skip
_TOKEN = re.compile("|".join(map(re.escape, _WORDS)) + r"|[a-z0-9]+|.", re.DOTALL)
_CJK = r"\u3400-\u9fff"
_APART = re.compile(rf"[,:、\"“”()「」『』—~～]|(?<=[{_CJK}])\s+(?=[{_CJK}])|(?<=[{_CJK}])\s+$")

_THOUGHT = re.compile(r"(?:的|之类的?)?(?:意思|意图|想法|打算|必要|念头|理由|冲动|需求|计划|道理)")
_UNWANTED = re.compile(
    r"\s*(?:的?(?:事情?|话)|什么的|之类的|这些|那些|方面|呢|嘛)?[,:]?\s*"
    r"(?:我(?:就|可|也|真|是)*不(?:要|想|需要|用|必|会|考虑|打算)*(?:(?P<again>\w+)|的?$|[,:])|"
    r"(?:我|就|倒|也|都|真的?|还是|暂时|先|是)*"
    r"(?:(?:不用|不必|不需要|不要|不考虑|不想)(?=了|$|[,:])|免了|不至于|没必要|没有必要|大可不必|犯不着"
    r"|谈不上|算不上|就算了|就不了))"
)
_WITHDRAWN = re.compile(r"\s*,?(?:我|已经?|都|就|要|想|由本人)*(?:撤|撤销|撤回)(?:了|掉|$|[,:])")
_NO = re.compile(r"\?+\s*(?:不用|不必|不要|不会|不是|不存在|没有的事|算了)")
_ELSE = re.compile(  # what happens unless it is done
    r"(?:了|谁)?(?:是|都|真|真的|你们?|他们|您|根本|永远|就|一下)*"
    r"(?:不行|不可|不成|才怪|对不起|没人|没法|白不|不(?:知道|会|改|解决|处理|理|管|重视|长))"
)
_INSTEAD = re.compile(r"了|\s*,\s*(?:我?只|就?换|改|帮我换)")
_TAG = re.compile(r"(?:了|的)?(?:吗|么|嘛|吧|呢)?$")
_RHETORICAL = re.compile(
    r"难道|谁说|怎么能|怎能|岂能|哪能|凭什么|为什么|为何|为啥|干嘛|怎么还|怎么就"
)
_ASKED = re.compile(
    r"怎么(?!还|不|没|又|老|总|这么|那么|能|可能|就|回事|办|说)|怎样|如何|多久|多长时间|几天|几个|多少|什么时候|何时"
    r"|哪|谁|是不是|是否|有没有|请问|想问|问一下|问下|问问|咨询|请教|(?<![为凭个么没])什么(?!什么)|(?<![为没])啥"
)
_ANY = re.compile(r"(?:吗|么|呢)\s*$")
_CAN = re.compile(r"能|可以|可否|可不可以|帮我|给我|麻烦")
_CLAIMED = re.compile(r"(?:要|想|必须|要求|坚持|打算|准备|得)(?:去|来)?$")


def denies(passage: Passage) -> bool:
    """Whether the word of `passage` is denied by what stands before or after it."""
    unwanted = _UNWANTED.match(passage.after)
    if unwanted and (not unwanted["again"] or unwanted["again"].startswith((passage.word, "了"))):
        return True
    if not passage.is_owed and _WITHDRAWN.match(passage.after):
        return True
    if not passage.after.strip() and _NO.match(passage.rest):
        return True
    clause = _before(passage)
    tokens = _TOKEN.findall(clause)
    negators, carried = _chain(tokens)
    if len(negators) % 2 == 0 or _RHETORICAL.search(clause) or _ELSE.match(passage.after):
        return False
    ending = _APART.split(passage.after, maxsplit=1)[0]
    if (passage.is_question or ending.endswith(("吗", "么", "吧"))) and _TAG.fullmatch(ending):
        return False
    return not passage.is_owed or _is_unwanted(passage, tokens, min(negators), carried)


def _is_unwanted(passage: Passage, tokens: Sequence[str], first: int, carried: set[str]) -> bool:
    """Whether something that a customer waits for is not wanted, rather than not given."""
    negator, before = tokens[first], tokens[first - 1] if first else ""
    carried |= set(_TOKEN.findall(passage.word)) | {negator}
    subject = next((one for one in reversed(tokens[:first]) if one not in BESIDES), "")
    if _THOUGHT.match(passage.after):
        return True
    if subject in OTHERS:
        return not carried.isdisjoint(NEEDING)
    if not carried.isdisjoint(WANTING | UNWANTING):
        return True
    if before in REFUSING or negator not in ("不", "别", "甭"):
        return False
    return (
        negator != "不"
        or subject in SELVES
        or before in ("先", "暂", "暂时")
        or _INSTEAD.match(passage.after) is not None
    )


def _chain(tokens: Sequence[str]) -> tuple[list[int], set[str]]:
    """Which negators the end of `tokens` is joined to, and the words between."""
    negators: list[int] = []
    carried: set[str] = set()
    for at in range(len(tokens) - 1, max(-1, len(tokens) - 1 - MOST_CARRIED), -1):
        token, before = tokens[at], tokens[at - 1] if at else ""
        if token == "以为" and not negators:
            break  # what is thought wrongly to be, not what is thought not to be
        if token in NEGATORS:
            negators.append(at)
        elif token in CARRYING or (token in SELVES and before in LEADING):
            carried.add(token)
        else:
            break
    return negators, carried


def asks(passage: Passage) -> bool:
    """Whether the word of `passage` is in a question that wants to know something: not why, and not
    whether it can be had, which asks for it."""
    before = _before(passage)
    after = _APART.split(passage.after, maxsplit=1)[0]
    if _CLAIMED.search(before) or _RHETORICAL.search(before):
        return False
    if _ASKED.search(before) or _ASKED.search(after):
        return True
    return _ANY.search(after) is not None and not _CAN.search(before)


def _before(passage: Passage) -> str:
    """The clause as far as the word. A space between Chinese words parts clauses, one before a word
    of another script does not."""
    is_chinese = re.match(f"[{_CJK}]", passage.word) is not None
    return _APART.split(passage.before if is_chinese else passage.before.rstrip())[-1]
