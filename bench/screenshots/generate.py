"""Render the screenshots of a split with their truth: one <name>.png and <name>.json each.

A truth file holds layout, screen, mode ("light", "dark"), language, group, damage, size, series
(of which chat, and the how-many-th screenshot of it; null for most) and `items`, everything that
is written in the picture in the order of the page:

    kind    message; timestamp, name, system, quote; sticker, picture, card, voice
    text    what is written; "" for stickers and pictures
    side    left or right for the four last and messages, else none
    number  the item's place in its chat, the same in every screenshot of it; −1 for the app's own
    box     x0, y0, x1, y1 in pixels, of what is seen: of the bubble, else of the text
    cut     whether part of it is outside of the picture; such an item is not asked for
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter

from bench.screenshots.browser import Browser
from bench.screenshots.compose import Chat, Item, compose
from bench.screenshots.layouts import LAYOUTS, SCREENS, page
from bench.screenshots.texts import Split, Texts

BUBBLES = ("message", "sticker", "picture", "card", "voice")
TALLEST = 20_000  # pixels of a stitched screenshot
DAMAGES = ("jpeg40", "half", "blur")


@dataclass(frozen=True)
class Case:
    """One chat to draw `count` times for each layout and mode of a split.

    language  of compose(), or "empty"
    shots     screenshots of the same chat, each sharing part with the one before
    damaged   whether each picture is also written with one of DAMAGES, in turn
    """

    screen: str
    language: str
    count: dict[Split, int]
    group: bool = False
    shots: int = 1
    damaged: bool = True


CASES = (
    Case("phone", "zh", {"dev": 3, "test": 6}),
    Case("phone", "en", {"dev": 2, "test": 4}),
    Case("phone", "mixed", {"dev": 1, "test": 3}),
    Case("phone", "zh", {"dev": 2, "test": 4}, group=True),
    Case("phone_small", "zh", {"dev": 1, "test": 2}),
    Case("phone_wide", "en", {"dev": 1, "test": 2}),
    # Half of a screen of one device pixel to a point has characters 7 px high, which nobody reads.
    Case("desktop", "zh", {"dev": 1, "test": 2}, damaged=False),
    Case("desktop_dense", "mixed", {"dev": 1, "test": 2}),
    Case("desktop_sidebar", "zh", {"dev": 1, "test": 2}, damaged=False),
    Case("desktop_wide", "zh", {"dev": 1, "test": 0}, damaged=False),
    Case("phone_long", "zh", {"dev": 1, "test": 1}, damaged=False),
    Case("phone", "zh", {"dev": 1, "test": 1}, shots=3, damaged=False),
    Case("phone", "rtl", {"dev": 1, "test": 1}, damaged=False),
    Case("phone", "empty", {"dev": 1, "test": 1}, damaged=False),
)


@dataclass
class Mark:
    kind: str
    text: str
    item: Item | None


def generate(split: Split, folder: Path, seed: int, limit: int | None = None) -> list[Path]:
    """Write the pictures of `split` and their truth into `folder`; returns the pictures' paths.

    The same seed gives the same texts, scrolls and crops. `limit` stops after so many cases.
    Raises UnavailableError where Chromium or the data is absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = Texts(split)
    written: list[Path] = []
    with Browser() as browser:
        for place, (case, layout, dark, turn) in enumerate(_plan(split)):
            if limit is not None and place >= limit:
                break
            name = f"{layout}_{'dark' if dark else 'light'}_{case.screen}_{case.language}"
            name += f"{'_group' * case.group}{'_series' * (case.shots > 1)}_{turn}"
            rng = random.Random(f"{seed} {name}")
            damage = DAMAGES[place % len(DAMAGES)] if case.damaged else None
            chat = _chat(rng, texts, case)
            written += draw(browser, chat, rng, case, layout, dark, folder / name, damage)
            print(f"{len(written)} {name}", flush=True)
    return written


def _plan(split: Split) -> Iterator[tuple[Case, str, bool, int]]:
    """Every case before any is drawn anew, so that a short run has some of each."""
    for turn in range(max(case.count[split] for case in CASES)):
        for case in CASES:
            for layout in LAYOUTS.values():
                for dark in (False, True):
                    if turn < case.count[split] and layout.split == split:
                        yield case, layout.name, dark, turn


