"""An answer → why it is what it is: exact shares, words, stretches of speech, parts of pictures.

What is exact (shares, what a stretch or a message moved) comes from the readings at hand. Words
need gradients of the text model, parts of pictures new answers of the vision encoder: both are
bounded, and what is left out is said.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from emotion.v1.explanation_pb2 import (
    Explanation,
    MessageExplanation,
    ModalityExplanation,
    RegionExplanation,
    RuleExplanation,
    SpeechExplanation,
    TextExplanation,
    WordContribution,
)
from emotion.v1.types_pb2 import Box, ModalityResult, SourceResult
from emotion.v1.types_pb2 import Modality as ModalityValue

from fusion.combine import recency
from fusion.leave_out import effects
from modalities.errors import OverloadedError
from modalities.image.explain import cells, occluded, shown
from modalities.image.ocr import Box as PixelBox
from modalities.image.prepare import PreparedImage
from modalities.image.sides import Side
from modalities.reading import Modality, Reading, Source
from modalities.text.explain import explain_text
from modalities.text.infer import TextReader
from modalities.text.prepare import Turn
from server.analysis import Analysis, Call, Content, Line, Outcome, Role, Speech, State
from server.convert import duration_of, role_value
from server.logs import LOG
from server.moments import Advice
from server.reason import Phrases
from server.runner import WHOLE_REQUEST, Runner, together
from server.turns import Said

MAX_TEXTS = 8  # looked into word by word, of each one window
MAX_PICTURES = 2  # looked into part by part
MAX_QUOTES = 3  # words that the sentence names of one source

Effects = dict[int, float]  # by index


@dataclass(frozen=True)
class _Words:
    """A text that can be looked into, and the turns that it was read with; `weight` is about its
    share in the answer."""

    source: Source
    index: int
    text: str
    before: Sequence[Turn]
    weight: float


async def explain(
    analysis: Analysis,
    content: Content,
    advice: Sequence[Advice],
    language: str,
    call: Call,
    runner: Runner,
) -> Explanation:
    """Why `analysis` of `content`, whose sender is the customer, came out so.

    In Chinese where `language` is a "zh…" tag, else in English. Where the service is too busy to
    look into a part, or fails on it, the explanation says so; raises TimeoutError where the
    deadline passes.
    """
    phrases = Phrases(language)
    explanation = Explanation(
        language=phrases.language,
        rules=[_rule(one) for one in advice],
        modalities=[_modality(outcome, analysis, phrases) for outcome in analysis.outcomes],
    )
    details: dict[Source, str] = {}
    if analysis.fused is not None:
        terms = analysis.fused.sources
        explanation.log_odds = sum(term.contribution for term in terms)
        for term in terms:
            explanation.terms.add(
                source=SourceResult.Source.Value(term.source.name),
                contribution=term.contribution,
                share=term.share,
                description=phrases.term(term.source, term.contribution, term.share),
            )
        with call.stage("explain"):
            await _look(explanation, analysis, content, phrases, call, runner)
        details = _details(explanation, phrases)
    explanation.reason = phrases.reason(analysis, details, [one.rule for one in advice])
    return explanation


async def _look(
    explanation: Explanation,
    analysis: Analysis,
    content: Content,
    phrases: Phrases,
    call: Call,
    runner: Runner,
) -> None:
    """Fill in the parts of the explanation that need a look into the content."""
    assert analysis.fused is not None
    by_modality = {outcome.modality: outcome for outcome in analysis.outcomes}
    voice, image = by_modality[Modality.VOICE], by_modality[Modality.IMAGE]
    speeches = voice.transcript.segments if voice.transcript else []
    sound, said = await runner.prepare(
        call,
        Modality.VOICE,
        lambda: [_speech_effects(speeches, s) for s in (Source.VOICE, Source.TRANSCRIPT)],
    )
    written = await runner.prepare(call, Modality.IMAGE, lambda: _line_effects(image.lines))
    explanation.stretches.extend(
        SpeechExplanation(
            index=index,
            start_offset=duration_of(speech.start_s),
            end_offset=duration_of(speech.end_s),
            sound_effect=sound.get(index),
            words_effect=said.get(index),
        )
        for index, speech in enumerate(speeches)
    )
    explanation.messages.extend(
        MessageExplanation(
            index=index,
            page=(line := image.lines[index]).read.page,
            box=_box(line.read.box),
            role=role_value(line.role),
            effect=effect,
        )
        for index, effect in sorted(written.items())
    )
    share = {source.source: source.share for source in analysis.fused.sources}
    texts: list[_Words] = []
    if content.text is not None and Source.TEXT in share:
        texts.append(_Words(Source.TEXT, 0, content.text.content, (), share[Source.TEXT]))
    customers = {i: e for i, e in written.items() if image.lines[i].role is Role.CUSTOMER}
    turns = _turns_before(image.lines)
    spoken = {i: (effect, speeches[i].text, ()) for i, effect in said.items()}
    shown = {i: (e, image.lines[i].read.text, turns[i]) for i, e in customers.items()}
    for source, found in ((Source.TRANSCRIPT, spoken), (Source.IMAGE_TEXT, shown)):
        total = sum(abs(effect) for effect, _, _ in found.values()) or 1.0
        texts += [
            _Words(source, index, text, before, share[source] * abs(effect) / total)
            for index, (effect, text, before) in found.items()
            if source in share
        ]
    texts.sort(key=lambda words: -words.weight)
    await together(
        [
            _look_into_words(explanation, texts, phrases, call, runner),
            _look_into_pictures(explanation, image, phrases, call, runner),
        ]
    )


async def _look_into_words(
    explanation: Explanation, texts: list[_Words], phrases: Phrases, call: Call, runner: Runner
) -> None:
    reader = runner.models_of(call).text
    if reader is None or not texts:
        return
    try:
        found = await runner.explain(call, lambda: _explain_texts(reader, texts, call))
    except OverloadedError:
        explanation.left_out.append(phrases.say("busy", phrases.say("the_words")))
        return
    except WHOLE_REQUEST:
        raise
    except Exception:
        LOG.exception("explanation failed", extra={"request_id": call.request_id})
        explanation.left_out.append(phrases.say("words_failed"))
        return
    explanation.texts.extend(found)
    if texts_left := len(texts) - len(found):
        explanation.left_out.append(phrases.say("text_limit", texts_left, MAX_TEXTS))


async def _look_into_pictures(
    explanation: Explanation, image: Outcome, phrases: Phrases, call: Call, runner: Runner
) -> None:
    model = runner.models_of(call).image
    seen = [
        (page, picture, picture.vision)
        for page, picture in enumerate(image.pictures)
        if isinstance(picture, PreparedImage) and picture.vision and model
        if model.knows(picture.kind, picture.vision)
    ]
    for page, picture, item in seen[:MAX_PICTURES]:
        covered = await runner.prepare(call, Modality.IMAGE, partial(occluded, item))
        try:
            whole, *without = await runner.infer(call, "image", [item, *covered])
        except OverloadedError:
            explanation.left_out.append(phrases.say("busy", phrases.say("the_regions")))
            return
        explanation.regions.extend(
            RegionExplanation(page=page, box=_box(box), effect=whole.score - reading.score)
            for box, reading in zip(cells(shown(picture)), without, strict=True)
        )
    if len(seen) > MAX_PICTURES:
        left = len(seen) - MAX_PICTURES
        explanation.left_out.append(phrases.say("picture_limit", left, MAX_PICTURES))


def _explain_texts(
    reader: TextReader, texts: Sequence[_Words], call: Call
) -> list[TextExplanation]:
    """Of the MAX_TEXTS that weigh most."""
    found = []
    for words in texts[:MAX_TEXTS]:
        if call.deadline is not None and time.monotonic() > call.deadline:
            raise TimeoutError("the deadline passed while the words were looked into")
        one = explain_text(reader, words.text, words.before)
        found.append(
            TextExplanation(
                source=SourceResult.Source.Value(words.source.name),
                index=words.index,
                log_odds=one.log_odds,
                base=one.base,
                completeness_error=one.completeness_error,
                words=[
                    WordContribution(
                        text=words.text[word.start : word.end],
                        start=word.start,
                        end=word.end,
                        contribution=word.contribution,
                    )
                    for word in one.words
                ],
                omitted_tokens=one.omitted_tokens,
            )
        )
    return found


def _turns_before(lines: Sequence[Line]) -> dict[int, list[Turn]]:
    """What each scored line was read after; as `read_images` has it read."""
    before: dict[int, list[Turn]] = {}
    turns: list[Said] = []
    for index, line in enumerate(lines):
        if line.words is None:
            continue
        said = Said(line.role if line.read.side is not Side.NONE else None, line.read.text)
        before[index] = said.after(turns) if said.is_turn else []
        turns += [said] if said.is_turn else []
    return before


def _speech_effects(speeches: Sequence[Speech], source: Source) -> Effects:
    """What each stretch moved of all that a source says; weighed as `read_voice` does."""
    found = {
        index: (reading, speech.end_s - speech.start_s)
        for index, speech in enumerate(speeches)
        for reading in speech.readings
        if reading.source is source
    }
    return _left_out(found)


def _line_effects(lines: Sequence[Line]) -> Effects:
    """What each message moved of all that its speaker says; weighed as `read_images` does."""
    moved: Effects = {}
    for role in (Role.CUSTOMER, Role.AGENT):
        of_role = {i: x.reading for i, x in enumerate(lines) if x.role is role and x.reading}
        weighed = zip(of_role.values(), recency(len(of_role)), strict=True)
        moved |= _left_out(dict(zip(of_role, weighed, strict=True)))
    return moved


def _left_out(found: Mapping[int, tuple[Reading, float]]) -> Effects:
    if not found:
        return {}
    readings, weights = zip(*found.values(), strict=True)
    return dict(zip(found, effects(readings, weights), strict=True))


def _modality(outcome: Outcome, analysis: Analysis, phrases: Phrases) -> ModalityExplanation:
    sources = analysis.fused.sources if analysis.fused else ()
    own = [source for source in sources if source.source.modality is outcome.modality]
    contribution, share = sum(s.contribution for s in own), sum(s.share for s in own)
    return ModalityExplanation(
        modality=ModalityValue.Value(outcome.modality.name),
        state=ModalityResult.State.Value(outcome.state.name),
        contribution=contribution,
        share=share,
        description=phrases.term(outcome.modality, contribution, share)
        if outcome.state is State.USED
        else phrases.state(outcome),
    )


def _rule(advice: Advice) -> RuleExplanation:
    message = RuleExplanation(rule=advice.rule)
    message.facts.update(advice.facts)
    return message


def _details(explanation: Explanation, phrases: Phrases) -> dict[Source, str]:
    """What in each source pushed the most where that source pushes."""
    details: dict[Source, str] = {}
    for term in explanation.terms:
        source = Source[SourceResult.Source.Name(term.source)]
        sign = 1 if term.contribution > 0 else -1
        if source is Source.VOICE and len(explanation.stretches) > 1:
            most = max(explanation.stretches, key=lambda one: sign * one.sound_effect)
            if sign * most.sound_effect > 0:
                span = (most.start_offset, most.end_offset)
                details[source] = phrases.say("stretch", *(x.ToNanoseconds() / 1e9 for x in span))
        texts = [text for text in explanation.texts if text.source == term.source]
        if quotes := _strongest(texts, sign):
            details[source] = phrases.quoted(quotes)
    return details


def _strongest(texts: Sequence[TextExplanation], sign: int) -> list[str]:
    """The words that push the most that way, in their order; neighbours without a space are one."""
    pushing = [
        (sign * word.contribution, number, place)
        for number, text in enumerate(texts)
        for place, word in enumerate(text.words)
        if sign * word.contribution > 0
    ]
    quotes: list[str] = []
    before = None  # text and end of the word before
    for _, number, place in sorted(sorted(pushing)[-MAX_QUOTES:], key=lambda one: one[1:]):
        word = texts[number].words[place]
        if before == (number, word.start):
            quotes[-1] += word.text
        else:
            quotes.append(word.text)
        before = (number, word.end)
    return list(dict.fromkeys(quotes))  # each once


def _box(box: PixelBox) -> Box:
    left, top, right, bottom = box
    return Box(left=left, top=top, right=right, bottom=bottom)
