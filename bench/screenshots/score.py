"""How well a chat was read, by its truth.

**Asked for** are the messages of kind `message` that are wholly seen. Bubbles that are cut off by
an edge, and those without a text of their own (stickers, pictures, cards, voice messages), are
left out: what a reader finds in them (more than half of its box) counts neither way.

**Matching.** A message found belongs to the true one whose bubble holds more than half of its
box. Of several in one bubble the one with the longest text counts. All others, and those in no
bubble, are *invented*; a true message without one is *missed*. Two bubbles read as one are mostly
in neither: one invented, two missed.

- side: messages found with the right side, over the true ones and the invented ones.
- order exact: pictures where the messages found are the true ones in their order, none missed,
  none invented, over all pictures; an empty chat is exact where nothing is found. `order_of_found`
  asks only that those found are in order.
- character error rate: Levenshtein distances of the found texts, plus the lengths of missed and of
  invented ones, over the lengths of the true ones. Compared are NFKC forms without emoji (no OCR
  here reads them), white space being one space between two letters of alphabets and none beside a
  Chinese character or punctuation. Pictures in scripts that the OCR was not made for have no rate.
- kept out, of timestamps and system lines (and, apart, names and quotes): lines that are wholly
  seen and not part of a message found. One in a bubble is part of it where the text found is
  nearer to "line + message" or "message + line" than to the message; one elsewhere where a
  message's box holds more than half of the line's.
- recognised: lines of a kind that the reader gives as such (timestamps, names, quotes), a third
  of their characters being free to differ.
- merged exactly, of several screenshots of one chat: the merged messages are each message that is
  wholly seen in one of them, once, in order.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from bench.screenshots.readers import Reading, Said
from training.evaluation.metrics import edit_distance

HIDING = ("sticker", "picture", "card", "voice")
APART = ("timestamp", "system", "name", "quote")
Truth = Mapping[str, Any]
Boxes = Sequence[int]
_SPACE_TO_DROP = re.compile(r"(?<![A-Za-z0-9À-ɏ]) | (?![A-Za-z0-9À-ɏ])")


@dataclass
class Counts:
    """Sums over pictures; `kept` and `recognised` by kind of line."""

    pictures: int = 0
    messages: int = 0
    matched: int = 0
    invented: int = 0
    right_side: int = 0
    exact: int = 0
    ordered: int = 0
    characters: int = 0
    errors: int = 0
    lines: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    kept: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    recognised: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, other: Counts) -> None:
        for one in fields(self):
            value = getattr(other, one.name)
            if isinstance(value, int):
                setattr(self, one.name, getattr(self, one.name) + value)
            else:
                for kind, count in value.items():
                    getattr(self, one.name)[kind] += count


@dataclass
class Judged:
    """One picture's counts, and what went wrong in words."""

    counts: Counts
    faults: list[str]


def normal(text: str) -> str:
    """The form of a text that is compared."""
    kept = "".join(
        character
        for character in unicodedata.normalize("NFKC", text)
        if unicodedata.category(character) not in ("So", "Sk", "Cs", "Cf", "Mn", "Co")
    )
    return _SPACE_TO_DROP.sub("", " ".join(kept.split()))


def judge(truth: Truth, reading: Reading) -> Judged:
    """Count one picture."""
    items = truth["items"]
    asked, hidden, said = _compared(truth, reading)
    found = _match(asked, said)
    invented = [one for one in said if not any(one is match for match in found.values())]
    counts = Counts(1, len(asked), len(found), len(invented))
    faults = [f"invented {one.side} {one.text!r}" for one in invented]

    for index, item in enumerate(asked):
        true = normal(item["text"])
        match = found.get(index)
        if match is None:
            faults.append(f"missed {item['side']} {item['text']!r}")
            errors = len(true)
        else:
            errors = edit_distance(normal(match.text), true)
            counts.right_side += match.side == item["side"]
            if match.side != item["side"]:
                faults.append(f"{match.side} for {item['side']} {item['text']!r}")
            if errors:
                faults.append(f"{errors} of {len(true)}: {match.text!r} for {item['text']!r}")
        if truth["language"] != "rtl":
            counts.errors += errors
            counts.characters += len(true)
    if truth["language"] != "rtl":
        counts.errors += sum(len(normal(one.text)) for one in invented)

    place = {id(one): index for index, one in found.items()}
    order = [place[id(one)] for one in said if id(one) in place]
    counts.ordered = int(order == sorted(order))
    counts.exact = int(counts.ordered and len(order) == len(asked) and not invented)
    if not counts.ordered:
        faults.append(f"order {order}")
    _judge_lines(items, hidden, asked, found, said, counts, faults)
    _judge_kinds(items, hidden, reading, counts)
    return Judged(counts, faults)


def matches(truth: Truth, reading: Reading) -> list[tuple[str, Said | None]]:
    """The text of each message that is asked for, and what was found of it."""
    asked, _, said = _compared(truth, reading)
    found = _match(asked, said)
    return [(item["text"], found.get(index)) for index, item in enumerate(asked)]


