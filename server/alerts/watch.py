"""How conversations end, counted by tag, by channel and overall; what changes is told as alerts."""

from __future__ import annotations

import hashlib
import json
import queue
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from emotion.v1.alert_service_pb2 import Alert, NegativeCount

from server.alerts.detect import Change, Count, Kind, Series
from server.alerts.log import AlertLog, Key
from server.files import write_whole
from server.logs import LOG
from server.moments import ConversationInfo
from server.privacy.redact import redact

Sink: TypeAlias = Callable[[Alert], None]

MAX_WAITING = 10_000  # conversations that ended and are not yet counted
MAX_TAGS, MAX_NAME_CHARACTERS = 20, 100  # of one conversation; more is not watched
SEEN = 10_000  # conversations that are known by their ids, each counted once
LATE_S = 3600.0  # behind the newest: a conversation of that long ago says nothing of now
SAVE_S = 30.0


@dataclass(frozen=True)
class WatchOptions:
    """
    negative_below  a conversation is negative where the mean of its customer's scores is below
    max_series      channels and tags at once; those that were not heard of for longest are
                    forgotten
    """

    negative_below: float = -0.2
    max_series: int = 500


@dataclass
class ScopeState:
    """Of one scope's series: how many there are, how many are in a spike, and, overall, the share
    of negative ones among the last conversations."""

    series: int = 0
    spikes: int = 0
    negative_share: float | None = None


@dataclass
class _Watched:
    series: Series = field(default_factory=Series)
    episode: str = ""  # the id of its last spike


@dataclass(frozen=True)
class _End:
    """`conversation` is empty where the caller gave no id."""

    conversation: bytes
    channel: str
    tags: tuple[str, ...]
    negative: bool
    ended_s: float


