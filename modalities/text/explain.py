"""Why the text model says what it says: what each word of a message adds to its log-odds.

Integrated gradients (Sundararajan et al., "Axiomatic attribution for deep networks", ICML 2017)
over the embeddings of the window that the reading is of. They begin where nothing is known of the
message: in place of each of its tokens stands the unknown one. Special tokens and turns before stay
as they are all along, so that they count in the base and in no word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modalities.reading import NEGATIVE, POSITIVE
from modalities.text.clean import ENTITY, Cleaned, clean
from modalities.text.infer import TextReader
from modalities.text.model import MESSAGE, pad
from modalities.text.prepare import Span, Turn, Window, own_tokens

STEPS = 8  # of the first quadrature; each one after it has twice as many
MOST_STEPS = 128
MOST_ERROR = 0.01  # of completeness, with which a quadrature is good enough
BATCH_TOKENS = 1024  # at once, over all steps: a gradient keeps what every layer makes of them
# Thai, kana and Han put no space between words: there each token is one.
UNSPACED = re.compile("[\u0e00-\u0e7f\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
APOSTROPHES, JOINER = "'’", "\u200d"  # the latter makes one emoji of several


@dataclass(frozen=True)
class WordShare:
    """What one word adds to the log-odds of positive against negative.

    start, end  in the caller's text, in code points. Pieces are joined to words; where a script
                has no spaces each token is one.
    """

    start: int
    end: int
    contribution: float


@dataclass(frozen=True)
class TextExplanation:
    """`base` and the words' contributions add up to `log_odds`, but for the error.

    log_odds            log P(positive) − log P(negative) of the reading
    base                the same where nothing is known of the words
    words               of the strongest window, in order; characters that are not read (markup,
                        quoted mail, a signature) are in none
    completeness_error  |base + Σ contributions − log_odds| over |log_odds − base|
    omitted_tokens      of the other windows, which have no part in the reading
    steps               of the quadrature
    """

    log_odds: float
    base: float
    words: tuple[WordShare, ...]
    completeness_error: float
    omitted_tokens: int
    steps: int


def explain_text(reader: TextReader, text: str, before: Sequence[Turn] = ()) -> TextExplanation:
    """What each word of `text`, said after the turns `before`, adds.

    May run in any thread while others use the reader. Raises as `reader.prepare`.
    """
    prepared = reader.prepare(text, before)
    alone = [replace(prepared, windows=(window,)) for window in prepared.windows]
    readings = reader.infer(alone)
    strongest = int(np.argmax([abs(reading.score) for reading in readings]))
    with torch.inference_mode(False):
        path = _Path(reader, prepared.windows[strongest])
        added, steps = _integrate(path)
    said = readings[strongest].log_sentiment
    base, log_odds = path.ends[0], float(said[POSITIVE] - said[NEGATIVE])
    error = abs(base + float(added.sum()) - log_odds) / max(abs(log_odds - base), 1e-9)
    cleaned = clean(text, reader.tokenizer)
    encoding = reader.tokenizer.encode(cleaned.text)
    spans = [span for _, span in own_tokens(encoding, reader.dims)]
    first = sum(len(_message(window)) for window in prepared.windows[:strongest])
    inside = spans[first : first + len(added)]
    words = tuple(
        WordShare(*_in_callers(text, cleaned, span), contribution)
        for span, contribution in merge(cleaned.text, zip(inside, added.tolist(), strict=True))
    )
    return TextExplanation(log_odds, base, words, error, len(spans) - len(inside), steps)


def _message(window: Window) -> range:
    """Where in a window the message's tokens stand, special ones left out."""
    return range(max(window.start, 1), len(window.ids) - 1)


