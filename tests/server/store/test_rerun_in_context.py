"""What was read with turns before it is read again with the same, as far as they are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import server_media as media
import store_data as made
from drawn_chat import LEFT, RIGHT, chat
from emotion.v1.conversation_pb2 import Message
from emotion.v1.emotion_service_pb2 import AnalyzeConversationRequest
from emotion.v1.types_pb2 import AGENT, CUSTOMER, Context, Image, Text
from scripted_voice import recording, speaking
from sqlalchemy import update
from words_read import ANSWERED, ASKED, DENIED, VIETNAMESE

from modalities.reading import Source
from modalities.voice.prepare import decode
from server.analysis import Call, Content, Role, TextPart
from server.calls.scoring import Policy
from server.calls.session import CallSession
from server.follow import Followers
from server.models import Models
from server.pipeline import Pipeline
from server.settings import Settings
from server.store.archive import Archive
from server.store.database import writing
from server.store.rerun import Outcome, Rerun, Rerunner
from server.store.schema import CONTENT, READING
from server.store.store import Store

NUMBER = "Call me back, please: 13812345678"
SAME, REDACTED, NOT_STORED = Outcome.SAME, Outcome.REDACTED, Outcome.NOT_STORED


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = made.open_store(tmp_path / "s.db", keep_content=True)
    yield opened
    opened.close()


def message(text: str = "", role: int = CUSTOMER, image: bytes = b"") -> Message:
    return Message(
        role=role,
        text=Text(content=text) if text else None,
        image=Image(content=image) if image else None,
    )


def converse(loaded: Models, store: Store, *messages: Message) -> None:
    async def work() -> None:
        async with Pipeline(loaded, Settings(), Followers(store=store)) as pipeline:
            request = AnalyzeConversationRequest(messages=messages)
            await pipeline.analyze_conversation(request)

    asyncio.run(work())
    assert store.flush()


def rerun(loaded: Models, store: Archive) -> list[Rerun]:
    rerunner = Rerunner(store, made.KEY, Settings(), Models(loaded.device, loaded.fusion))
    (stored,) = store.conversations()
    return asyncio.run(rerunner.rerun(stored))


def words(found: list[Rerun]) -> list[Outcome]:
    return [one.outcome for one in found if one.source.is_words]


def test_all_comes_out_the_same_with_the_turns_before_it(loaded: Models, store: Store) -> None:
    converse(
        loaded,
        store,
        message(ASKED),
        message(VIETNAMESE),  # which is no turn, then as now
        message(ANSWERED, AGENT),
        message(image=media.screenshot()),
        message(DENIED, image=chat((LEFT, ANSWERED[:20]), (RIGHT, DENIED))),
        message("So where is it?"),
    )
    found = rerun(loaded, store)
    assert len(words(found)) == 2 + 6 + 2 + 1
    assert {one.outcome for one in found} == {SAME}
    with writing(store.engine) as connection:  # the text that the next two were read with
        connection.execute(update(CONTENT).where(CONTENT.c.number == 0).values(content=b"Hi!"))
        connection.execute(update(READING).where(READING.c.number == 0).values(hash=None))
    assert words(rerun(loaded, store))[1:3] == [Outcome.DIFFERENT, Outcome.DIFFERENT]


def test_turns_after_personal_data_are_told_and_not_compared(loaded: Models, store: Store) -> None:
    texts = (ASKED, NUMBER, DENIED, "So where is it?", "Hello?")
    converse(loaded, store, *map(message, texts))
    found = rerun(loaded, store)
    assert words(found) == [SAME, REDACTED, REDACTED, REDACTED, SAME]
    assert [one.reason for one in found] == ["", "", *2 * ["of the turns before it"], ""]
    assert all(one.now is None for one in found if one.outcome is REDACTED)


def test_turns_after_a_picture_that_was_not_kept_are_told(loaded: Models, store: Store) -> None:
    shown = chat((RIGHT, "My number is 13812345678"), (LEFT, "Thank you"))
    texts = (DENIED, "So where is it?", "Hello?")
    converse(loaded, store, message(ASKED, image=shown), *map(message, texts))
    found = [one for one in rerun(loaded, store) if one.source is Source.TEXT]
    assert words(found) == [SAME, NOT_STORED, NOT_STORED, SAME]


@pytest.mark.parametrize(
    ("answer", "outcome"), [(ANSWERED, SAME), (f"{ANSWERED} {NUMBER}", REDACTED)]
)
def test_a_call_s_agent_is_read_again_as_a_turn_alone(
    loaded: Models, store: Store, answer: str, outcome: Outcome
) -> None:
    samples = [
        decode(recording(*seconds), max_duration_s=60).samples for seconds in ((1, 9), (5, 9))
    ]
    customer, agent = samples[0], samples[1]
    agent[8 * media.RATE_HZ :] = 0
    script = {1: ASKED, 5: answer, 9: DENIED}

    async def work() -> None:
        models, followers = speaking(loaded, script), Followers(store=store)
        async with Pipeline(models, Settings(), followers) as pipeline:
            call, roles = Call("request-7"), (Role.CUSTOMER, Role.AGENT)
            following = pipeline.follow(Context(), call, "StreamCall")
            session = CallSession(pipeline, call, roles, Policy(), following=following)

            async def feed() -> None:
                await session.feed(np.stack([customer, agent]))
                await session.message(Content(TextPart("m", "Hello?")))
                await session.finish()

            async with session, asyncio.TaskGroup() as group:
                group.create_task(feed())
                async for _ in session.events():
                    pass

    asyncio.run(work())
    assert store.flush()
    found = rerun(loaded, store)
    said = [one for one in found if one.source.is_words]
    assert [one.number for one in said] == [0, 2, 3]  # the agent is not scored
    assert words(found) == [SAME, outcome, outcome]
    assert {one.outcome for one in found if one.source is Source.VOICE} == {SAME}
