"""The facts of an explanation in words: fixed templates in Chinese and English, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fusion.pool import Fused
from modalities.reading import EMOTIONS, SENTIMENTS, Modality, Source, score_of
from modalities.text.language import LANGUAGES
from server.analysis import Analysis, Outcome, State

WORTH_TELLING = 0.15  # share of a term from which the sentence names it

_EN: Mapping[object, str] = {
    "positive": "positive", "neutral": "neutral", "negative": "negative",
    "modality.text": "text", "modality.voice": "recording", "modality.image": "picture",
    Source.TEXT: "the text's words", Source.TRANSCRIPT: "what is said in the recording",
    Source.VOICE: "the sound of the voice", Source.IMAGE_TEXT: "the words in the pictures",
    Source.VISION: "what the pictures show",
    State.ABSENT: "no {0} was sent", State.REJECTED: "the {0} could not be used",
    State.FAILED: "the service failed on the {0}",
    State.UNAVAILABLE: "a model for the {0} is not installed",
    "language": '{0} are in a language that is not read ("{1}"; read are {2})',
    "script": "{0} are in a script or of signs that are not read (languages that are read: {2})",
    "none": "there is no score, for nothing could be read",
    "sure": "the mood is {mood} (score {score:+.2f}, {sure:.0%} sure), most likely {emotion}",
    "abstained": "the service abstains: it is only {sure:.0%} sure, leaning towards {mood} "
    "(score {score:+.2f})",
    "main": "what counts most is {term} ({share:.0%}, towards {side})",
    "quotes": ", above all {0}", "stretch": "the stretch from {0:.1f} to {1:.1f} s",
    "against": "{term} contradicts it ({share:.0%}, towards {side})",
    "along": "{term} agrees ({share:.0%})",
    "unheard": "what is said in the recording is not known",
    "rules": "rules that fired: {0}",
    "term": "{term}: {share:.0%} of the answer, towards {side} ({contribution:+.2f} log-odds)",
    "still": "{term}: no part in the answer",
    "text_limit": "{0} further texts were not looked into: at most {1} windows of text are",
    "tokens": "{0} tokens of long texts were not looked into: at most {1} windows of text are",
    "picture_limit": "{0} further pictures were not looked into: at most {1} are",
    "busy": "{0} not looked into: too many explanations are under way",
    "words_failed": "the words were not looked into: the service failed on it",
    "the_words": "the words were", "the_regions": "the parts of pictures were",
    "quote": "“{0}”", "comma": ", ", "semicolon": "; ", "stop": ".",
}  # fmt: skip
_ZH: Mapping[object, str] = {
    "positive": "正面", "neutral": "中性", "negative": "负面",
    "modality.text": "文字", "modality.voice": "录音", "modality.image": "图片",
    Source.TEXT: "文字内容", Source.TRANSCRIPT: "录音中说的话", Source.VOICE: "说话的声音",
    Source.IMAGE_TEXT: "图片中的文字", Source.VISION: "图片的画面",
    State.ABSENT: "没有发送{0}", State.REJECTED: "{0}无法使用",
    State.FAILED: "服务处理{0}时出错", State.UNAVAILABLE: "没有安装读取{0}的模型",
    "language": "{0}的语言（“{1}”）无法读取，可读取的语言：{2}",
    "script": "{0}所用的书写系统或符号无法读取，可读取的语言：{2}",
    "none": "没有得分，因为没有可以读取的内容",
    "sure": "情绪为{mood}（得分{score:+.2f}，把握{sure:.0%}），最可能是{emotion}",
    "abstained": "服务不作判断：把握只有{sure:.0%}，偏向{mood}（得分{score:+.2f}）",
    "main": "影响最大的是{term}（占{share:.0%}，偏{side}）",
    "quotes": "，尤其是{0}", "stretch": "{0:.1f}至{1:.1f}秒这一段",
    "against": "{term}与此相反（占{share:.0%}，偏{side}）",
    "along": "{term}与此一致（占{share:.0%}）",
    "unheard": "录音中说了什么不得而知",
    "rules": "触发的规则：{0}",
    "term": "{term}：占结果的{share:.0%}，偏{side}（对数几率{contribution:+.2f}）",
    "still": "{term}：对结果没有影响",
    "text_limit": "另有{0}段文字未作分析：最多分析{1}个文本窗口",
    "tokens": "长文本中有{0}个词元未作分析：最多分析{1}个文本窗口",
    "picture_limit": "另有{0}张图片未作分析：最多分析{1}张",
    "busy": "未分析{0}：正在进行的解释太多",
    "words_failed": "未分析词语：服务处理时出错",
    "the_words": "词语", "the_regions": "图片的各部分",
    "quote": "“{0}”", "comma": "、", "semicolon": "；", "stop": "。",
}  # fmt: skip
_ZH_EMOTIONS = ("平静", "高兴", "愤怒", "难过", "害怕", "厌恶", "惊讶")  # in the order of EMOTIONS


class Phrases:
    """One language's templates, "zh" or "en"."""

    def __init__(self, language: str) -> None:
        self.language = "zh" if language.lower().startswith("zh") else "en"
        self._words = _ZH if self.language == "zh" else _EN

    def say(self, name: str, *values: object) -> str:
        """The template of that name, filled in."""
        return self._words[name].format(*values)

    def name(self, part: Modality | Source) -> str:
        return self._words[f"modality.{part}" if isinstance(part, Modality) else part]

    def term(self, part: Modality | Source, contribution: float, share: float) -> str:
        """A part of the answer."""
        return self._fill("term" if share else "still", part, contribution, share)

    def state(self, outcome: Outcome) -> str:
        """Why a modality is not used."""
        if outcome.unread is None:
            return self._words[outcome.state].format(self.name(outcome.modality))
        words = Source.TEXT if outcome.modality is Modality.TEXT else Source.IMAGE_TEXT
        language, languages = outcome.unread.language, self._words["comma"].join(LANGUAGES)
        return self.say("language" if language else "script", self.name(words), language, languages)

    def quoted(self, words: Sequence[str]) -> str:
        return self._words["comma"].join(self.say("quote", word) for word in words)

    def reason(
        self, analysis: Analysis, details: Mapping[Source, str], rules: Sequence[str]
    ) -> str:
        """The one sentence. `details` says of a source what in it counts most, where that is
        known."""
        clauses = [self._head(analysis.fused)]
        if analysis.fused is not None:
            clauses += self._causes(analysis.fused, details)
        for outcome in analysis.outcomes:
            if outcome.state is not State.USED:
                clauses.append(self.state(outcome))
            elif outcome.transcript and outcome.transcript.state is not State.USED:
                clauses.append(self.say("unheard"))
        if rules:
            clauses.append(self.say("rules", self._words["comma"].join(rules)))
        sentence = self._words["semicolon"].join(clauses) + self._words["stop"]
        return sentence[0].upper() + sentence[1:]

    def _head(self, fused: Fused | None) -> str:
        if fused is None:
            return self.say("none")
        emotion = int(np.argmax(fused.log_emotions))
        return self._words["abstained" if fused.abstained else "sure"].format(
            mood=self._words[SENTIMENTS[int(np.argmax(fused.log_sentiment))]],
            score=float(score_of(fused.log_sentiment)),
            sure=fused.confidence,
            emotion=_ZH_EMOTIONS[emotion] if self.language == "zh" else EMOTIONS[emotion],
        )

    def _causes(self, fused: Fused, details: Mapping[Source, str]) -> list[str]:
        """What pushed the answer to where it is, and what pushed the other way."""
        terms = sorted(fused.sources, key=lambda term: -term.share)
        is_positive = sum(term.contribution for term in terms) > 0
        along = [term for term in terms if (term.contribution > 0) is is_positive]
        if not along:  # all of them are zero
            return []
        main = along[0]
        clause = self._fill("main", main.source, main.contribution, main.share)
        if main.source in details:
            clause += self.say("quotes", details[main.source])
        clauses = [clause]
        for term in terms:
            if term is not main and term.share >= WORTH_TELLING:
                name = "along" if term in along else "against"
                clauses.append(self._fill(name, term.source, term.contribution, term.share))
        return clauses

    def _fill(self, name: str, part: Modality | Source, contribution: float, share: float) -> str:
        side = self._words["positive" if contribution > 0 else "negative"]
        return self._words[name].format(
            term=self.name(part), side=side, share=share, contribution=contribution
        )
