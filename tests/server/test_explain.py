"""Explanations: they add up, point to where things are, say what is missing, hold nothing up."""

from __future__ import annotations

import asyncio
import copy
import io
import logging
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import server_media as media
from drawn_chat import LEFT, chat
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest
from emotion.v1.explanation_pb2 import Explanation
from emotion.v1.types_pb2 import ModalityResult, SourceResult
from rich.console import Console
from server_process import in_process

import server.explain
import weights
from fusion.combine import combine, recency
from modalities.image.prepare import PreparedImage
from modalities.reading import NEGATIVE, POSITIVE, Modality, Reading
from modalities.voice.infer import VoiceReader
from modalities.voice.prepare import decode
from server.analysis import Analysis, Call, Content, Outcome
from server.checks import call_of, emotion_content
from server.explain import explain
from server.models import Models
from server.moments import Advice
from server.pipeline import Pipeline
from server.runner import MAX_EXPLANATIONS
from server.show import show_explanation

CHINESE = re.compile(r"[\u3400-\u9fff]")
ROUNDED = 0.1  # log-odds that rounding to eight bits may move: gradients are of fp32
ADVICE = Advice("apologise", 0, None, 80, (), {"en": "-", "zh": "-"}, {"score": -0.5, "text": "?"})


@dataclass(frozen=True)
class Explained:
    content: Content
    analysis: Analysis
    explanation: Explanation

    def outcome(self, modality: Modality) -> Outcome:
        return next(one for one in self.analysis.outcomes if one.modality is modality)


async def ask(
    pipeline: Pipeline,
    request: AnalyzeEmotionRequest,
    language: str = "en",
    advice: Sequence[Advice] = (),
) -> Explained:
    call, content = call_of(request, None), emotion_content(request, pipeline.settings)
    analysis = await pipeline.analyze_content(content, call)
    found = await explain(analysis, content, advice, language, call, pipeline.runner)
    return Explained(content, analysis, found)


def two_stretches() -> bytes:
    """The recording's beginning and end with silence between them."""
    samples = decode(media.recording(), max_duration_s=60).samples
    second = media.RATE_HZ
    silent = np.zeros(2 * second, np.float32)
    return media.wav(np.concatenate([samples[: 3 * second], silent, samples[-5 * second :]]))


def log_odds_of(reading: Reading) -> float:
    return float(reading.log_sentiment[POSITIVE] - reading.log_sentiment[NEGATIVE])


@pytest.fixture(scope="module")
def everything(loaded: Models) -> Explained:
    """Of a text, a recording, a screenshot and a photo at once."""
    request = media.request(
        media.SENTENCE, two_stretches(), media.screenshot(), media.encode(media.portrait())
    )
    return in_process(loaded, lambda pipeline: ask(pipeline, request, "zh-CN", [ADVICE]))


def test_terms_add_up_to_the_fused_log_odds(everything: Explained) -> None:
    explanation, fused = everything.explanation, everything.analysis.fused
    assert fused is not None
    terms = explanation.terms
    log_odds = fused.log_sentiment[POSITIVE] - fused.log_sentiment[NEGATIVE]
    assert explanation.log_odds == pytest.approx(log_odds, abs=1e-4)
    assert sum(term.contribution for term in terms) == pytest.approx(log_odds, abs=1e-4)
    assert sum(term.share for term in terms) == pytest.approx(1, abs=1e-5)
    assert SourceResult.SOURCE_UNSPECIFIED not in {term.source for term in terms}
    by_modality = sum(m.contribution for m in explanation.modalities)
    assert by_modality == pytest.approx(log_odds, abs=1e-4)


def test_every_text_is_explained_within_two_percent(everything: Explained) -> None:
    texts = everything.explanation.texts
    assert texts[0].source == SourceResult.TEXT
    lines = everything.outcome(Modality.IMAGE).lines
    for text in texts:
        added = text.base + sum(word.contribution for word in text.words)
        change = abs(text.log_odds - text.base)
        assert added == pytest.approx(text.log_odds, abs=text.completeness_error * change + 1e-5)
        assert text.completeness_error <= 0.02 + ROUNDED / change
        is_line = text.source == SourceResult.IMAGE_TEXT
        whole = lines[text.index].read.text if is_line else media.SENTENCE
        assert all(whole[word.start : word.end] == word.text for word in text.words)
    read = {text.index for text in texts if text.source == SourceResult.IMAGE_TEXT}
    assert read and {str(lines[index].role) for index in read} == {"CUSTOMER"}