def _compared(truth: Truth, reading: Reading) -> tuple[list[Truth], list[Boxes], list[Said]]:
    """What is asked for, the boxes of what is not, and what was found outside of these."""
    items = truth["items"]
    asked = [item for item in items if item["kind"] == "message" and not item["cut"]]
    hidden = [item["box"] for item in items if _hides(item)]
    said = [one for one in reading.said if not any(_mostly_in(one.box, box) for box in hidden)]
    return asked, hidden, said


def _hides(item: Truth) -> bool:
    return item["kind"] in HIDING or (item["kind"] == "message" and item["cut"])


def _area(box: Boxes) -> int:
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def _mostly_in(inner: Boxes, outer: Boxes) -> bool:
    shared = (
        max(inner[0], outer[0]), max(inner[1], outer[1]),
        min(inner[2], outer[2]), min(inner[3], outer[3]),
    )  # fmt: skip
    return 2 * _area(shared) > _area(inner)


def _match(asked: Sequence[Truth], said: Sequence[Said]) -> dict[int, Said]:
    found: dict[int, Said] = {}
    for one in said:
        for index, item in enumerate(asked):
            if _mostly_in(one.box, item["box"]) and (
                index not in found or len(one.text) > len(found[index].text)
            ):
                found[index] = one
    return found


def _lines(items: Sequence[Truth], hidden: Sequence[Boxes]) -> list[Truth]:
    return [
        item
        for item in items
        if item["kind"] in APART
        and not item["cut"]
        and not any(_mostly_in(item["box"], box) for box in hidden)
    ]


def _judge_lines(
    items: Sequence[Truth],
    hidden: Sequence[Boxes],
    asked: Sequence[Truth],
    found: Mapping[int, Said],
    said: Sequence[Said],
    counts: Counts,
    faults: list[str],
) -> None:
    for line in _lines(items, hidden):
        inside = [i for i, item in enumerate(asked) if _mostly_in(line["box"], item["box"])]
        if inside:
            match = found.get(inside[0])
            leaked = match is not None and _holds(match.text, asked[inside[0]]["text"], line)
        else:
            leaked = any(_mostly_in(line["box"], one.box) for one in said)
        counts.lines[line["kind"]] += 1
        counts.kept[line["kind"]] += not leaked
        if leaked:
            faults.append(f"{line['kind']} {line['text']!r} in a message")


def _holds(text: str, true: str, line: Truth) -> bool:
    """Whether a text found is the true one with a line of its bubble before or after it."""
    text, true, extra = normal(text), normal(true), normal(line["text"])
    without = edit_distance(text, true)
    return without > 0 and min(
        edit_distance(text, extra + true), edit_distance(text, true + extra)
    ) < without  # fmt: skip


def _judge_kinds(
    items: Sequence[Truth], hidden: Sequence[Boxes], reading: Reading, counts: Counts
) -> None:
    others = [(kind, normal(text)) for kind, text in reading.others]
    for line in _lines(items, hidden):
        true = normal(line["text"])
        for other in others:
            if other[0] == line["kind"] and 3 * edit_distance(other[1], true) <= len(true):
                counts.recognised[line["kind"]] += 1
                if line["kind"] != "timestamp":  # one timestamp may hold for many messages
                    others.remove(other)
                break


def judge_merge(truths: Sequence[Truth], merged: Sequence[Said]) -> tuple[bool, list[str]]:
    """Several screenshots of one chat, merged: whether exactly, and what went wrong."""
    whole = {
        item["number"]: item["text"]
        for truth in truths
        for item in truth["items"]
        if item["kind"] == "message" and not item["cut"]
    }
    numbers, faults = [], []
    for one in merged:
        items = truths[one.page]["items"]
        bubble = next(
            (i for i in items if (_hides(i) or i["kind"] == "message")
             and _mostly_in(one.box, i["box"])), None,
        )  # fmt: skip
        if bubble is None:
            faults.append(f"invented {one.text!r}")
        elif bubble["number"] in whole:
            numbers.append(bubble["number"])
            if bubble["cut"]:
                faults.append(f"a cut message in place of the whole one: {one.text!r}")
    faults += [f"missed {whole[number]!r}" for number in sorted(whole) if number not in numbers]
    faults += [f"{numbers.count(n)} times {whole[n]!r}" for n in sorted(set(numbers))
               if numbers.count(n) > 1]  # fmt: skip
    if numbers != sorted(numbers):
        faults.append(f"order {numbers}")
    return not faults, faults


def figures(counts: Counts) -> dict[str, Any]:
    """Shares of a sum of counts; None where there was nothing to count."""

    def share(part: int, of: int) -> float | None:
        return round(part / of, 4) if of else None

    apart = counts.lines["timestamp"] + counts.lines["system"]
    return {
        "pictures": counts.pictures,
        "messages": counts.messages,
        "missed": counts.messages - counts.matched,
        "invented": counts.invented,
        "side": share(counts.right_side, counts.messages + counts.invented),
        "order_exact": share(counts.exact, counts.pictures),
        "order_of_found": share(counts.ordered, counts.pictures),
        "character_error_rate": share(counts.errors, counts.characters),
        "kept_out": share(counts.kept["timestamp"] + counts.kept["system"], apart),
        **{f"kept_out_{kind}": share(counts.kept[kind], counts.lines[kind]) for kind in APART},
        **{
            f"recognised_{kind}": share(counts.recognised[kind], counts.lines[kind])
            for kind in APART
            if kind != "system"
        },
    }
