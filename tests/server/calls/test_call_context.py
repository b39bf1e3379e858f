"""What is said in a call is read with the two turns before it, live and recorded alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import recorded_media as calls
from call_sessions import BOTH, events_of, final, heard, samples_of
from scripted_voice import speaking
from server_process import in_process
from words_read import ANSWERED, ASKED, DENIED, VIETNAMESE, assert_read, read, said

from modalities.reading import Reading, Source
from modalities.text.prepare import Turn
from modalities.voice.listen import Heard, Listener
from server.analysis import BytesPart, Call, Content, Role, TextPart
from server.calls.events import CallSummary, Event, MessageRead, Utterance
from server.calls.recorded import CallOptions, score
from server.calls.scoring import Policy
from server.calls.session import CallSession
from server.models import Models
from server.pipeline import Pipeline

SCRIPT = {1: ASKED, 5: ANSWERED, 9: DENIED}
CHAT = Content(TextPart("message.text.content", "Hello, is anybody there?"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Customer at 1 s, agent at 5 s, customer at 9 s."""
    return calls.write(tmp_path_factory.mktemp("calls") / "call.wav", calls.stereo())


@pytest.fixture(scope="module")
def stereo(path: Path) -> np.ndarray:
    return samples_of(path)


def words(utterance: Utterance) -> Reading:
    return next(one for one in utterance.readings if one.source is Source.TRANSCRIPT)


def with_messages(
    models: Models, samples: np.ndarray, block: int, *messages: tuple[int, Content]
) -> list[Event]:
    """The events of a call that is fed in blocks, with messages after so many samples."""

    async def work(pipeline: Pipeline) -> list[Event]:
        session = CallSession(pipeline, Call("test"), BOTH, Policy(score_agents=True))

        async def feed() -> None:
            fed = 0
            for at, content in messages:
                await blocks(session, samples[:, fed:at])
                await session.message(content)
                fed = at
            await blocks(session, samples[:, fed:])
            await session.finish()

        return await events_of(session, feed)

    async def blocks(session: CallSession, part: np.ndarray) -> None:
        for start in range(0, part.shape[1], block):
            await session.feed(part[:, start : start + block])

    return in_process(models, work)


def test_the_turns_of_both_channels_count_and_the_agent_s_is_not_scored(
    loaded: Models, stereo: np.ndarray, path: Path
) -> None:
    models = speaking(loaded, SCRIPT)
    live = final(heard(models, stereo, 320, paced=True))
    at_once = final(heard(models, stereo, stereo.shape[1]))
    options = CallOptions(BOTH)
    recorded = in_process(models, lambda pipeline: score(path, pipeline, options, lambda _: None))
    for first, agent, last in (live, at_once, recorded.utterances):
        assert agent.text == ANSWERED and not agent.readings and "agent" in agent.not_scored
        assert_read(loaded, said(words(first)), ASKED)
        before = [Turn(True, ASKED), Turn(False, ANSWERED)]
        assert_read(loaded, said(words(last)), DENIED, before)


def test_an_utterance_so_far_is_read_with_what_is_final(loaded: Models, stereo: np.ndarray) -> None:
    events = heard(speaking(loaded, SCRIPT), stereo, 1_600, paced=True, interim=True)
    interim = [one for one in events if isinstance(one, Utterance) and not one.is_final]
    assert interim
    for one in interim:
        before = [Turn(True, ASKED), Turn(False, ANSWERED)] if one.start_s > 8 else []
        assert_read(loaded, said(words(one)), DENIED if before else ASKED, before)


def final_at(samples: np.ndarray) -> int:
    """After how many samples the first utterance of a channel is final."""
    listener = Listener()
    for n in range(0, len(samples), 320):
        for sound in listener.feed(samples[n : n + 320]):
            if isinstance(sound, Heard):
                return n + 320
    raise AssertionError


@pytest.mark.parametrize("late", [-320, 320])
def test_messages_stand_where_they_came(loaded: Models, stereo: np.ndarray, late: int) -> None:
    """Just before and after an utterance is final, however the samples are cut."""
    models = speaking(loaded, SCRIPT)
    at = final_at(stereo[1]) + late
    for block in (320, 1_000, at):
        events = with_messages(models, stereo, block, (at, CHAT))
        _, agent, last = final(events)
        (chat,) = [one for one in events if isinstance(one, MessageRead)]
        assert chat.analysis.fused is not None
        written = chat.analysis.readings[0]
        assert CHAT.text is not None
        asked, greeted = Turn(True, ASKED), Turn(True, CHAT.text.content)
        answered = Turn(False, ANSWERED)
        if late < 0:
            assert_read(loaded, said(written), CHAT.text.content, [asked])
            assert_read(loaded, said(words(last)), DENIED, [greeted, answered])
            assert events.index(chat) < events.index(agent)
        else:
            assert_read(loaded, said(written), CHAT.text.content, [asked, answered])
            assert_read(loaded, said(words(last)), DENIED, [answered, greeted])
            assert events.index(chat) > events.index(agent)


def test_what_cannot_be_read_is_no_turn_and_is_told(loaded: Models, stereo: np.ndarray) -> None:
    broken = Content(images=(BytesPart("image", b"no picture"),))
    models = speaking(loaded, {1: ASKED, 5: VIETNAMESE, 9: DENIED})
    events = with_messages(models, stereo, 16_000, (48_000, broken))
    _, agent, last = final(events)
    assert agent.text == VIETNAMESE and agent.fused is not None
    assert [one.source for one in agent.readings] == [Source.VOICE]
    assert_read(loaded, said(words(last)), DENIED, [Turn(True, ASKED)])
    summary = events[-1]
    assert isinstance(summary, CallSummary)
    assert [note for note in summary.notes if "1 of 3 utterances" in note and '"vi"' in note]


@pytest.mark.parametrize("roles", [(None, Role.CUSTOMER), (None, None)])
def test_where_nobody_knows_who_speaks_there_are_no_turns(
    loaded: Models, stereo: np.ndarray, roles: Sequence[Role | None]
) -> None:
    policy = Policy(score_unknown_roles=True)
    for one in final(heard(speaking(loaded, SCRIPT), stereo, 16_000, roles, policy)):
        assert said(words(one)) == pytest.approx(said(read(loaded, one.text)), abs=1e-4)