def test_each_text_is_explained_as_it_was_read(everything: Explained, loaded: Models) -> None:
    """A message in a picture with the turns before it, which change what it says."""
    assert loaded.text is not None
    lines = everything.outcome(Modality.IMAGE).lines
    moved = []
    for text in everything.explanation.texts:
        if text.source == SourceResult.TEXT:
            (read,) = everything.outcome(Modality.TEXT).readings
        else:
            words = lines[text.index].words
            assert words is not None
            read = words
            (alone,) = loaded.text.infer([loaded.text.prepare(lines[text.index].read.text)])
            moved.append(abs(log_odds_of(alone) - text.log_odds))
        assert text.log_odds == pytest.approx(log_odds_of(read), abs=1e-4)
    assert max(moved) > 0.01


def test_a_stretch_of_speech_moves_what_leaving_it_out_changes(everything: Explained) -> None:
    outcome = everything.outcome(Modality.VOICE)
    assert outcome.transcript is not None
    speeches, stretches = outcome.transcript.segments, everything.explanation.stretches
    assert len(stretches) == len(speeches) > 1
    (whole,) = outcome.readings
    for left, stretch in enumerate(stretches):
        others = [speech for index, speech in enumerate(speeches) if index != left]
        without = combine([s.readings[0] for s in others], [s.end_s - s.start_s for s in others])
        assert stretch.sound_effect == pytest.approx(whole.score - without.score, abs=1e-5)
        assert stretch.start_offset.ToNanoseconds() / 1e9 == pytest.approx(speeches[left].start_s)
        assert not stretch.HasField("words_effect")


def test_a_message_in_a_picture_moves_its_side(everything: Explained) -> None:
    outcome = everything.outcome(Modality.IMAGE)
    messages = {one.index: one for one in everything.explanation.messages}
    assert set(messages) == {i for i, line in enumerate(outcome.lines) if line.reading}
    for side in outcome.sides:
        places = [outcome.lines.index(line) for line in side.lines]
        readings = [line.reading for line in side.lines if line.reading]
        assert len(readings) > 1
        weights = recency(len(readings))
        for left, place in enumerate(places):
            without = combine(
                readings[:left] + readings[left + 1 :], weights[:left] + weights[left + 1 :]
            )
            moved = side.reading.score - without.score
            assert messages[place].effect == pytest.approx(moved, abs=1e-5)
            box = messages[place].box
            assert (box.left, box.top, box.right, box.bottom) == outcome.lines[place].read.box


def test_regions_cover_the_face_and_one_of_them_matters(everything: Explained) -> None:
    regions = everything.explanation.regions
    photo = everything.outcome(Modality.IMAGE).pictures[1]
    assert isinstance(photo, PreparedImage)
    assert {region.page for region in regions} == {1}
    areas = [(r.box.right - r.box.left) * (r.box.bottom - r.box.top) for r in regions]
    assert 0.5 < sum(areas) / (photo.width * photo.height) < 0.8  # the face is two thirds of it
    assert max(abs(region.effect) for region in regions) > 0.01


def test_the_reason_is_in_the_callers_language(everything: Explained, loaded: Models) -> None:
    explanation = everything.explanation
    assert explanation.language == "zh"
    assert CHINESE.search(explanation.reason) and explanation.reason.endswith("。")
    assert "apologise" in explanation.reason and "差" in explanation.reason
    assert all(CHINESE.search(term.description) for term in explanation.terms)
    (rule,) = explanation.rules
    assert rule.rule == "apologise" and rule.facts["score"] == -0.5

    request = media.request("This is the worst service ever, I want my money back!")
    english = in_process(loaded, lambda pipeline: ask(pipeline, request, "de")).explanation
    assert english.language == "en"
    assert english.reason.count(".") >= 1 and english.reason.endswith(".")
    assert "negative" in english.reason and "worst" in english.reason
    assert "no recording was sent" in english.reason and "no picture was sent" in english.reason
    assert not CHINESE.search(str(english))


def test_without_a_text_model_the_rest_is_explained(loaded: Models) -> None:
    lacking = copy.copy(loaded)
    lacking.text, lacking.missing = None, {**loaded.missing, "text": loaded.missing["whisper"]}
    request = media.request(media.SENTENCE, media.recording())
    found = in_process(lacking, lambda pipeline: ask(pipeline, request)).explanation
    assert not found.texts and found.stretches
    assert found.modalities[0].state == ModalityResult.UNAVAILABLE
    assert "a model for the text is not installed" in found.reason


