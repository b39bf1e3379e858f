"""ConversationService: handlers as `server.rpc` takes them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from emotion.v1.conversation_service_pb2 import (
    DESCRIPTOR,
    Conversation,
    GetConversationRequest,
    ListConversationsRequest,
    ListConversationsResponse,
    ListTrendsRequest,
    ListTrendsResponse,
    StreamConversationsRequest,
    StreamConversationsResponse,
)
from google.protobuf.message import Message

from modalities.errors import InputError
from server.checks import page_size_of
from server.conversations.convert import (
    live_conversation,
    stored_conversation,
    stored_moment,
    trend_message,
)
from server.conversations.live import Live
from server.errors import NotFoundError, StateError
from server.store.archive import Archive
from server.store.database import answering
from server.streams import Responses
from server.trends import By, trends

CONVERSATIONS = DESCRIPTOR.services_by_name["ConversationService"]
NEWEST = 100_000  # conversations that trends are made of

_NAME = re.compile(r"conversations/(\d{1,19})", re.ASCII)
_TOKEN = re.compile(r"(\d{1,18})-(\d{1,19})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_KEY = 2**63 - 1

Result = TypeVar("Result")


class ConversationHandlers:
    """`archive` is None where there is no store."""

    def __init__(self, archive: Archive | None, live: Live, *, negative_below: float) -> None:
        self._archive, self._live, self._negative_below = archive, live, negative_below

    async def list_conversations(
        self, request: ListConversationsRequest, _: float | None
    ) -> ListConversationsResponse:
        """A page token is when the last conversation of the page before began, and its key."""
        archive, n = self._known(), page_size_of(request.page_size)
        before = _place(request.page_token)
        found = await _reading(lambda: archive.newest(n + 1, before))
        page, more = found[:n], len(found) > n
        return ListConversationsResponse(
            conversations=map(stored_conversation, page),
            next_page_token=_token(page[-1].info.started_at, page[-1].key) if more else "",
        )

    async def get_conversation(
        self, request: GetConversationRequest, _: float | None
    ) -> Conversation:
        """Raises InputError, NotFoundError."""
        archive, key = self._known(), _key(request.name)
        if request.language not in ("", "zh", "en"):
            raise InputError("zh or en", "language")
        found = await _reading(lambda: archive.get(key))
        if found is None:
            raise NotFoundError("there is no such conversation; ListConversations has their names")
        texts = await _reading(lambda: archive.texts(key))
        is_chinese = found.info.language.lower().startswith("zh")
        language = request.language or ("zh" if is_chinese else "en")
        message = stored_conversation(found)
        message.moments.extend(
            stored_moment(moment, texts, language, found.book_revision) for moment in found.moments
        )
        return message

    async def list_trends(self, request: ListTrendsRequest, _: float | None) -> ListTrendsResponse:
        """A page token is the number of groups on the pages before."""
        archive, n = self._known(), page_size_of(request.page_size, default=100)
        by, start = _by(request), _start(request.page_token)
        since, until = _time(request, "start_time"), _time(request, "end_time")
        found = await _reading(
            lambda: trends(archive.scores(since, until, NEWEST), by, self._negative_below)
        )
        return ListTrendsResponse(
            trends=map(trend_message, found[start : start + n]),
            next_page_token=str(start + n) if start + n < len(found) else "",
        )

    async def stream_conversations(
        self, _: StreamConversationsRequest, responses: Responses
    ) -> None:
        """Until it is cancelled."""
        with self._live.watching() as watcher:
            await responses.open()
            while True:
                update, n_lost = await watcher.next()
                conversation = live_conversation(update)
                await responses.send(
                    StreamConversationsResponse(conversation=conversation, lost_count=n_lost)
                )

    def _known(self) -> Archive:
        """Raises StateError."""
        if self._archive is None:
            raise StateError("this server keeps no conversations", "start it with a store")
        return self._archive


async def _reading(work: Callable[[], Result]) -> Result:
    """In a thread. Raises UnavailableError where the database does not answer."""
    with answering():
        return await asyncio.to_thread(work)


def _key(name: str) -> int:
    match = _NAME.fullmatch(name)
    if match is None or int(match[1]) > _MAX_KEY:
        raise InputError("a name such as conversations/417 is needed", "name")
    return int(match[1])


def _token(began: datetime, key: int) -> str:
    return f"{(began - _EPOCH) // _MICROSECOND}-{key}"


def _place(token: str) -> tuple[datetime, int] | None:
    if not token:
        return None
    match = _TOKEN.fullmatch(token)
    if match is None or int(match[2]) > _MAX_KEY:
        raise InputError("not a token that this service gave", "page_token")
    try:
        return _EPOCH + int(match[1]) * _MICROSECOND, int(match[2])
    except OverflowError:
        raise InputError("not a token that this service gave", "page_token") from None


def _start(token: str) -> int:
    if token and not (token.isascii() and token.isdigit() and len(token) < 10):
        raise InputError("not a token that this service gave", "page_token")
    return int(token or 0)


def _by(request: ListTrendsRequest) -> By:
    groups = ListTrendsRequest.GroupBy
    if request.group_by not in groups.values():
        raise InputError("not a GroupBy", "group_by")
    return By(groups.Name(request.group_by or ListTrendsRequest.DAY).lower())


def _time(request: Message, field: str) -> datetime | None:
    if not request.HasField(field):
        return None
    try:
        return getattr(request, field).ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InputError("a time of the years 1 to 9999", field) from None
