"""The one taxonomy, and the one table of what others call its labels.

The circumplex places an emotion label at (valence, arousal) in [-1, 1]: Mehrabian & Russell,
"Evidence for a three-factor theory of emotions", J. Research in Personality 11 (1977), table 1.
"""

from __future__ import annotations

import operator
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from modalities.reading import EMOTIONS, SENTIMENT_OF, SENTIMENTS

CIRCUMPLEX: Mapping[str, tuple[float, float]] = {
    "neutral": (0.0, 0.0),
    "happy": (0.81, 0.51),
    "angry": (-0.51, 0.59),
    "sad": (-0.63, -0.27),
    "fear": (-0.64, 0.60),
    "disgust": (-0.60, 0.35),
    "surprise": (0.40, 0.67),
}
_PLACES = tuple(zip(*(CIRCUMPLEX[name] for name in EMOTIONS), strict=True))  # 2 of 7

# Ours → what data sets and manifests call it, in lower case. `neutral` is an emotion and a
# sentiment at once: `our_labels` tells which is meant. Sticker categories stand here where they
# have one clear mood: praise, grinning and pleased with oneself are happy, 干架 is picking a
# fight, 敷衍 is going through the motions.
NAMES_OF: Mapping[str, str] = {
    "neutral": "neutral neutrality none calm neu no_emotion question "
    "中性 中立 平静 无情绪 敷衍 없음",
    "happy": "happy happiness joy joyful like love grateful excited content proud impressed hap "
    "快乐 高兴 开心 喜悦 喜好 夸奖 滑稽 自恋 기대감 감동/감탄 즐거움/신남 기쁨 환영/호의 "
    "안심/신뢰 행복 아껴주는 고마움 뿌듯함 흐뭇함(귀여움/예쁨) 존경 편안/쾌적",
    "angry": "angry anger annoyed furious frustration ang 愤怒 生气 气愤 干架 "
    "불평/불만 화남/분노 짜증 어이없음 의심/불신 지긋지긋",
    "sad": "sad sadness depress depressed devastated lonely disappointed disappointment "
    "悲伤 伤心 难过 哀伤 안타까움/실망 슬픔 절망 힘듦/지침 서러움 패배/자기혐오",
    "fear": "fear fearful afraid scared worried terrified anxious apprehensive anxiety fea "
    "恐惧 害怕 担心 불안/걱정 공포/무서움",
    "disgust": "disgust disgusted dis 厌恶 恶心 한심함 증오/혐오 역겨움/징그러움",
    "surprise": "surprise surprised astonished pleasant_surprise sur 惊讶 惊奇 惊喜 吃惊 놀람 경악",
    "positive": "positive pos 积极 正面 正向",
    "negative": "negative neg 消极 负面 负向",
    # Known, but none of ours: rows of these are left out without a word.
    "": "other others relaxed positive-other negative-other mixed confusion empathy sentimental "
    "jealous nostalgic guilty embarrassed ashamed anticipating prepared trusting faithful caring "
    "hopeful confident 其他 신기함/관심 깨달음 우쭐댐/무시함 부담/안_내킴 재미없음 비장함 귀찮음 "
    "부끄러움 불쌍함/연민 당황/난처 죄책감 "
    "回答 表情 反问 鹦鹉兄弟 文字 群聊 装逼 动图 鸽子 大佬 撤回 故事 工作 鸭子 三连 睡觉 抓获 b数 "
    "学习 药丸 咸鱼 搬砖 单身 斗图 裸辞 安排 操作 尔康 套路 背锅 天气 合体字",
}
_OURS = {name: ours for ours, names in NAMES_OF.items() for name in names.split()}


class Label(NamedTuple):
    """What a row's label says in our taxonomy; None where it says nothing."""

    emotion: str | None
    sentiment: str | None


def is_known(label: str) -> bool:
    """Whether the table has the label, or each of several joined by ``|``."""
    return all(_ours(name) is not None for name in label.split("|"))


def our_labels(labels: Sequence[str], sentiments: Sequence[str] = ()) -> list[Label]:
    """Each row's labels of ours, of all the labels of one set, (n,) both.

    `sentiments` are the set's own where it states them beside the emotions; they come before what
    follows from the emotion. Of several labels joined by ``|`` none is the emotion, and the
    sentiment is theirs where all that have one agree; labels that are not in the table say nothing.
    ``neutral`` is no emotion in a set whose other labels are sentiments.
    """
    said = {_ours(name) for label in labels for name in label.split("|")}
    emotions = set(EMOTIONS)
    if said & {"positive", "negative"} and not said & (emotions - {"neutral"}):
        emotions = set()
    found = []
    for row, label in enumerate(labels):
        ours = _ours(label)
        emotion = ours if ours in emotions else None
        own = _ours(sentiments[row]) if sentiments else None
        sentiment = next((name for name in (own, ours) if name in SENTIMENTS), None)
        found.append(Label(emotion, sentiment or SENTIMENT_OF.get(emotion or "") or _agreed(label)))
    return found


def _agreed(label: str) -> str | None:
    """The one sentiment of several joined labels."""
    parts = [_ours(name) or "" for name in label.split("|")]
    sentiments = {SENTIMENT_OF.get(part) for part in parts if len(parts) > 1} - {None}
    return sentiments.pop() if len(sentiments) == 1 else None


def _ours(name: str) -> str | None:
    return _OURS.get(unicodedata.normalize("NFKC", name).strip().casefold())


def valence_arousal(emotions: Sequence[float]) -> tuple[float, float]:
    """Expected (valence, arousal), each in [-1, 1], of probabilities (7,) over EMOTIONS."""
    valence, arousal = (sum(map(operator.mul, emotions, places)) for places in _PLACES)
    return valence, arousal
