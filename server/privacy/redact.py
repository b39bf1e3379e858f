"""Personal data in a text: found, and replaced by its kind, such as [PHONE]."""

from __future__ import annotations

from dataclasses import dataclass

from server.privacy.address import address
from server.privacy.detect import Kind, bank_card, email, id_card, order, phone
from server.privacy.normalise import normalise

_DETECTORS = {
    Kind.EMAIL: email,
    Kind.ID_CARD: id_card,
    Kind.ORDER: order,
    Kind.BANK_CARD: bank_card,
    Kind.PHONE: phone,
    Kind.ADDRESS: address,
}


@dataclass(frozen=True)
class Span:
    """Characters [start, end) of a text."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True)
class Redacted:
    """A text without its personal data; `spans` say where that stood in the original."""

    text: str
    spans: tuple[Span, ...]


def find(text: str) -> list[Span]:
    """In order, none overlapping another. Of two kinds in one place the first of Kind is told."""
    if not text:
        return []
    plain = normalise(text)
    spans: list[Span] = []
    for kind, detector in _DETECTORS.items():
        for start, end in detector(plain.text):
            start, end = plain.original(start, end)
            overlapping = [span for span in spans if span.start < end and start < span.end]
            for span in overlapping:
                spans.remove(span)
            start = min([start, *(span.start for span in overlapping)])
            end = max([end, *(span.end for span in overlapping)])
            spans.append(Span(overlapping[0].kind if overlapping else kind, start, end))
    return _joined(text, sorted(spans, key=lambda span: span.start))


def redact(text: str) -> Redacted:
    """Also without NUL characters, which databases refuse."""
    spans, parts, done = find(text), [], 0
    for span in spans:
        parts += [text[done : span.start], f"[{span.kind}]"]
        done = span.end
    return Redacted("".join([*parts, text[done:]]).replace("\0", ""), tuple(spans))


def _joined(text: str, spans: list[Span]) -> list[Span]:
    """With parts of one address as one."""
    joined: list[Span] = []
    for span in spans:
        if (
            joined
            and joined[-1].kind is span.kind is Kind.ADDRESS
            and not text[joined[-1].end : span.start].strip(" ,，")
        ):
            span = Span(span.kind, joined.pop().start, span.end)
        joined.append(span)
    return joined