def draw(
    browser: Browser,
    chat: Chat,
    rng: random.Random,
    case: Case,
    layout_name: str,
    dark: bool,
    stem: Path,
    damage: str | None,
) -> Iterator[Path]:
    """Write the screenshots of one chat, with their truth, as `stem`…; yields their paths."""
    screen, layout = SCREENS[case.screen], LAYOUTS[layout_name]
    marks: list[Mark] = []

    def mark(kind: str, text: str, item: Item | None = None) -> int:
        marks.append(Mark(kind, text, item))
        return len(marks) - 1

    browser.open(page(layout, screen, chat, dark, mark), screen)
    truth: dict[str, Any] = {
        "layout": layout_name,
        "screen": case.screen,
        "mode": "dark" if dark else "light",
        "language": case.language,
        "group": case.group,
        "damage": "none",
        "series": None,
    }
    room = browser.scroll(0)
    for shot in range(case.shots):
        at = room if rng.random() < 0.5 else rng.uniform(0, room)
        if case.shots > 1:
            truth["series"] = [stem.name, shot]
            at = min(room, shot * screen.height * rng.uniform(0.45, 0.6))
        browser.scroll(round(at))
        items = _items(browser.boxes(), marks, chat.owner, layout.one_side, screen.scale)
        image = browser.capture()
        image, items = _cropped(image, items, rng, case)
        path = stem.with_name(f"{stem.name}_{shot}.png" if case.shots > 1 else f"{stem.name}.png")
        yield _write(path, image, truth, items)
        if damage:
            damaged, scale = damage_image(image, damage)
            path = stem.with_name(f"{stem.name}_{damage}{'.jpg' if damage == 'jpeg40' else '.png'}")
            moved = [
                item | {"box": [round(edge * scale) for edge in item["box"]]} for item in items
            ]
            yield _write(path, damaged, truth | {"damage": damage}, moved)


def _chat(rng: random.Random, texts: Texts, case: Case) -> Chat:
    if case.language == "empty":
        return replace(compose(rng, texts, "zh", length=3), items=())
    length = rng.randint(25, 60) if case.screen == "phone_long" else 9 + 9 * case.shots
    return compose(rng, texts, case.language, length=length, group=case.group)


def _items(
    boxes: list[list[float]], marks: list[Mark], owner: int, one_side: bool, scale: float
) -> list[dict[str, Any]]:
    """What of the page is seen, in the page's order."""
    items = []
    for number, x0, y0, x1, y1, top, bottom in boxes:
        if y1 - y0 < 2:
            continue
        mark = marks[int(number)]
        side = "none"
        if mark.kind in BUBBLES and mark.item is not None:
            side = "right" if mark.item.who == owner and not one_side else "left"
        items.append({
            "kind": mark.kind,
            "text": mark.text,
            "side": side,
            "number": mark.item.number if mark.item else -1,
            "box": [round(edge * scale) for edge in (x0, y0, x1, y1)],
            "cut": y0 - top > 0.5 or bottom - y1 > 0.5,
        })  # fmt: skip
    return items


def _cropped(
    image: Image.Image, items: list[dict[str, Any]], rng: random.Random, case: Case
) -> tuple[Image.Image, list[dict[str, Any]]]:
    """A quarter of the pictures lose rows at the top and the bottom, through bubbles or bars."""
    height = min(image.height, TALLEST)
    top, bottom = 0, height
    if rng.random() < 0.25 and case.shots == 1 and case.language != "empty":
        top, bottom = round(height * rng.uniform(0, 0.12)), round(height * rng.uniform(0.88, 1))
    kept = []
    for item in items:
        x0, y0, x1, y1 = item["box"]
        low, high = max(y0, top), min(y1, bottom)
        if high - low >= 2:
            cut = item["cut"] or low > y0 or high < y1
            kept.append(item | {"box": [x0, low - top, x1, high - top], "cut": cut})
    return image.crop((0, top, image.width, bottom)), kept


def damage_image(image: Image.Image, damage: str) -> tuple[Image.Image, float]:
    """A picture as it comes after being sent about, and its scale; jpeg40 is done on writing."""
    if damage == "half":
        half = (image.width // 2, image.height // 2)
        return image.resize(half, Image.Resampling.BILINEAR), 0.5
    if damage == "blur":
        # A quarter of a point: what a screenshot shown in a smaller window and enlarged loses.
        return image.filter(ImageFilter.GaussianBlur(image.width / 1080)), 1.0
    return image, 1.0


def _write(path: Path, image: Image.Image, truth: dict[str, Any], items: list[Any]) -> Path:
    image.save(path, quality=40) if path.suffix == ".jpg" else image.save(path, compress_level=3)
    made = {"file": path.name, **truth, "size": list(image.size), "items": items}
    path.with_suffix(".json").write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n")
    return path
