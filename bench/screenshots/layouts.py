"""The layouts, modelled on apps: geometry and colours in templates/<name>.css, the rest here.

Those of split dev are for tuning, the three of split test for the figures that are reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.screenshots.compose import Chat
from bench.screenshots.texts import Split

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Layout:
    """What an app draws around its bubbles.

    avatars   portraits: "both" sides, "left" only, "group" (left, in groups only), "none"
    inside    which of name, quote and clock stand in the bubble
    heading   a name and a full time in one line above every bubble
    receipts  read marks: "beside" or "below" the bubble, "ticks" in it, a "clock" beside it, "none"
    named     whether the other side's name stands above its bubbles outside of groups, too
    one_side  whether everybody's messages stand at the left
    """

    name: str
    split: Split
    avatars: str
    inside: frozenset[str]
    heading: bool
    receipts: str
    named: bool = False
    one_side: bool = False


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("wechat", "dev", "both", frozenset(), False, "none"),
        Layout("whatsapp", "dev", "none", frozenset(("name", "quote", "clock")), False, "ticks"),
        Layout("jd", "dev", "both", frozenset(("quote",)), False, "beside"),
        Layout("line", "dev", "left", frozenset(), False, "clock"),
        Layout("kakao", "dev", "left", frozenset(("quote",)), False, "clock", named=True),
        Layout("messenger", "dev", "left", frozenset(), False, "below"),
        Layout("wecom", "dev", "both", frozenset(("quote",)), True, "none"),
        Layout("zendesk", "dev", "both", frozenset(), True, "below"),
        Layout("outline", "dev", "none", frozenset(("quote",)), False, "beside"),
        Layout("widget", "dev", "left", frozenset(("quote",)), False, "below"),
        Layout("console", "dev", "none", frozenset(("clock", "quote")), False, "none"),
        Layout("slack", "dev", "both", frozenset(("quote",)), True, "none", one_side=True),
        Layout("helpdesk", "dev", "both", frozenset(), True, "none", one_side=True),
        Layout("qianniu", "test", "both", frozenset(("quote",)), True, "beside"),
        Layout("imessage", "test", "group", frozenset(), False, "below"),
        Layout("telegram", "test", "group", frozenset(("name", "quote", "clock")), False, "ticks"),
    )
}


@dataclass(frozen=True)
class Screen:
    """A viewport in CSS pixels, `scale` device pixels each; height 0: as tall as the chat."""

    name: str
    width: int
    height: int
    scale: float
    sidebar: bool = False  # a list of chats at the left
    panels: bool = False  # the customer's profile and orders at the right, tools above the input

    @property
    def desktop(self) -> bool:
        return self.name.startswith("desktop")


SCREENS = {
    screen.name: screen
    for screen in (
        Screen("phone", 360, 800, 3),  # 1080 × 2400
        Screen("phone_small", 360, 640, 2),  # 720 × 1280
        Screen("phone_wide", 393, 852, 3),  # 1179 × 2556
        Screen("phone_long", 360, 0, 3),  # 1080 × up to 20000, as stitched by a phone
        Screen("desktop", 760, 720, 1),
        Screen("desktop_dense", 720, 800, 2),
        Screen("desktop_sidebar", 1100, 760, 1, sidebar=True),
        Screen("desktop_wide", 1440, 900, 1, sidebar=True, panels=True),
    )
}


def page(layout: Layout, screen: Screen, chat: Chat, dark: bool, mark: Callable[..., int]) -> str:
    """The HTML of a chat. `mark(kind, text, item)` is called for each element that is truth."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    css = "".join((TEMPLATES / f"{name}.css").read_text() for name in ("base", layout.name))
    return environment.get_template("chat.html").render(
        layout=layout, screen=screen, chat=chat, dark=dark, mark=mark, css=css
    )
