"""Emoji in chats: a small series of screenshots of its own, and what is found and named in it.

A third of the messages are emoji alone, a third end in some, a third have none. Layouts and texts
are the split's; the series is apart so that the other figures keep their pictures.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.screenshots import readers
from bench.screenshots.browser import Browser
from bench.screenshots.compose import Chat, compose
from bench.screenshots.generate import DAMAGES, Case, draw
from bench.screenshots.layouts import LAYOUTS
from bench.screenshots.readers import CachedOcr
from bench.screenshots.score import matches
from bench.screenshots.texts import Split, Texts
from training.emoji import CHARACTERS

KNOWN = frozenset(CHARACTERS)


def generate(split: Split, folder: Path, seed: int) -> list[Path]:
    """Write a chat for each layout and mode of `split`, clean and damaged, with its truth."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = Texts(split)
    written: list[Path] = []
    case = Case("phone", "zh", {split: 1})
    names = [layout.name for layout in LAYOUTS.values() if layout.split == split]
    with Browser() as browser:
        for place, (name, dark) in enumerate((n, d) for n in names for d in (False, True)):
            stem = folder / f"{name}_{'dark' if dark else 'light'}_emoji"
            rng = random.Random(f"{seed} {stem.name}")
            chat = with_emoji(compose(rng, texts, "zh", length=18), rng)
            damage = DAMAGES[place % len(DAMAGES)]
            written += draw(browser, chat, rng, case, name, dark, stem, damage)
    return written


def with_emoji(chat: Chat, rng: random.Random) -> Chat:
    """A chat whose messages, in turn by chance, are emoji alone, end in some, or have none."""
    items = []
    for item in chat.items:
        if item.kind == "message":
            some = "".join(rng.choices(CHARACTERS, k=rng.randint(1, 3)))
            words = "".join(one for one in item.text if one not in KNOWN)
            item = replace(item, text=rng.choice((some, words + some, words)))
        items.append(item)
    return replace(chat, items=tuple(items))


def score(folder: Path, ocr_cache: Path | None) -> dict[str, Any]:
    """Shares over all emoji of messages that are wholly seen: found, named right and wrong.

    `alone` are messages of nothing else, found as messages; `false` are emoji found in messages
    that have none, over these messages.
    """
    cached = CachedOcr(ocr_cache)
    sums: dict[str, Counter[str]] = {}
    for path in sorted(folder.glob("*.json")):
        truth = json.loads(path.read_text())
        pixels = readers.pixels_of(folder / truth["file"])
        reading = readers.read_ours(pixels, cached.read(pixels))
        condition = "clean" if truth["damage"] == "none" else "damaged"
        count = sums.setdefault(condition, Counter())
        count["pictures"] += 1
        for text, read in matches(truth, reading):
            true = [one for one in text if one in KNOWN]
            named = [one for one in read.text if one in KNOWN] if read else []
            right = (Counter(true) & Counter(named)).total()
            found = read.emoji if read else 0
            if true:
                count["emoji"] += len(true)
                count["found"] += min(found, len(true))
                count["right"] += right
                count["wrong"] += len(named) - right
                count["alone"] += len(true) == len(text)
                count["alone_found"] += len(true) == len(text) and read is not None
            else:
                count["without"] += 1
                count["false"] += found
    return {
        condition: {
            "pictures": count["pictures"],
            "emoji": count["emoji"],
            "found": round(count["found"] / count["emoji"], 4),
            "named_right": round(count["right"] / count["emoji"], 4),
            "named_wrong": round(count["wrong"] / count["emoji"], 4),
            "alone": count["alone"],
            "alone_found": round(count["alone_found"] / max(count["alone"], 1), 4),
            "without": count["without"],
            "false": count["false"],
        }
        for condition, count in sorted(sums.items())
    }