class _Path:
    """The straight way from a window of whose message nothing is known to the window as it is.

    ends  the log-odds at both
    """

    def __init__(self, reader: TextReader, window: Window) -> None:
        self.model = reader.model
        ids, part = (x.to(reader.device) for x in pad([window], reader.dims.pad_id))  # (1, t)
        self.own = part[0] == MESSAGE  # (t,)
        self.message = torch.tensor(_message(window), device=reader.device)  # (m,)
        encoder: Any = self.model.encoder
        embed = encoder.get_input_embeddings()
        with torch.no_grad():
            self.window = embed(ids)  # (1, t, d)
            # What no tokenizer of bytes has; there, what is no token.
            unknown = reader.dims.unk_id if reader.dims.unk_id >= 0 else reader.dims.pad_id
            self.nothing = embed(torch.tensor(unknown, device=reader.device))  # (d,)
            self.change = self.window[0, self.message] - self.nothing  # (m, d)
        base, log_odds = self._log_odds(self._points(torch.tensor([0.0, 1.0]))).tolist()
        self.ends = base, log_odds

    def added(self, steps: int) -> Tensor:
        """What each token of the message adds from one end to the other (m,), by a Gauss-Legendre
        quadrature."""
        nodes, parts = np.polynomial.legendre.leggauss(steps)  # on [−1, 1]
        at_once = max(1, BATCH_TOKENS // len(self.own))
        added = torch.zeros(len(self.message), dtype=torch.double)
        for first in range(0, steps, at_once):
            some = slice(first, first + at_once)
            points = self._points(torch.from_numpy(nodes[some] / 2 + 0.5)).requires_grad_()
            (gradient,) = torch.autograd.grad(self._log_odds(points).sum(), points)
            along = (gradient[:, self.message] * self.change).sum(-1).double().cpu()  # (n, m)
            added += torch.from_numpy(parts[some] / 2) @ along
        return added

    def _points(self, alpha: Tensor) -> Tensor:
        """Embeddings (n, t, d)."""
        alpha = alpha.to(self.window).view(-1, 1, 1)
        points = self.window.repeat(len(alpha), 1, 1)
        points[:, self.message] = self.nothing + alpha * self.change
        return points

    @torch.enable_grad()  # at the ends too: matrices in eight bits are in fp32 then
    def _log_odds(self, points: Tensor) -> Tensor:
        """As the model's own forward pass, in fp32 on every device: less would spoil the sums of
        gradients."""
        mask = torch.ones(points.shape[:2], dtype=torch.long, device=points.device)
        states = self.model.encoder(inputs_embeds=points, attention_mask=mask).last_hidden_state
        logits = self.model.sentiment_head(states[:, self.own].mean(1))  # (n, 3)
        return logits[:, POSITIVE] - logits[:, NEGATIVE]


def _integrate(path: _Path) -> tuple[Tensor, int]:
    """What each token of the message adds (m,), and the steps it took: twice as many again until it
    is good enough."""
    base, log_odds = path.ends
    change = log_odds - base
    steps = STEPS
    while True:
        added = path.added(steps)
        error = abs(float(added.sum()) - change) / max(abs(change), 1e-9)
        if error <= MOST_ERROR or steps >= MOST_STEPS:
            return added, steps
        steps *= 2


def merge(text: str, tokens: Iterable[tuple[Span, float]]) -> Iterator[tuple[Span, float]]:
    """Tokens of one word become one: letters and digits without a space between them, what stands
    in one code point, and marks with what they mark. A token that is only a space belongs to the
    word behind it."""
    word: tuple[Span, float] | None = None
    carried = 0.0
    for (start, end), added in tokens:
        while start < end and text[start].isspace():
            start += 1
        if start == end:
            carried += added
            continue
        while end < len(text) and _is_mark(text[end]):
            end += 1
        added, carried = added + carried, 0.0
        if word is not None:
            (first, last), so_far = word
            if start < last or (start == last and _joins(text, start)):
                word = (first, max(end, last)), so_far + added
                continue
            yield word
        word = (start, end), added
    if word is not None:
        span, so_far = word
        yield span, so_far + carried


def _joins(text: str, at: int) -> bool:
    """Whether the code points on both sides of `at` belong to one word."""
    before, after = text[at - 1], text[at]
    if _is_mark(after) or before == JOINER:
        return True
    if after in APOSTROPHES:
        return _is_letter(before) and _is_letter(text[at + 1 : at + 2])
    if before in APOSTROPHES:
        return _is_letter(after) and _is_letter(text[max(0, at - 2) : at - 1])
    return _is_letter(before) and _is_letter(after)


def _is_letter(character: str) -> bool:
    """Of a script that puts spaces between words, its vowel signs and accents included, or a
    digit."""
    if not character or UNSPACED.match(character) or "\ufe00" <= character <= "\ufe0f":
        return False
    return character.isalnum() or unicodedata.category(character) in ("Mn", "Mc")


def _is_mark(character: str) -> bool:
    """An accent, an emoji's variation or shade, or what joins two emoji."""
    return unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf") or (
        "\U0001f3fb" <= character <= "\U0001f3ff"
    )


def _in_callers(text: str, cleaned: Cleaned, span: Span) -> Span:
    """Where a word of the cleaned text stands in the caller's, to its end there: an entity or a
    stretched word is longer than what is read of it."""
    start, end = span
    first, last = cleaned.origins[start], cleaned.origins[end - 1]
    behind = cleaned.origins[end] if end < len(cleaned.origins) else len(text)
    if (entity := ENTITY.match(text, last)) and entity.end() <= behind:
        return first, entity.end()
    last += 1
    while last < behind and text[last].isalpha():
        last += 1
    return first, last
