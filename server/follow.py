"""What goes along with a conversation: advice while it lasts, its record, alerts at its end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from emotion.v1.types_pb2 import Context

from server.analysis import Role
from server.conversations.live import Live, LiveMoment
from server.moments import Advice, ConversationInfo, Moment
from server.observe import metrics
from server.strategy.advise import Advisor
from server.strategy.book import Book
from server.strategy.facts import Tracker

if TYPE_CHECKING:
    from server.alerts.alerting import Alerting
    from server.models import Models
    from server.settings import Settings
    from server.store.store import Store

_CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True)
class Advised:
    """Advice on its way to the caller.

    index     of the message or utterance it is about, as in its result
    language  of the caller's, "zh" or "en"
    """

    advice: Advice
    index: int
    language: str
    book_revision: str


@dataclass(frozen=True)
class Followers:
    """Of one server."""

    book: Book = field(default_factory=Book.default)
    store: Store | None = None
    alerting: Alerting | None = None
    live: Live = field(default_factory=Live)

    @classmethod
    def open(cls, settings: Settings) -> Followers:
        """As the settings ask. Raises InputError on a bad rule book, and what the store and the
        alerts raise that cannot be opened."""
        return cls(Book.load(settings.rules), _store(settings), _alerting(settings))

    def close(self) -> None:
        """Write and deliver what is under way, as far as that goes in a few seconds."""
        if self.store is not None:
            self.store.close()
        if self.alerting is not None:
            self.alerting.close()

    def begin(self, context: Context, request_id: str, method: str, models: Models) -> Following:
        """`models` are those that will score it. Raises OverloadedError where the store can take
        no more: nothing is scored that would not be recorded."""
        info = ConversationInfo(
            request_id,
            method,
            datetime.now(UTC),
            context.conversation_id,
            context.customer_id,
            context.agent_id,
            context.channel,
            context.language,
            tuple(context.tags),
        )
        return Following(self, info, models)


class Following:
    """Of one conversation; one that broke off is never told its `end`."""

    def __init__(self, followers: Followers, info: ConversationInfo, models: Models) -> None:
        self.followers, self.info = followers, info
        self._tracker, self._advisor = Tracker(info), Advisor(followers.book)
        self._n_moments = 0
        self._scores: list[float] = []  # the customer's
        self._key: int | None = None
        if followers.store is not None:
            versions = {info.name: info.revision for info in models.infos() if info.revision}
            versions["rules"] = followers.book.revision
            self._key = followers.store.begin(info, versions)
        self._live_key = followers.live.begin(info, self._key)

    def add(self, moment: Moment) -> list[Advised]:
        """The next moment; what the rules advise at it, the most urgent first."""
        number, self._n_moments = self._n_moments, self._n_moments + 1
        if (score := moment.score) is not None:
            metrics.scored(score)
            if moment.role is Role.CUSTOMER:
                self._scores.append(score)
        facts = self._tracker.facts(moment)
        advice = self._advisor.advise(number, facts)
        book = self.followers.book
        if self.followers.store is not None and self._key is not None:
            not_evaluable = self._advisor.not_evaluable
            self.followers.store.add(self._key, number, moment, facts, advice, not_evaluable)
        language = self.language(moment)
        advised = [Advised(one, moment.index, language, book.revision) for one in advice]
        self.followers.live.add(
            self._live_key, LiveMoment.of(number, moment, facts["emotion"] or "", advised)
        )
        return advised

    def add_all(self, moments: Iterable[Moment]) -> list[Advised]:
        """The moments that come next, in order."""
        return [advised for moment in moments for advised in self.add(moment)]

    def end(self, satisfaction: float | None = None) -> None:
        """It was answered."""
        self.followers.live.end(self._live_key)
        if self.followers.store is not None and self._key is not None:
            self.followers.store.end(self._key, satisfaction)
        if self.followers.alerting is not None and self._scores:
            self.followers.alerting.watch.ended(self.info, self._scores, datetime.now(UTC))

    def language(self, moment: Moment) -> str:
        """Of advice: "zh" or "en", as the context says, or where it is silent as the moment is."""
        is_chinese = (
            self.info.language.lower().startswith("zh")
            if self.info.language
            else bool(_CHINESE.search(moment.text))
        )
        return "zh" if is_chinese else "en"


# Imported only where they are wanted: they bring a database's and a drift detector's libraries.
def _store(settings: Settings) -> Store | None:
    if settings.store is None:
        return None
    from server.store.key import key_of
    from server.store.store import Store

    secret = settings.store_key.get_secret_value() if settings.store_key else None
    return Store.open(
        settings.store,
        key=key_of(settings.store, secret, settings.store_key_file),
        keep_content=settings.store_content,
        max_queued=settings.store_max_queued,
        retention_days=settings.store_retention_days,
    )


def _alerting(settings: Settings) -> Alerting | None:
    if settings.alerts is None:
        return None
    from server.alerts.alerting import Alerting
    from server.alerts.watch import WatchOptions
    from server.alerts.webhook import Delivery, Poster

    delivery = Delivery()
    secret = settings.alert_webhook_secret.get_secret_value()
    poster = Poster(settings.alert_webhooks, secret, delivery.timeout_s)
    options = WatchOptions(settings.negative_below, settings.max_alert_series)
    return Alerting(settings.alerts, options, poster, delivery)
