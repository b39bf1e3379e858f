"""The sentence that sums an answer up: what contradicts, what is not known, and why."""

from __future__ import annotations

import numpy as np
import pytest
from words_read import VIETNAMESE

from modalities.errors import LanguageError
from modalities.reading import Modality, Quality, Reading, Source
from modalities.text.language import LANGUAGES
from server.analysis import Analysis, Outcome, State
from server.models import Models
from server.reason import Phrases


def reading(source: Source, positive: float, negative: float) -> Reading:
    sentiment = np.log(np.array([positive, 1 - positive - negative, negative], np.float32))
    happy, angry = positive, negative
    emotions = np.array([1 - happy - angry - 0.05, happy, angry] + [0.0125] * 4, np.float32)
    quality = Quality(characters=20) if source is Source.TEXT else Quality(speech_s=4, snr_db=20)
    return Reading(source, sentiment, np.log(emotions), np.zeros(1, np.float32), quality)


@pytest.mark.parametrize(("language", "word"), [("en", "contradicts"), ("zh", "相反")])
def test_sources_that_contradict_one_another_are_told(
    loaded: Models, language: str, word: str
) -> None:
    text, voice = reading(Source.TEXT, 0.9, 0.03), reading(Source.VOICE, 0.03, 0.9)
    (fused,) = loaded.fusion.infer([[text, voice]])
    outcomes = [
        Outcome(Modality.TEXT, readings=[text]),
        Outcome(Modality.VOICE, readings=[voice]),
        Outcome(Modality.IMAGE, State.REJECTED),
    ]
    reason = Phrases(language).reason(Analysis(outcomes, fused), {}, [])
    assert word in reason
    assert ("could not be used" if language == "en" else "无法使用") in reason
    agreeing = Analysis(outcomes, loaded.fusion.infer([[text]])[0])
    assert word not in Phrases(language).reason(agreeing, {}, [])


def test_an_abstention_is_told(loaded: Models) -> None:
    unsure = reading(Source.TEXT, 0.34, 0.33)
    (fused,) = loaded.fusion.infer([[unsure]])
    assert fused.abstained
    outcomes = [Outcome(Modality.TEXT, readings=[unsure])]
    reason = Phrases("en").reason(Analysis(outcomes, fused), {}, [])
    assert reason.startswith("The service abstains")
    nothing = Phrases("en").reason(Analysis([Outcome(Modality.TEXT, State.FAILED)]), {}, [])
    assert "no score" in nothing and "failed on the text" in nothing


@pytest.mark.parametrize("content", [VIETNAMESE, "ᚠᚢᚦᚨᚱᚲ"], ids=["language", "script"])
@pytest.mark.parametrize("modality", [Modality.TEXT, Modality.IMAGE])
def test_words_that_are_not_read_are_told_with_what_is(
    loaded: Models, modality: Modality, content: str
) -> None:
    assert loaded.text is not None
    with pytest.raises(LanguageError) as found:
        loaded.text.prepare(content)
    outcome = Outcome(modality, State.UNAVAILABLE, unread=found.value)
    english, chinese = (Phrases(one).reason(Analysis([outcome]), {}, []) for one in ("en", "zh"))
    assert "not installed" not in english and "安装" not in chinese
    assert ", ".join(LANGUAGES) in english and "、".join(LANGUAGES) in chinese
    if content == VIETNAMESE:
        assert '"vi"' in english and "“vi”" in chinese
    else:
        assert "script" in english and "符号" in chinese
