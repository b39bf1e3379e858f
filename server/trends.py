"""`emotion trends`: stored conversations by hour, day, channel or tag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from server.moments import ConversationInfo
    from server.store.records import ScoredConversation, StoredConversation

CONFIDENCE = 0.95
NONE = "–"  # the name of the group of those without a channel, or without a tag


class By(StrEnum):
    """What conversations are grouped by; times are UTC."""

    HOUR = "hour"
    DAY = "day"
    CHANNEL = "channel"
    TAG = "tag"


@dataclass(frozen=True)
class Trend:
    """One group.

    name            of the channel or tag, or the ISO time at which the hour or day begins
    n               conversations with a score of the customer
    n_unscored      those without
    score           mean of the conversations' mean scores, in [−1, 1]; None where n is 0
    negative_share  of n, with Wilson's 95 % interval `low` to `high`; None where n is 0
    """

    name: str
    n: int
    n_unscored: int
    score: float | None
    negative_share: float | None
    low: float | None
    high: float | None


@dataclass
class _Sum:
    n: int = 0
    n_unscored: int = 0
    n_negative: int = 0
    score: float = 0.0

    def add(self, mean: float | None, negative_below: float) -> None:
        if mean is None:
            self.n_unscored += 1
            return
        self.n += 1
        self.n_negative += mean < negative_below
        self.score += mean


def trends(
    conversations: Iterable[ScoredConversation | StoredConversation],
    by: By,
    negative_below: float,
) -> list[Trend]:
    """Hours and days in order, also those without conversations between; channels and tags with
    most conversations first. A conversation with several tags counts for each.

    negative_below  as in the alerts: of the mean of the customer's scores
    """
    sums: dict[str | datetime, _Sum] = {}
    for conversation in conversations:
        for group in _groups(conversation.info, by):
            sums.setdefault(group, _Sum()).add(conversation.mean_score, negative_below)
    if by in (By.HOUR, By.DAY):
        times = sorted(time for time in sums if isinstance(time, datetime))
        step = timedelta(hours=1) if by is By.HOUR else timedelta(days=1)
        return [_trend(_iso(time, by), sums.get(time, _Sum())) for time in _steps(times, step)]
    named = [_trend(str(name), found) for name, found in sums.items()]
    return sorted(named, key=lambda trend: (-trend.n - trend.n_unscored, trend.name))


def _groups(info: ConversationInfo, by: By) -> Iterable[str | datetime]:
    if by is By.CHANNEL:
        return [info.channel or NONE]
    if by is By.TAG:
        return dict.fromkeys(info.tags) or [NONE]
    began = info.started_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return [began if by is By.HOUR else began.replace(hour=0)]


def _steps(times: Sequence[datetime], step: timedelta) -> list[datetime]:
    if not times:
        return []
    return [times[0] + i * step for i in range((times[-1] - times[0]) // step + 1)]


def _iso(time: datetime, by: By) -> str:
    return f"{time:%Y-%m-%dT%H:%MZ}" if by is By.HOUR else f"{time:%Y-%m-%d}"


def _trend(name: str, found: _Sum) -> Trend:
    from scipy.stats import binomtest

    if not found.n:
        return Trend(name, 0, found.n_unscored, None, None, None, None)
    interval = binomtest(found.n_negative, found.n).proportion_ci(CONFIDENCE, method="wilson")
    return Trend(
        name,
        found.n,
        found.n_unscored,
        found.score / found.n,
        found.n_negative / found.n,
        float(interval.low),
        float(interval.high),
    )


def show(
    store: Annotated[
        str, typer.Option("--store", metavar="URL", help="The store: an SQLite file, or a URL.")
    ],
    by: Annotated[By, typer.Option(help="What to group by; hours and days are UTC.")] = By.DAY,
    since: Annotated[
        datetime | None, typer.Option(help="Those that began then or later, UTC.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(help="Those that began before, UTC.")] = None,
    negative_below: Annotated[
        float | None,
        typer.Option(help="A conversation is negative where the customer's mean score is below."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="OUT.html|OUT.png", help="Also draw it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one list.")] = False,
) -> None:
    """Show how stored conversations went: how many, their mean score, how many are negative."""
    from contextlib import closing

    from modalities.errors import InputError
    from server.alerts.watch import WatchOptions
    from server.store.archive import Archive

    if plot is not None and plot.suffix not in (".html", ".png"):
        raise InputError("a name that ends in .html or .png is needed", "--plot")
    below = WatchOptions().negative_below if negative_below is None else negative_below
    with closing(Archive(store, create=False)) as archive:
        found = trends(archive.scores(_utc(since), _utc(until)), by, below)
    if plot is not None:
        from server.trend_plot import draw

        draw(found, by, plot)
    if as_json:
        import json
        from dataclasses import asdict

        print(json.dumps([asdict(trend) for trend in found], ensure_ascii=False, indent=2))
    else:
        from rich.console import Console

        Console().print(_table(found, by) if found else "no conversations")


def _utc(time: datetime | None) -> datetime | None:
    return time and time.replace(tzinfo=UTC)


def _table(found: Sequence[Trend], by: By) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    table.add_column(by.value)
    for name in ("conversations", "unscored", "score", "negative", "95 % interval"):
        table.add_column(name, justify="right")
    table.add_column("")
    for trend in found:
        table.add_row(trend.name, f"{trend.n:,}", f"{trend.n_unscored:,}", *_figures(trend))
    return table


def _figures(trend: Trend) -> list[Any]:
    if trend.score is None or trend.negative_share is None:
        return ["", "", "", ""]
    from rich.bar import Bar

    interval = f"{trend.low:.1%} – {trend.high:.1%}"
    bar = Bar(1.0, 0.0, trend.negative_share, width=20, color="red")
    return [f"{trend.score:+.2f}", f"{trend.negative_share:.1%}", interval, bar]
