"""ConversationService's handlers over a real store, and what watchers of live ones are told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conversation_data import BEGAN, info, moments, one_advice, open_store, put
from emotion.v1.conversation_service_pb2 import (
    GetConversationRequest,
    ListConversationsRequest,
    ListTrendsRequest,
    StreamConversationsResponse,
)
from emotion.v1.types_pb2 import CUSTOMER
from google.protobuf.timestamp_pb2 import Timestamp

from modalities.errors import InputError
from server.analysis import Role
from server.conversations.live import MAX_WAITING, Live, LiveMoment
from server.conversations.service import ConversationHandlers
from server.errors import NotFoundError, StateError
from server.follow import Advised
from server.store.store import Store
from server.trends import By, trends


def handlers(store: Store | None, live: Live | None = None) -> ConversationHandlers:
    return ConversationHandlers(store, live or Live(), negative_below=-0.2)


def test_conversations_come_by_pages_and_one_with_its_moments(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.db", keep_content=True)
    said = moments(["call 13812345678", "thanks"])
    for number in range(4):
        about = info(number, started_at=BEGAN) if number < 2 else info(number)
        put(store, about, said, {1: [one_advice(1)]})
    put(store, info(9), [])
    store.flush()
    to, request, pages = handlers(store), ListConversationsRequest(page_size=2), []
    while True:
        page = asyncio.run(to.list_conversations(request, None))
        pages.append(list(page.conversations))
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    ids = [[one.conversation_id for one in page] for page in pages]
    assert ids[0] == ["c-9", "c-3"] and [len(page) for page in ids] == [2, 2, 1]
    assert ids[1][0] == "c-2" and {ids[1][1], *ids[2]} == {"c-0", "c-1"}  # began at once
    empty, first = pages[0]
    assert not empty.HasField("customer") and not first.moments
    assert first.customer.message_count == 2 and first.customer.satisfaction == 0.25
    assert first.HasField("end_time") and list(first.tags) == ["phone"]

    one = asyncio.run(to.get_conversation(GetConversationRequest(name=first.name), None))
    assert [moment.text for moment in one.moments] == ["call [PHONE]", "thanks"]
    assert [moment.score for moment in one.moments] == pytest.approx([m.score for m in said])
    assert one.moments[1].role == CUSTOMER and one.moments[1].end_offset.ToMilliseconds() == 1500
    (advice,) = one.moments[1].advice
    assert (advice.rule, advice.text, advice.language) == ("apologise", "请道歉。", "zh")
    in_english = GetConversationRequest(name=first.name, language="en")
    again = asyncio.run(to.get_conversation(in_english, None))
    assert again.moments[1].advice[0].text == "Apologise."

    for wrong in ("conversations/x", "conversations/99999999999999999999", ""):
        with pytest.raises(InputError):
            asyncio.run(to.get_conversation(GetConversationRequest(name=wrong), None))
    with pytest.raises(NotFoundError):
        asyncio.run(to.get_conversation(GetConversationRequest(name="conversations/1"), None))
    for token in ("x", "1", f"{10**18 - 1}-1", f"1-{2**63}"):
        with pytest.raises(InputError):
            bad = ListConversationsRequest(page_token=token)
            asyncio.run(to.list_conversations(bad, None))
    store.close()


def test_trends_are_those_of_the_command(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.db")
    for number in range(12):
        about = info(number, started_at=BEGAN + timedelta(hours=number), channel="ab"[number % 2])
        put(store, about, moments(["x", "y"], seed=number) if number else [])
    store.flush()
    to = handlers(store)
    by_channel = ListTrendsRequest(group_by=ListTrendsRequest.CHANNEL)
    found = asyncio.run(to.list_trends(by_channel, None)).trends
    known = trends(store.conversations(), By.CHANNEL, -0.2)
    assert [one.group for one in found] == [one.name for one in known] == ["a", "b"]
    for one, other in zip(found, known, strict=True):
        assert (one.conversation_count, one.unscored_count) == (other.n, other.n_unscored)
        assert one.negative_share == other.negative_share and one.negative_share > 0
        assert one.score == pytest.approx(other.score)

    by_hour = ListTrendsRequest(group_by=ListTrendsRequest.HOUR, page_size=4)
    by_hour.start_time.FromDatetime(BEGAN + timedelta(hours=1))
    by_hour.end_time.FromDatetime(BEGAN + timedelta(hours=7))
    first = asyncio.run(to.list_trends(by_hour, None))
    by_hour.page_token = first.next_page_token
    second = asyncio.run(to.list_trends(by_hour, None))
    hours = [one.group for page in (first, second) for one in page.trends]
    assert hours == [f"2026-03-01T{hour}:00Z" for hour in range(13, 19)]
    assert not second.next_page_token
    for wrong in (
        ListTrendsRequest(group_by=9),  # type: ignore[arg-type]
        ListTrendsRequest(start_time=Timestamp(seconds=2**62)),
        ListTrendsRequest(page_token="-1"),
        ListTrendsRequest(page_size=-1),
    ):
        with pytest.raises(InputError):
            asyncio.run(to.list_trends(wrong, None))
    store.close()


def test_without_a_store_only_live_ones_are_told() -> None:
    to = handlers(None)
    for ask in (
        to.list_conversations(ListConversationsRequest(), None),
        to.get_conversation(GetConversationRequest(name="conversations/1"), None),
        to.list_trends(ListTrendsRequest(), None),
    ):
        with pytest.raises(StateError, match="start it with a store"):
            asyncio.run(ask)


def moment(number: int) -> LiveMoment:
    advised = [Advised(one_advice(number), number, "en", "book-1")] if number == 1 else []
    return LiveMoment(number, Role.CUSTOMER, float(number), None, -0.5, "angry", advised)


def watched(live: Live, work: Any, n: int) -> list[StreamConversationsResponse]:
    """The first `n` responses, where `work` runs once the watcher is there."""

    async def main() -> list[StreamConversationsResponse]:
        got: list[StreamConversationsResponse] = []
        opened = asyncio.Event()

        async def opening() -> None:
            opened.set()

        async def send(response: StreamConversationsResponse) -> None:
            got.append(response)

        client: Any = SimpleNamespace(open=opening, send=send)
        watching = asyncio.create_task(handlers(None, live).stream_conversations(None, client))  # type: ignore[arg-type]
        await opened.wait()
        await work()
        async with asyncio.timeout(10):
            while len(got) < n:
                await asyncio.sleep(0)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return got

    return asyncio.run(main())


def test_a_watcher_is_told_of_moments_and_the_end_but_not_of_what_was_said() -> None:
    live = Live()

    async def work() -> None:
        about = info(conversation_id="call of 13812345678", tags=("refund",))
        key = live.begin(about, 417)
        live.add(key, moment(0))
        live.add(key, moment(1))
        live.end(key)
        live.end(key)

    began, first, second, ended = (one.conversation for one in watched(live, work, 4))
    assert {one.name for one in (began, first, second, ended)} == {"conversations/417"}
    assert began.conversation_id == "call of [PHONE]" and list(began.tags) == ["refund"]
    assert first.moments[0].score == -0.5 and first.moments[0].emotion == "angry"
    (advice,) = second.moments[0].advice
    assert (advice.rule, advice.text) == ("apologise", "Apologise.")
    assert not advice.facts.fields and not second.moments[0].text
    assert ended.HasField("end_time") and not second.HasField("end_time")


def test_who_comes_late_is_told_what_goes_on_and_who_is_slow_what_was_lost() -> None:
    async def main() -> None:
        live = Live()

        async def broken() -> None:
            live.add(live.begin(info(1), 1), moment(0))
            raise ConnectionError

        with pytest.raises(ConnectionError):
            await asyncio.create_task(broken())  # over with its task, though it broke off
        await asyncio.sleep(0)
        key = live.begin(info(2), 2)
        for number in range(3):
            live.add(key, moment(number))
        with live.watching() as watcher:
            for number in range(3, 3 + MAX_WAITING + 5):
                live.add(key, moment(number))
            update, n_lost = await watcher.next()
            assert (update.key, n_lost) == (2, 6)  # the beginning is among them
            assert [one.number for one in update.moments] == [8]
            assert (await watcher.next())[1] == 0
        with live.watching() as late:
            (update, n_lost) = await late.next()
            assert n_lost == 0
            assert [one.number for one in update.moments] == list(range(3 + MAX_WAITING + 5))

    asyncio.run(main())