def test_what_is_said_in_a_recording_is_explained(loaded: Models, whisper_checkpoint: Path) -> None:
    hearing = copy.copy(loaded)
    hearing.voice = VoiceReader.load_whisper(
        str(whisper_checkpoint), Path(), "cpu", weights.path_of("voice")
    )
    hearing.missing = {name: e for name, e in loaded.missing.items() if name != "whisper"}
    request = media.request(None, two_stretches())
    found = in_process(hearing, lambda pipeline: ask(pipeline, request))
    transcript = found.outcome(Modality.VOICE).transcript
    assert transcript is not None
    said = {i for i, speech in enumerate(transcript.segments) if speech.text}
    texts = found.explanation.texts
    assert said and {text.index for text in texts} == said
    for text in texts:
        assert text.source == SourceResult.TRANSCRIPT
        assert text.completeness_error <= 0.02 + ROUNDED / abs(text.log_odds - text.base)
        spoken = transcript.segments[text.index]
        assert text.log_odds == pytest.approx(log_odds_of(spoken.readings[1]), abs=1e-4)
        whole = spoken.text
        assert all(whole[word.start : word.end] == word.text for word in text.words)
    moved = [one for one in found.explanation.stretches if one.HasField("words_effect")]
    assert {one.index for one in moved} == said


def test_words_that_cannot_be_looked_into_leave_the_shares(
    loaded: Models, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(pipeline: Pipeline) -> Explanation:
        request = media.request(media.SENTENCE)
        call, content = call_of(request, None), emotion_content(request, pipeline.settings)
        analysis = await pipeline.analyze_content(content, call)
        spoilt = copy.copy(loaded.text)
        assert spoilt is not None
        del spoilt.model  # it has lost its weights since
        pipeline.runner.models_of(call).text = spoilt
        return await explain(analysis, content, [], "en", call, pipeline.runner)

    with caplog.at_level(logging.ERROR):
        found = in_process(loaded, work)
    assert found.terms and not found.texts
    assert found.left_out == ["the words were not looked into: the service failed on it"]
    assert media.SENTENCE not in caplog.text


def test_of_a_long_text_the_window_that_was_scored_is_explained(loaded: Models) -> None:
    calm, angry = "The parcel is on the table. " * 40, "I hate this, what a terrible service! "
    found = in_process(loaded, lambda pipeline: ask(pipeline, media.request(calm + angry)))
    (text,) = found.explanation.texts
    (read,) = found.outcome(Modality.TEXT).readings
    assert text.log_odds == pytest.approx(log_odds_of(read), abs=1e-4)
    assert text.omitted_tokens > 0 and text.words[-1].end == len(calm + angry) - 1
    assert min(text.words, key=lambda word: word.contribution).start >= len(calm)
    assert not found.explanation.left_out  # the other windows have no part in the answer


def test_of_many_texts_those_that_count_most_are_explained(
    loaded: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.explain, "MAX_TEXTS", 1)
    lines = ("The parcel is here", "I hate you, this is terrible", "I hate it")
    request = media.request(None, None, chat(*((LEFT, line) for line in lines)))
    found = in_process(loaded, lambda pipeline: ask(pipeline, request)).explanation
    (text,) = found.texts
    most = max(found.messages, key=lambda message: abs(message.effect))
    assert text.source == SourceResult.IMAGE_TEXT and text.index == most.index
    assert found.left_out == ["2 further texts were not looked into: at most 1 windows of text are"]


def test_explanations_hold_up_nothing_and_too_many_are_left_out(loaded: Models) -> None:
    async def work(pipeline: Pipeline) -> None:
        runner, free = pipeline.runner, threading.Event()
        call = Call("held")
        held = [
            asyncio.create_task(runner.explain(call, free.wait)) for _ in range(MAX_EXPLANATIONS)
        ]
        await asyncio.sleep(0)
        # The one thread is taken, and as many wait as may: others are answered, and this one is
        # explained but for what needs the thread.
        plain = await pipeline.analyze(media.request(media.SENTENCE))
        assert plain.fused.HasField("score")
        busy = (await ask(pipeline, media.request(media.SENTENCE))).explanation
        assert busy.terms and not busy.texts
        assert busy.left_out == [
            "the words were not looked into: too many explanations are under way"
        ]
        free.set()
        await asyncio.gather(*held)
        task = asyncio.create_task(ask(pipeline, media.request(media.SENTENCE)))
        turns = 0
        while not task.done():  # the loop turns while gradients are taken
            await asyncio.sleep(0.001)
            turns += 1
        assert turns > 3
        assert task.result().explanation.texts

    in_process(loaded, work)


def test_a_deadline_that_passes_is_a_timeout(loaded: Models) -> None:
    async def work(pipeline: Pipeline) -> None:
        request = media.request(media.SENTENCE)
        call, content = call_of(request, None), emotion_content(request, pipeline.settings)
        analysis = await pipeline.analyze_content(content, call)
        call.deadline = time.monotonic() - 1
        with pytest.raises(TimeoutError):
            await explain(analysis, content, [], "en", call, pipeline.runner)

    in_process(loaded, work)


def test_it_can_be_printed(everything: Explained) -> None:
    console = Console(file=io.StringIO(), width=400)
    show_explanation(everything.explanation, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert everything.explanation.reason in printed
    assert media.SENTENCE in printed
    assert "picture 2" in printed and "sound moved" in printed
