"""What is being scored right now, told to whoever watches; in bounded memory."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from server.analysis import Role
from server.moments import ConversationInfo, Moment

if TYPE_CHECKING:
    from server.follow import Advised

MAX_ONGOING = 1000  # conversations; of more, those that were quiet for longest are forgotten
MAX_MOMENTS = 1000  # of one conversation, the last ones
MAX_WAITING = 256  # updates that a watcher has not taken


@dataclass(frozen=True)
class LiveMoment:
    """A moment as far as it may be watched: nothing of what was said."""

    number: int
    role: Role | None
    start_s: float | None
    end_s: float | None
    score: float | None
    emotion: str
    advised: Sequence[Advised]

    @classmethod
    def of(
        cls, number: int, moment: Moment, emotion: str, advised: Sequence[Advised]
    ) -> LiveMoment:
        role, score = moment.role, moment.score
        return cls(number, role, moment.start_s, moment.end_s, score, emotion, advised)


@dataclass(frozen=True)
class Update:
    """New moments of a conversation; `ended_at` (UTC) once it is over."""

    key: int
    info: ConversationInfo
    moments: Sequence[LiveMoment]
    ended_at: datetime | None = None


@dataclass
class _Ongoing:
    info: ConversationInfo
    moments: deque[LiveMoment] = field(default_factory=lambda: deque(maxlen=MAX_MOMENTS))


class Watcher:
    """What one client of StreamConversations has yet to take."""

    def __init__(self, updates: Sequence[Update]) -> None:
        self._updates, self._n_lost = deque(updates), 0
        self._filled = asyncio.Event()
        if updates:
            self._filled.set()

    async def next(self) -> tuple[Update, int]:
        """The oldest update, and how many before it were lost."""
        await self._filled.wait()
        update, n_lost, self._n_lost = self._updates.popleft(), self._n_lost, 0
        if not self._updates:
            self._filled.clear()
        return update, n_lost

    def tell(self, update: Update) -> None:
        if len(self._updates) >= MAX_WAITING:
            self._updates.popleft()
            self._n_lost += 1
        self._updates.append(update)
        self._filled.set()


class Live:
    """Belongs to the event loop in which conversations are scored, each begun by a task of its
    own: where that ends, the conversation is over, even if it broke off."""

    def __init__(self) -> None:
        self._ongoing: OrderedDict[int, _Ongoing] = OrderedDict()
        self._watchers: set[Watcher] = set()

    def begin(self, info: ConversationInfo, key: int | None) -> int:
        """A conversation; its key, the store's where that gave one."""
        key = secrets.randbits(63) if key is None else key
        self._ongoing[key] = _Ongoing(info)
        if (task := asyncio.current_task()) is not None:
            task.add_done_callback(lambda _: self.end(key))
        if len(self._ongoing) > MAX_ONGOING:
            self._ongoing.popitem(last=False)
        self._tell(Update(key, info, ()))
        return key

    def add(self, key: int, moment: LiveMoment) -> None:
        if (ongoing := self._ongoing.get(key)) is not None:
            ongoing.moments.append(moment)
            self._ongoing.move_to_end(key)
            self._tell(Update(key, ongoing.info, (moment,)))

    def end(self, key: int) -> None:
        """It is over; a second time says nothing new."""
        if (ongoing := self._ongoing.pop(key, None)) is not None:
            self._tell(Update(key, ongoing.info, (), datetime.now(UTC)))

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """First all that goes on, then what comes."""
        ongoing = [Update(key, one.info, tuple(one.moments)) for key, one in self._ongoing.items()]
        watcher = Watcher(ongoing)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def _tell(self, update: Update) -> None:
        for watcher in self._watchers:
            watcher.tell(update)
