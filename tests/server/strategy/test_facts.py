"""What is known at a moment, and that it is counted along as the whole would give it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from strategy_moments import info, said

from fusion.conversation import summarise
from modalities.reading import EMOTIONS, Quality, Reading, Source
from server.analysis import Role
from server.calls.events import CallState
from server.calls.record import CallRecord
from server.calls.shape import Span, shape
from server.moments import Moment
from server.strategy.facts import FACTS, MAX_QUARTER, MAX_TEXT_CHARACTERS, Tracker
from server.strategy.timeline import WINDOW_FACTS

DOC = Path(__file__).parents[3] / "docs/rules.md"


def test_every_name_is_there_at_every_moment_and_is_json() -> None:
    tracker = Tracker(info(channel="phone", tags=("vip",)))
    for moment in (said("hello", at_s=0.0), said(emotion=None), said(role=Role.AGENT)):
        facts = tracker.facts(moment)
        assert list(facts) == [fact.name for fact in FACTS]
        assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_types_are_those_that_conditions_are_checked_with() -> None:
    kinds = {"double": float, "int": int, "bool": bool, "string": str, "list(string)": list}
    tracker = Tracker(info(channel="phone", language="zh", tags=("vip",)))
    seen = set()
    for n in range(4):
        for name, value in tracker.facts(said("hello", at_s=5.0 * n)).items():
            type_ = next(fact.type for fact in FACTS if fact.name == name)
            assert value is None or type(value) is kinds[type_], name
            seen |= {name} if value is not None else set()
    assert {"trend_per_minute", "shift", "silence_before_s", "emotions.angry"} <= seen


@pytest.mark.parametrize("n", [1, 2, 3, 5, 40, 4 * MAX_QUARTER])
def test_the_course_is_that_of_the_conversation_s_summary(n: int) -> None:
    rng = np.random.default_rng(n)
    tracker = Tracker(info())
    scores = []
    for _ in range(n):
        moment = said(emotion=str(rng.choice(EMOTIONS)), p=float(rng.uniform(0.3, 0.9)))
        facts = tracker.facts(moment)
        scores.append(moment.score)
    whole = summarise([score for score in scores if score is not None])
    assert facts["mean_score"] == pytest.approx(whole.score)
    assert facts["lowest"] == pytest.approx(whole.lowest)
    assert facts["shift"] == (None if whole.shift is None else pytest.approx(whole.shift))
    assert facts["customer_moments"] == facts["moments"] == n


def test_memory_does_not_grow_with_the_conversation() -> None:
    import pickle

    tracker = Tracker(info())
    sizes = []
    for n in range(1600):
        tracker.facts(said("x" * 100, at_s=float(n)))
        if n in (799, 1599):
            sizes.append(len(pickle.dumps(tracker)))
    assert sizes[1] <= sizes[0] + 16


def test_trend_per_minute_is_that_of_the_call_s_state() -> None:
    from server.calls.events import Utterance

    record, tracker = CallRecord([Role.CUSTOMER]), Tracker(info())
    for n, p in enumerate((0.3, 0.5, 0.4, 0.9, 0.7)):
        moment = said(emotion="angry", p=p, at_s=17.0 * n)
        facts = tracker.facts(moment)
        start_s, end_s = 17.0 * n, 17.0 * n + 2
        utterance = Utterance(n, 0, Role.CUSTOMER, start_s, end_s, True, -20.0, fused=moment.fused)
        record.add(utterance, None)
        state = record.state(end_s, [])
        expected = state.trend_per_minute
        assert facts["trend_per_minute"] == (expected and pytest.approx(expected))
    assert expected is not None


def test_a_chat_without_offsets_has_a_trend_and_a_shift() -> None:
    tracker = Tracker(info())
    for p in (0.3, 0.5, 0.7, 0.9):
        facts = tracker.facts(said(emotion="angry", p=p))
    assert facts["trend_per_moment"] < -0.1 and facts["shift"] < -0.3
    assert facts["trend_per_minute"] is facts["offset_s"] is facts["silence_before_s"] is None


def test_counts_in_a_row_are_the_customer_s_alone() -> None:
    tracker = Tracker(info())
    tracker.facts(said(emotion="angry"))
    tracker.facts(said(emotion="sad"))
    agent = tracker.facts(said(emotion="angry", role=Role.AGENT))
    assert (agent["negative_in_a_row"], agent["negative_count"], agent["moments"]) == (2, 2, 3)
    third = tracker.facts(said(emotion="angry"))
    assert (third["negative_in_a_row"], third["emotion_count"]) == (3, 2)
    happy = tracker.facts(said(emotion="happy"))
    assert (happy["negative_in_a_row"], happy["positive_in_a_row"]) == (0, 1)
    assert happy["change"] == pytest.approx(happy["score"] - third["score"])


def test_how_an_agent_feels_is_nowhere_in_the_facts() -> None:
    facts = Tracker(info()).facts(said("go away", "angry", 0.95, role=Role.AGENT))
    assert facts["role"] == "AGENT" and facts["text"] == "go away"
    felt = ("score", "sentiment", "emotion", "confidence", "abstained", "mean_score", "change")
    assert all(facts[name] is None for name in (*felt, *(f"emotions.{e}" for e in EMOTIONS)))


def test_silence_is_counted_from_the_latest_end_of_either_side() -> None:
    tracker = Tracker(info())
    assert tracker.facts(said(at_s=1.0))["silence_before_s"] is None
    assert tracker.facts(said(at_s=2.0, role=Role.AGENT))["silence_before_s"] == 0.0
    assert tracker.facts(said(at_s=34.0))["silence_before_s"] == pytest.approx(30.0)


def test_the_shape_of_a_call_is_told_by_role() -> None:
    spans = [Span(0, 0.0, 6.0, -20.0), Span(1, 4.0, 8.0, -20.0, n_words=20)]
    call = shape(spans, (Role.CUSTOMER, Role.AGENT), 10.0)
    moment = said(at_s=0.0, state=CallState(10.0, None, None, None, call))
    facts = Tracker(info()).facts(moment)
    assert (facts["agent_interruptions"], facts["customer_interruptions"]) == (1, 0)
    assert facts["agent_talk_share"] == pytest.approx(0.4)
    assert facts["customer_talk_share"] == pytest.approx(0.6)
    assert (facts["overlap_s"], facts["silence_s"]) == (2.0, 2.0)
    assert facts["agent_words_per_minute"] == pytest.approx(300.0)


def test_sources_and_their_quality() -> None:
    def reading(source: Source, sentiment: list[float], **quality: float) -> Reading:
        log = np.log(np.array(sentiment, np.float32))
        emotions = np.full(7, -np.log(7), np.float32)
        return Reading(source, log, emotions, np.zeros(0, np.float32), Quality(**quality))

    readings = [
        reading(Source.TRANSCRIPT, [0.7, 0.2, 0.1], asr_confidence=0.5),
        reading(Source.VOICE, [0.1, 0.2, 0.7], snr_db=12.0),
    ]
    moment = Moment(0, Role.CUSTOMER, readings, said().fused, words=readings[0])
    facts = Tracker(info()).facts(moment)
    assert facts["words_score"] == pytest.approx(0.6)
    assert facts["voice_score"] == pytest.approx(-0.6)
    assert (facts["snr_db"], facts["asr_confidence"]) == (12.0, 0.5)
    assert facts["ocr_confidence"] is facts["vision_score"] is None


def test_text_and_context_are_bounded() -> None:
    tags = tuple(f"tag-{n}" for n in range(1000))
    facts = Tracker(info(tags=tags)).facts(said("啊" * 2 * MAX_TEXT_CHARACTERS, at_s=30.0))
    assert len(facts["text"]) == MAX_TEXT_CHARACTERS and len(facts["tags"]) == 32
    assert facts["channel"] is facts["language"] is None
    assert facts["at"] == "2026-11-24T01:30:32+00:00"


LONG = "It is long.\n" * 500


@pytest.mark.parametrize(
    ("said_as", "known_as"),
    [
        ("<p>I want a <b>re</b>fund &amp; now</p>", "I want a refund & now"),
        ("Yes.\n\nOn Tue, 9 Jan Ann wrote:\n> I'll sue you!\n> Refund me!", "Yes."),
        ("It came.\n\nBest regards,\nJo Fry\nOffice Manager", "It came."),
        ("谢谢，收到了。\n\n> 您的投诉已受理", "谢谢，收到了。"),
        (LONG + "I want a refund.", LONG + "I want a refund."),
        ("<i>" * 4_000 + "I want a refund.", "I want a refund."),  # cut after the markup is off
        ("<p></p>", None),
    ],
)
def test_the_text_is_its_writer_s_own(said_as: str, known_as: str | None) -> None:
    assert Tracker(info()).facts(said(said_as))["text"] == known_as


def test_the_documented_facts_are_the_facts() -> None:
    rows = [line.split("|") for line in DOC.read_text().splitlines() if line.startswith("| `")]
    documented = [(row[1].strip(" `"), row[2].strip(), row[3].strip()) for row in rows]
    expected = [(fact.name, fact.type, fact.meaning) for fact in (*FACTS, *WINDOW_FACTS)]
    assert [row for row in documented if row in expected] == expected
