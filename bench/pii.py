"""How much personal data is found and how much else is taken for it, on lines generated with their
truth: `python -m bench.pii`.

Numbers have valid checksums; beside them stand look-alikes that are nobody's: prices, dates,
models, numbers whose checksum is wrong. The detectors were tuned on `--templates tuning` alone; the
figures to report are of other templates and another seed. A span is found if it is redacted from
its first to its last character as what it is; one that is told is right if it touches such a span.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import Annotated

import typer

from bench.pii_lines import MAKERS
from bench.pii_templates import REPORTED, TUNING
from server.privacy.detect import Kind
from server.privacy.redact import Span, find

_KINDS = {"ID": Kind.ID_CARD, "CARD": Kind.BANK_CARD}


@dataclass(frozen=True)
class Line:
    """A text and where its personal data stands."""

    text: str
    spans: tuple[Span, ...]


def lines(count: int, seed: int, templates: tuple[str, ...]) -> list[Line]:
    """As many lines as `count`, each of a template drawn at random."""
    draw = random.Random(seed)
    return [_line(draw, draw.choice(templates)) for _ in range(count)]


def measure(made: list[Line]) -> dict[str, Counter[str]]:
    """Of each kind and of "all": true, found, told, right; characters leaked and taken too many."""
    counts = {name: Counter[str]() for name in (*Kind, "all")}
    for line in made:
        told = find(line.text)
        hidden = {at for span in told for at in range(span.start, span.end)}
        secret = {at for span in line.spans for at in range(span.start, span.end)}
        counts["all"] += Counter(leaked=len(secret - hidden), excess=len(hidden - secret))
        for kind in Kind:
            true = [span for span in line.spans if span.kind is kind]
            mine = [span for span in told if span.kind is kind]
            found = sum(any(m.start <= t.start and t.end <= m.end for m in mine) for t in true)
            right = sum(any(m.start < t.end and t.start < m.end for t in true) for m in mine)
            for name in (kind, "all"):
                counts[name] += Counter(true=len(true), found=found, told=len(mine), right=right)
    return counts


def main(
    count: Annotated[int, typer.Option(help="Lines.")] = 4000,
    seed: int = 20260,
    templates: Annotated[str, typer.Option(help="tuning or reported.")] = "reported",
    errors: Annotated[int, typer.Option(help="Lines with errors to show.")] = 0,
) -> None:
    """Print precision and recall of each kind."""
    made = lines(count, seed, {"tuning": TUNING, "reported": REPORTED}[templates])
    without = sum(not line.spans for line in made)
    print(f"{len(made)} lines, {without} of them without personal data; seed {seed}, {templates}")
    counts = measure(made)
    for name, n in counts.items():
        recall, precision = n["found"] / max(n["true"], 1), n["right"] / max(n["told"], 1)
        print(f"{name:10} n {n['true']:5}  precision {precision:.4f}  recall {recall:.4f}")
    print(f"characters: {counts['all']['leaked']} leaked, {counts['all']['excess']} too many")
    for line in made:
        if errors and set(find(line.text)) != set(line.spans):
            errors -= 1
            print(line.text, *(line.text[s.start : s.end] for s in line.spans), sep=" | ")
            print("   told:", *(f"{s.kind} {line.text[s.start : s.end]}" for s in find(line.text)))


def _line(draw: random.Random, template: str) -> Line:
    text, spans = "", list[Span]()
    for literal, slot in re.findall(r"([^{]*)(?:\{(\w+)\})?", template):
        text += literal
        if slot:
            value = MAKERS[slot](draw)
            if slot[0].isupper():
                name = slot.partition("_")[0]
                kind = _KINDS.get(name) or Kind(name)
                spans.append(Span(kind, len(text), len(text) + len(value)))
            text += value
    return Line(text, tuple(spans))


if __name__ == "__main__":
    typer.run(main)
