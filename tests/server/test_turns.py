"""Who waits for whom, and what a message is told of those before it."""

from __future__ import annotations

import asyncio

from modalities.reading import Modality
from modalities.text.prepare import Turn
from server.analysis import Role
from server.turns import Place, Said

HERS, THEIRS = Role.CUSTOMER, Role.AGENT
TEXT, VOICE, IMAGE = Modality


def said(place: Place, *texts: str, role: Role | None = HERS, part: Modality = TEXT) -> Place:
    place.tell(part, [Said(role, text) for text in texts])
    return place


def told(place: Place) -> list[str]:
    return [one.text for one in asyncio.run(asyncio.wait_for(place.before(), 5))]


def test_the_two_turns_before_it_whatever_they_are_parts_of() -> None:
    first = said(Place(None, [TEXT]), "one")
    second = said(Place(first, [IMAGE]), "two", "three", "four", part=IMAGE)
    third = said(Place(second, [TEXT]), "five")
    assert told(first) == []
    assert told(second) == ["one"]
    assert told(third) == ["three", "four"]
    assert told(Place(third)) == ["four", "five"]


def test_what_says_nothing_is_passed_over() -> None:
    place = said(Place(None, [TEXT]), "one")
    place = said(Place(place, [TEXT]), "two")
    for role in (Role.SYSTEM, None):  # neither side's, or nobody knows whose
        place = said(Place(place, [TEXT]), "notice", role=role)
    place = Place(place, [VOICE])
    failed = Place(place, [TEXT, VOICE])
    later = Place(failed, [TEXT])
    place.tell(VOICE)
    failed.close()
    assert told(later) == ["one", "two"]


def test_a_message_of_several_parts_is_known_once_all_of_them_are() -> None:
    async def work() -> None:
        place = Place(None, [TEXT, VOICE])
        later = asyncio.create_task(Place(place, [TEXT]).before())
        place.tell(VOICE, [Said(THEIRS, "heard")])
        await asyncio.sleep(0.01)
        assert not later.done()
        place.tell(TEXT, [Said(HERS, "read")])
        place.tell(TEXT, [Said(HERS, "read again")])
        assert await later == [Said(HERS, "read"), Said(THEIRS, "heard")]

    asyncio.run(work())


def test_it_waits_for_two_turns_and_for_no_more() -> None:
    async def work() -> None:
        never = Place(None, [VOICE])
        first = Place(never, [VOICE])
        second = Place(first, [VOICE])
        later = asyncio.create_task(Place(second, [VOICE]).before())
        given_up = asyncio.create_task(Place(second, [VOICE]).before())
        second.tell(VOICE, [Said(HERS, "second")])
        await asyncio.sleep(0.01)
        assert not later.done()
        given_up.cancel()  # which is no matter for the others
        first.tell(VOICE, [Said(THEIRS, "first")])
        assert await later == [Said(THEIRS, "first"), Said(HERS, "second")]

    asyncio.run(work())


def test_turns_are_marked_by_who_says_them() -> None:
    turns = [Said(HERS, "a"), Said(THEIRS, "b"), Said(HERS, "c")]
    assert Said(HERS, "d").after(turns) == [Turn(False, "b"), Turn(True, "c")]
    assert Said(THEIRS, "d").after(turns) == [Turn(True, "b"), Turn(False, "c")]