class Watch:
    """A thread counts what `ended` only queues. Its state is a JSON file, written every 30 seconds
    and at the end; after a kill what came since then is not counted, and an alert that was raised
    is not raised again, since the log knows it.

    sinks  take each alert, in that thread; the log first, which makes it known
    """

    def __init__(
        self, options: WatchOptions, log: AlertLog, sinks: Sequence[Sink], state: Path
    ) -> None:
        self._options, self._sinks, self._state = options, (log.add, *sinks), state
        self._watched: OrderedDict[Key, _Watched] = OrderedDict()
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._newest_s = 0.0
        self._n_lost = 0
        self._load(log)
        self._ends: queue.Queue[_End | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def ended(self, info: ConversationInfo, scores: Sequence[float], ended_at: datetime) -> None:
        """A conversation ended; `scores` are the customer's in order, each in [−1, 1], and without
        any it does not count. Never blocks: where too many wait, it is left out."""
        if not scores:
            return
        if self._ends.qsize() >= MAX_WAITING:
            self._n_lost += 1
            return
        conversation = hashlib.blake2b(info.conversation_id.encode(), digest_size=16).digest()
        self._ends.put(
            _End(
                conversation if info.conversation_id else b"",
                info.channel,
                info.tags,
                sum(scores) / len(scores) < self._options.negative_below,
                ended_at.timestamp(),
            )
        )

    def states(self) -> dict[str, ScopeState]:
        """By scope, "overall", "channel" and "tag"; from any thread."""
        states = {scope: ScopeState() for scope in ("overall", "channel", "tag")}
        for (scope, _), watched in tuple(self._watched.items()):
            state, series = states[Alert.Scope.Name(scope).lower()], watched.series
            state.series += 1
            state.spikes += series.before is not None
            if scope == Alert.OVERALL and (last := tuple(series.spike or series.calm)):
                state.negative_share = sum(negative for _, negative in last) / len(last)
        return states

    def wait(self) -> None:
        """Until all that ended is counted."""
        self._ends.join()

    def close(self) -> None:
        """Count what waits, and save."""
        self._ends.put(None)
        self._thread.join()

    def _run(self) -> None:
        save_at = time.monotonic() + SAVE_S
        dirty = False
        while True:
            with suppress(queue.Empty):
                end = self._ends.get(timeout=max(0.0, save_at - time.monotonic()))
                if end is None:
                    break
                try:
                    dirty = self._count(end) or dirty
                except Exception:
                    LOG.exception("a conversation could not be counted")
                finally:
                    self._ends.task_done()
            if time.monotonic() >= save_at:
                if dirty:
                    self._save()
                save_at, dirty = time.monotonic() + SAVE_S, False
        self._save()

    def _count(self, end: _End) -> bool:
        """Whether it counts: once, and in time."""
        ended_s = min(end.ended_s, time.time())
        self._newest_s = max(self._newest_s, ended_s)
        if ended_s < self._newest_s - LATE_S or end.conversation in self._seen:
            return False
        if end.conversation:
            self._seen[end.conversation] = None
            if len(self._seen) > SEEN:
                self._seen.popitem(last=False)
        for key in _keys(end):
            watched = self._of(key)
            change = watched.series.update(ended_s, end.negative)
            if change is not None:
                self._tell(key, watched, change)
        return True

    def _tell(self, key: Key, watched: _Watched, change: Change) -> None:
        alert = Alert(id=uuid.uuid4().hex, kind=change.kind.value, scope=key[0], name=key[1])
        if change.kind is Kind.SPIKE:
            watched.episode = alert.id
        alert.episode_id = watched.episode
        alert.create_time.FromNanoseconds(time.time_ns())
        alert.since_time.FromMilliseconds(round(change.since_s * 1000))
        alert.before.CopyFrom(_count_of(change.before))
        alert.after.CopyFrom(_count_of(change.after))
        if change.p_value is not None:
            alert.p_value = change.p_value
        for sink in self._sinks:
            sink(alert)
        LOG.warning(
            "alert",
            extra={
                "alert": alert.id,
                "kind": change.kind.value,
                "scope": Alert.Scope.Name(key[0]),
                "before": round(change.before.share, 4),
                "after": round(change.after.share, 4),
            },
        )
        self._save()

    def _of(self, key: Key) -> _Watched:
        watched = self._watched.setdefault(key, _Watched())
        self._watched.move_to_end(key)
        if len(self._watched) > self._options.max_series:
            self._watched.popitem(last=False)
        return watched

    def _save(self) -> None:
        state = {
            "newest_s": self._newest_s,
            "series": [
                {
                    "scope": Alert.Scope.Name(scope),
                    "name": name,
                    "episode": watched.episode,
                    **watched.series.to_json(),
                }
                for (scope, name), watched in self._watched.items()
            ],
        }
        try:
            write_whole(self._state, json.dumps(state, ensure_ascii=False).encode())
        except OSError as error:
            LOG.error(
                "the alerts' state could not be saved", extra={"reason": type(error).__name__}
            )
        if self._n_lost:
            LOG.error("conversations were not counted", extra={"lost": self._n_lost})
            self._n_lost = 0

    def _load(self, log: AlertLog) -> None:
        try:
            state: dict[str, Any] = json.loads(self._state.read_bytes())
            self._newest_s = state["newest_s"]
            for one in state["series"]:
                key = Alert.Scope.Value(one["scope"]), one["name"]
                self._watched[key] = _Watched(Series.from_json(one), one["episode"])
        except FileNotFoundError:
            pass
        except (ValueError, LookupError, TypeError, OSError) as error:
            self._watched.clear()
            LOG.error("the alerts' state is lost", extra={"reason": type(error).__name__})
        for key, alert in log.last().items():  # what was told after the last save
            watched = self._of(key)
            if alert.kind == Alert.SPIKE:
                if watched.series.before is None:
                    count = Count(alert.before.conversation_count, alert.before.negative_count)
                    watched.series.begin_spike(count)
                    watched.episode = alert.id
            elif watched.episode == alert.episode_id and watched.series.before is not None:
                watched.series.end_spike()


def _keys(end: _End) -> Iterator[Key]:
    yield Alert.OVERALL, ""
    if end.channel and len(end.channel) <= MAX_NAME_CHARACTERS:
        yield Alert.CHANNEL, _redacted(end.channel)
    tags = [tag for tag in end.tags[:MAX_TAGS] if tag and len(tag) <= MAX_NAME_CHARACTERS]
    for name in dict.fromkeys(map(_redacted, tags)):
        yield Alert.TAG, name


@lru_cache(4096)
def _redacted(name: str) -> str:
    return redact(name).text


def _count_of(count: Count) -> NegativeCount:
    return NegativeCount(
        conversation_count=count.n, negative_count=count.negative, share=count.share
    )
