"""Texts that any person reads alike: the README's examples, and inputs that once failed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.acceptance.service import Outcome
from modalities.errors import UnavailableError
from modalities.reading import SENTIMENTS
from modalities.text.infer import TextReader
from training.data import data_dir

README = Path(__file__).parents[2] / "README.md"
QUOTED = re.compile(r'(?:--text "|Text\(content=")([^"]+)"')
EXPECTED: Mapping[str, str] = {
    "The parcel is late again and nobody answers. I want my money back!": "negative",
    "I have been waiting for three weeks. I want my money back!": "negative",
    "太慢了，我要退款！": "negative",
    "谢谢，问题解决了！": "positive",
}

# Of the lines of a file, in order.
UNREAD_SCRIPTS = ("negative", "positive", "neutral", *("negative",) * 7)
WRAPPED = (*("negative",) * 6, "positive", "negative")
# With a signature, markup or stretched words → as it would be without.
PLAIN: Mapping[str, str] = {
    "I haaaate this": "I hate this",
    "sooooooo baaaaaaad": "so bad",
    "<p>I am <b>very angry</b> about this.</p>": "I am very angry about this.",
    "The parcel never came and I am angry.<br/>": "The parcel never came and I am angry.",
    "The parcel never came and I am angry.\n\nMany thanks and best wishes,\nMaria Gomez": (
        "The parcel never came and I am angry."
    ),
}
SAME = 0.05  # of scores, in [−1, 1]


@cache
def reader(path: Path) -> TextReader:
    return TextReader.load(path)


def read(path: Path, text: str) -> dict[str, Any]:
    """Sentiment and score; or why it is not read."""
    try:
        item = reader(path).prepare(text)
    except UnavailableError as error:
        return {"unavailable": str(error)}
    (reading,) = reader(path).infer([item])
    sentiment = SENTIMENTS[int(reading.log_sentiment.argmax())]
    return {"read": sentiment, "score": round(reading.score, 3)}


def readme(path: Path) -> Outcome:
    """Every example must be one whose reading a person has written down here."""
    found = {text: read(path, text) for text in QUOTED.findall(README.read_text())}
    wrong = [text for text, of in found.items() if of.get("read") != EXPECTED.get(text, "unknown")]
    return {"examples": found, "wrong": wrong}, bool(found) and not wrong


def cases(path: Path) -> Outcome:
    """Lines that may be refused with a reason but not misread, and pairs that must score alike."""
    folder = data_dir().parent / "cases" / "text"
    found: dict[str, Any] = {}
    wrong: list[str] = []
    expected = (("F03_unread_scripts.txt", UNREAD_SCRIPTS), ("F15_text.txt", WRAPPED))
    for name, sentiments in expected:
        for text, sentiment in zip(lines_of(folder / name), sentiments, strict=True):
            found[text] = read(path, text)
            if found[text].get("read", sentiment) != sentiment:
                wrong.append(text)
    signed = (folder / "F15_signature.txt").read_text().strip()
    found[signed] = read(path, signed)
    for text, plain in PLAIN.items():
        score, without = found[text].get("score"), read(path, plain).get("score")
        if score is None or without is None or abs(score - without) > SAME:
            wrong.append(f"{text!r} is not read as {plain!r}")
    return {"texts": found, "wrong": wrong}, not wrong


def lines_of(path: Path) -> Sequence[str]:
    return [text for text in path.read_text().splitlines() if text.strip()]
