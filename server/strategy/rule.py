"""One rule as it is written in a book: what it advises, when, and how often."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Short = Annotated[str, Field(min_length=1, max_length=64)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Seconds = Annotated[float, Field(gt=0)]


def _hours(written: Any) -> tuple[time, time]:
    """As in 09:00-18:00."""
    try:
        start, end = (time.fromisoformat(part.strip()) for part in str(written).split("-"))
    except ValueError:
        raise ValueError("hours are written as 09:00-18:00") from None
    if start == end:
        raise ValueError("the hours begin when they end")
    return start, end


class Part(BaseModel):
    """What a book is made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Texts(Part):
    """The advice in both languages."""

    en: str = Field(min_length=1, max_length=500)
    zh: str = Field(min_length=1, max_length=500)


class Window(Part):
    """What the facts named window.* are taken from: the last seconds, or the last moments."""

    last_s: Seconds | None = Field(default=None, le=3600)
    last_moments: int | None = Field(default=None, ge=1, le=100)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.last_s is None) == (self.last_moments is None):
            raise ValueError("a window has either last_s or last_moments")
        return self


class Times(Part):
    """When a rule may fire: by the clock and the calendar of `zone`, `since` and `until` included;
    within the conversation's first seconds, or after some."""

    zone: ZoneInfo | None = None
    hours: Annotated[tuple[time, time] | None, BeforeValidator(_hours)] = None
    weekdays: tuple[Weekday, ...] = ()
    since: date | None = None
    until: date | None = None
    first_s: Seconds | None = None
    after_s: Seconds | None = None

    @model_validator(mode="after")
    def _zoned(self) -> Self:
        if self.by_the_clock and self.zone is None:
            raise ValueError("hours, weekdays and dates need a zone, such as Asia/Shanghai")
        if self.since and self.until and self.since > self.until:
            raise ValueError("since is after until")
        return self

    @property
    def by_the_clock(self) -> bool:
        return bool(self.hours or self.weekdays or self.since or self.until)

    def include(self, at: datetime | None, position_s: float) -> bool:
        """`at` may be None where nothing goes by the clock."""
        if self.first_s is not None and position_s > self.first_s:
            return False
        if self.after_s is not None and position_s < self.after_s:
            return False
        return at is None or not self.by_the_clock or self._include(at.astimezone(self.zone))

    def _include(self, local: datetime) -> bool:
        if self.weekdays and WEEKDAYS[local.weekday()] not in self.weekdays:
            return False
        today = local.date()
        if today < (self.since or today) or today > (self.until or today):
            return False
        if self.hours is None:
            return True
        start, end = self.hours
        now = local.time()
        return start <= now < end if start < end else now >= start or now < end


class Rule(Part):
    """See docs/rules.md for what each field means."""

    name: str = Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=64)
    when: str = Field(min_length=1)
    advice: Texts
    priority: int = Field(default=50, ge=0, le=100)
    cool_down_s: Seconds = 120.0
    tags: tuple[Short, ...] = Field(default=(), max_length=16)
    role: Literal["customer", "agent", "any"] = "customer"
    channels: tuple[Short, ...] = Field(default=(), max_length=32)
    languages: tuple[Short, ...] = Field(default=(), max_length=32)
    time: Times | None = None
    window: Window | None = None
