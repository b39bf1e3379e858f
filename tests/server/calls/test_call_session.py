"""A call in process: the same answers however its samples are cut, within bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
import recorded_media as calls
import server_media as media
from call_sessions import BOTH, events_of, final, heard, samples_of
from server_process import in_process

from fusion.pool import Fused
from modalities.errors import OverloadedError
from modalities.reading import EMOTIONS, Modality, Source
from server.analysis import BytesPart, Call, Content, Role, State, TextPart
from server.calls.events import CallState, CallSummary, Event, MessageRead, Speech, Utterance
from server.calls.record import CallRecord
from server.calls.scoring import Policy, patiently
from server.calls.session import MAX_WAITING, CallSession
from server.models import Models
from server.pipeline import Pipeline


@pytest.fixture(scope="module")
def stereo(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return samples_of(calls.write(tmp_path_factory.mktemp("calls") / "call.wav", calls.stereo()))


def test_20_ms_and_1_s_give_the_same_call(loaded: Models, stereo: np.ndarray) -> None:
    policy = Policy(score_agents=True)
    options = {"policy": policy, "state_interval_s": 2.0}
    live = heard(loaded, stereo, 320, **options)
    recorded = heard(loaded, stereo, 16_000, **options)
    ours, others = final(live), final(recorded)
    assert [one.index for one in ours] == [0, 1, 2] and len(others) == 3
    for one, other in zip(ours, others, strict=True):
        assert (one.channel, one.role, one.start_s, one.end_s) == (
            other.channel,
            other.role,
            other.start_s,
            other.end_s,
        )
        assert one.fused is not None and other.fused is not None
        np.testing.assert_allclose(
            np.exp(one.fused.log_emotions), np.exp(other.fused.log_emotions), atol=1e-3
        )
    for kind in (CallState, CallSummary):
        mine = [event.shape for event in live if isinstance(event, kind)]
        theirs = [event.shape for event in recorded if isinstance(event, kind)]
        assert [shape.channels[0].talk_s for shape in mine] == [
            shape.channels[0].talk_s for shape in theirs
        ]
    assert [event.offset_s for event in live if isinstance(event, CallState)] == [
        2,
        4,
        6,
        8,
        10,
        12,
    ]


def test_events_come_in_a_sensible_order(loaded: Models, stereo: np.ndarray) -> None:
    events = heard(loaded, stereo, 1_600, paced=True, interim=True)
    assert isinstance(events[-1], CallSummary)
    assert sum(isinstance(event, CallSummary) for event in events) == 1
    for utterance in final(events):
        mine = [
            event
            for event in events
            if isinstance(event, Speech | Utterance) and event.channel == utterance.channel
        ]
        until = mine[: mine.index(utterance)]
        marks = [event.started for event in until if isinstance(event, Speech)]
        assert marks[0] is True and len(marks) % 2 == 0  # begun and ended before it is final
    interim = [e for e in events if isinstance(e, Utterance) and not e.is_final]
    assert interim and all(e.index == -1 and e.channel == 0 for e in interim)
    assert all(e.fused is not None and e.role is Role.CUSTOMER for e in interim)


@pytest.mark.parametrize(
    ("roles", "policy", "scored"),
    [
        (BOTH, Policy(), [0]),
        (BOTH, Policy(score_agents=True), [0, 1]),
        ((None, None), Policy(), []),
        ((None, Role.CUSTOMER), Policy(), [1]),
        ((None, None), Policy(score_unknown_roles=True), [0, 1]),
        ((Role.SYSTEM, Role.CUSTOMER), Policy(True, True), [1]),
    ],
)
def test_whose_emotion_is_scored(
    loaded: Models,
    stereo: np.ndarray,
    roles: Sequence[Role | None],
    policy: Policy,
    scored: list[int],
) -> None:
    events = heard(loaded, stereo, 16_000, roles, policy)
    for one in final(events):
        assert (one.fused is not None) == (one.channel in scored)
        assert bool(one.not_scored) == bool(not one.readings) == (one.channel not in scored)
    summary = events[-1]
    assert isinstance(summary, CallSummary)
    assert len(summary.notes) == 2 - len(scored)  # one for each channel that has no score
    assert all(channel.talk_s > 2 for channel in summary.shape.channels)


def test_an_agent_s_speech_reaches_no_model(loaded: Models, stereo: np.ndarray) -> None:
    assert loaded.voice is not None
    before = loaded.voice.encoder_passes
    heard(loaded, stereo, 16_000, (Role.AGENT, Role.AGENT))
    assert loaded.voice.encoder_passes == before


def test_messages_come_in_between(loaded: Models, stereo: np.ndarray) -> None:
    async def work(pipeline: Pipeline) -> list[Event]:
        session = CallSession(pipeline, Call("test"), BOTH, Policy())

        async def feed() -> None:
            await session.feed(stereo[:, :48_000])
            angry = TextPart("message.text.content", "I hate this, it is terrible and useless")
            await session.message(Content(text=angry))
            await session.message(Content(images=(BytesPart("image", media.screenshot()),)), 7.0)
            await session.message(Content(images=(BytesPart("image", b"no picture"),)), 8.0)
            await session.feed(stereo[:, 48_000:])
            await session.finish()

        return await events_of(session, feed)

    events = in_process(loaded, work)
    read = {event.index: event for event in events if isinstance(event, MessageRead)}
    assert [read[index].offset_s for index in range(3)] == [3.0, 7.0, 8.0]
    assert read[0].analysis.fused is not None
    assert read[1].analysis.fused is not None and read[2].analysis.fused is None
    (broken,) = [o for o in read[2].analysis.outcomes if o.modality is Modality.IMAGE]
    assert broken.state is State.REJECTED
    summary = events[-1]
    assert isinstance(summary, CallSummary) and summary.satisfaction is not None
    first, second = [one.score for one in final(events) if one.channel == 0]
    said = list(summary.customer_scores)
    assert (said[0], said[-1]) == (first, second)  # by offset: speech, text, picture, speech
    assert said[1] < -0.5 and len(said) >= 4


def test_a_reader_that_stops_holds_up_the_caller(loaded: Models, stereo: np.ndarray) -> None:
    async def work(pipeline: Pipeline) -> tuple[float, list[Event]]:
        async with CallSession(pipeline, Call("test"), BOTH, Policy(), state_interval_s=1.0) as s:

            async def feed() -> None:
                for _ in range(8):
                    await s.feed(stereo)
                await s.finish()

            feeding = asyncio.create_task(feed())
            while not s._events.full():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            stuck_s = s.duration_s
            assert not feeding.done()
            events = [event async for event in s.events()]
            await feeding
            return stuck_s, events

    stuck_s, events = in_process(loaded, work)
    assert stuck_s < 5 * 13  # at least 3 events a second and 8 calls of 13 s
    assert len(final(events)) == 8 * 3
    assert len(events) > 2 * MAX_WAITING


def test_a_call_that_is_left_leaves_nothing_behind(loaded: Models, stereo: np.ndarray) -> None:
    async def work(pipeline: Pipeline) -> None:
        before = asyncio.all_tasks()
        async with CallSession(pipeline, Call("test"), BOTH, Policy(), interim=True) as session:
            await session.feed(stereo[:, : 16_000 * 3])
            await session.message(Content(images=(BytesPart("image", media.screenshot()),)))
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) > len(before)
        assert asyncio.all_tasks() == before

    in_process(loaded, work)


def test_a_failed_call_tells_its_reader(loaded: Models, stereo: np.ndarray) -> None:
    async def work(pipeline: Pipeline) -> None:
        async with CallSession(pipeline, Call("test"), BOTH, Policy()) as session:
            await session.feed(stereo[:, :32_000])
            await session.fail(OverloadedError("broken line", 1.0))
            with pytest.raises(OverloadedError, match="broken line"):
                async for event in session.events():
                    assert isinstance(event, Speech)

    in_process(loaded, work)


def test_a_full_queue_is_tried_again() -> None:
    tries = []

    async def work() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise OverloadedError("full", 0.01)
        return len(tries)

    async def never() -> None:
        raise OverloadedError("full", 60.0)

    assert asyncio.run(patiently(work, 10.0)) == 3
    with pytest.raises(OverloadedError):
        asyncio.run(patiently(never, 10.0))


@pytest.mark.parametrize("seconds", [0.0, 0.05, 4.0])
def test_a_call_without_speech_has_a_summary(loaded: Models, seconds: float) -> None:
    events = heard(loaded, np.zeros((1, int(16_000 * seconds)), np.float32), 5_000, [None])
    (summary,) = events
    assert isinstance(summary, CallSummary)
    assert summary.shape.duration_s == pytest.approx(seconds)
    assert summary.shape.silence_s == pytest.approx(seconds)
    assert (summary.customer_scores, summary.satisfaction) == ([], None)


def utterance(start_s: float, end_s: float, score: float, channel: int = 0) -> Utterance:
    """With log-probabilities that give exactly this score."""
    positive, negative = (1 + score) / 2 - 0.01, (1 - score) / 2 - 0.01
    log_sentiment = np.log(np.array([positive, 0.02, negative]))
    fused = Fused(log_sentiment, np.zeros(len(EMOTIONS)), 0.5, False, ())
    return Utterance(0, channel, BOTH[channel], start_s, end_s, True, -20.0, (), fused)


def test_score_trend_and_shift_of_a_call() -> None:
    record = CallRecord(BOTH)
    assert record.state(5.0, []).score is None
    for index, score in enumerate((-0.6, -0.2, 0.2, 0.6)):
        start_s = 20.0 * index
        record.add(utterance(start_s, start_s + 15.0, score), None)
        record.add(utterance(start_s, start_s + 15.0, -0.9, channel=1), None)  # the agent's
    state = record.state(80.0, [])
    # Each utterance is one half-life long: weights 1, 2, 4, 8.
    assert state.score == pytest.approx((-0.6 - 0.4 + 0.8 + 4.8) / 15)
    assert state.shift == pytest.approx((-0.6 - 0.4 + 0.8 + 4.8) / 15 + 0.6)
    assert state.trend_per_minute == pytest.approx(0.4 * 3)  # 0.4 in 20 s
    assert record.state(200.0, []).trend_per_minute is None  # nothing in the last minute
    summary = record.summary(80.0, None, ["note"])
    assert summary.customer_scores == pytest.approx([-0.6, -0.2, 0.2, 0.6])
    assert summary.notes == ("note",)


def test_a_recording_of_the_call_is_not_kept(loaded: Models, stereo: np.ndarray) -> None:
    import tracemalloc

    async def work(pipeline: Pipeline) -> list[int]:
        kept = []
        async with CallSession(pipeline, Call("test"), BOTH, Policy()) as session:

            async def feed() -> None:
                for _ in range(6):
                    await session.feed(stereo)
                    while len(session._tasks) > 1:  # one delivers
                        await asyncio.sleep(0.001)
                    kept.append(tracemalloc.get_traced_memory()[0])
                await session.finish()

            feeding = asyncio.create_task(feed())
            async for _ in session.events():
                pass
            await feeding
        return kept

    tracemalloc.start()
    kept = in_process(loaded, work)
    tracemalloc.stop()
    assert kept[-1] - kept[1] < stereo.nbytes  # four calls more, less than one of them kept


def test_a_stream_tells_how_much_of_the_speaker_was_known(
    loaded: Models, stereo: np.ndarray
) -> None:
    """Each channel has a speaker of its own."""
    said = final(heard(loaded, stereo, 1_600, policy=Policy(score_agents=True)))
    heard_of: dict[int, int] = {0: 0, 1: 0}
    for utterance in said:
        assert utterance.fused is not None and utterance.role in (Role.CUSTOMER, Role.AGENT)
        (voice,) = (one for one in utterance.fused.sources if one.source is Source.VOICE)
        n = heard_of[utterance.channel]
        assert voice.speaker_known == pytest.approx(n / (n + 3))
        heard_of[utterance.channel] += 1
    assert heard_of[0] == 2
