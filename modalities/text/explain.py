"""Why the text model says what it says: what each word adds to its log-odds.

Integrated gradients (Sundararajan et al., "Axiomatic attribution for deep networks", ICML 2017)
from a text of which nothing is known: each token's embedding is the mask's, and the wide path has
no n-gram. What the words add and what the model says of that text come to the log-odds of positive
against negative; how far they fail to is the completeness error.

In a text of one window the wide path is linear in the log-odds, so its part is exact: each
n-gram's is shared out evenly over its tokens, wherever it stands. The windows of a longer text are
averaged as probabilities; both paths then go through the integral together.
"""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from modalities.reading import NEGATIVE, POSITIVE
from modalities.text.infer import TextReader
from modalities.text.model import TextModel, pad
from modalities.text.wide import ORDERS, WidePath, bags

STRETCHES = 4  # of the path, each with a Gauss-Legendre quadrature of its own
STEPS = 4  # of one quadrature
MOST_ERROR = 0.01  # of the whole path; where it is more the stretches that err most are halved
HALVED = 4  # of them in one round
MOST_STEPS = 512  # about, in all
BATCH_TOKENS = 8192  # at once, over all steps
MASKS = ("[MASK]", "<mask>")

Span = tuple[int, int]


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

    log_odds            log P(positive) − log P(negative) of the whole text
    base                the same where nothing is known of the words listed
    words               in order, those of windows left out missing
    completeness_error  |base + Σ contributions − log_odds| over |log_odds − base|
    omitted_tokens      of the windows left out
    windows             looked into
    steps               of the quadrature
    """

    log_odds: float
    base: float
    words: tuple[WordShare, ...]
    completeness_error: float
    omitted_tokens: int
    windows: int
    steps: int


def explain_text(reader: TextReader, text: str, max_windows: int) -> TextExplanation:
    """What each word of `text` adds, in the `max_windows` of its windows that count most in its
    score; the others stay as they are all along the path.

    May run in any thread while others use the reader. Raises InputError as `reader.prepare`.
    """
    windows = reader.prepare(text).windows
    with torch.inference_mode(False):
        path = _Path(reader, windows, max_windows)
        by_token, log_odds, base, steps = _integrate(path)
    change = log_odds - base
    error = abs(float(by_token.sum()) - change) / max(abs(change), 1e-9)
    rows = dict(zip(path.chosen, by_token.tolist(), strict=True))
    spans = iter(spans_of(text, reader.tokenizer))
    shares: list[tuple[Span, float]] = []
    omitted = 0
    for number, window in enumerate(windows):
        inside = [next(spans) for _ in window[1:-1]]
        if number in rows:
            shares += zip(inside, rows[number][1 : len(window) - 1], strict=True)
        else:
            omitted += len(inside)
    return TextExplanation(
        log_odds, base, tuple(merge(text, shares)), error, omitted, len(rows), steps
    )


def _integrate(path: _Path) -> tuple[Tensor, float, float, int]:
    """What each token (w, t) adds along the path, the log-odds at its end and at its start, and
    the gradients taken.

    The max over the states has a bend wherever another token takes over. A quadrature over the
    whole path is slow to find them; here the stretches that hold one are halved, and again, for
    how much a stretch errs is known from the log-odds at its ends.
    """
    from captum.attr import IntegratedGradients  # slow to import, and few ask for it

    method = IntegratedGradients(path)

    def measure(starts: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """What is added on stretches of the path (s, w, t), and how far that is off (s,)."""
        with torch.enable_grad():
            parts = method.attribute(
                path.points(ends),
                path.points(starts),
                n_steps=STEPS,
                internal_batch_size=max(len(ends), BATCH_TOKENS // path.n_tokens),
            )
        added = torch.stack([part.double().sum(-1) for part in parts]).sum(0)
        return added, added.sum((1, 2)) - path.at(ends) + path.at(starts)

    edges = torch.linspace(0, 1, STRETCHES + 1, dtype=torch.double, device=path.ids.device)
    base, log_odds = path.at(edges[[0, -1]]).tolist()
    starts, ends = edges[:-1], edges[1:]
    added, error = measure(starts, ends)
    steps = STEPS * STRETCHES
    while abs(float(error.sum())) > MOST_ERROR * abs(log_odds - base) and steps < MOST_STEPS:
        order = error.abs().argsort(descending=True)
        bad, good = order[:HALVED], order[HALVED:]
        middle = (starts[bad] + ends[bad]) / 2
        halves = torch.cat([starts[bad], middle]), torch.cat([middle, ends[bad]])
        more = measure(*halves)
        starts, ends = (
            torch.cat([x[good], y]) for x, y in zip((starts, ends), halves, strict=True)
        )
        added, error = (torch.cat([x[good], y]) for x, y in zip((added, error), more, strict=True))
        steps += STEPS * 2 * HALVED
    return added.sum(0), log_odds, base, steps


class _Path(nn.Module):
    """Points between nothing known and the whole text → log-odds (n,).

    A point is the embeddings (n, w, t, d) of the chosen windows' tokens and what each adds to the
    wide path's logits (n, w, t, 3).
    """

    ids: Tensor  # (w, t)

    def __init__(
        self, reader: TextReader, windows: Sequence[tuple[int, ...]], max_windows: int
    ) -> None:
        super().__init__()
        dims, model, device = reader.dims, reader.model, reader.device
        ids, mask = (x.to(device) for x in pad(windows, dims.pad_id))
        length = mask.sum(-1, dtype=torch.double)
        share = length / length.sum()  # (w,) as TextReader.infer weighs windows
        with torch.no_grad():
            p = model(ids, mask)[0].double().softmax(-1)  # (w, 3)
        score = share * (p[:, POSITIVE] - p[:, NEGATIVE])
        self.chosen = sorted(score.abs().argsort(descending=True)[:max_windows].tolist())
        left = [number for number in range(len(windows)) if number not in self.chosen]
        self.rest = (share[left].unsqueeze(-1) * p[left]).sum(0)  # (3,)
        self.share, self.ids, self.mask = share[self.chosen], ids[self.chosen], mask[self.chosen]
        self.n_tokens = self.ids.numel()
        self.model = _by_embeddings(model)
        encoder: Any = model.encoder
        embed = encoder.get_input_embeddings()
        framed = torch.ones_like(self.mask, dtype=torch.bool)  # special tokens and padding
        for row, number in enumerate(self.chosen):
            framed[row, 1 : len(windows[number]) - 1] = False
        masks = [reader.tokenizer.token_to_id(mask) for mask in MASKS]
        unknown = next((mask for mask in masks if mask is not None), dims.pad_id)
        masked = self.ids.masked_fill(~framed, unknown)
        wide = torch.stack(
            [
                wide_by_token(model.wide, ids[: int(mask.sum())], dims.n_sentiments, len(ids))
                for ids, mask in zip(self.ids, self.mask, strict=True)
            ]
        )
        with torch.no_grad():
            self.end = (embed(self.ids), wide)
            self.start = (embed(masked), wide * framed.unsqueeze(-1))

    def points(self, alpha: Tensor) -> tuple[Tensor, ...]:
        """The points that lie `alpha` (n,) of the way from the start to the end."""
        alpha = alpha.to(self.end[0]).view(-1, 1, 1, 1)
        return tuple(a + alpha * (b - a) for a, b in zip(self.start, self.end, strict=True))

    @torch.no_grad()
    def at(self, alpha: Tensor) -> Tensor:
        """The log-odds (n,) there."""
        return self(*self.points(alpha))

    def forward(self, embeddings: Tensor, wide: Tensor) -> Tensor:
        n, w, t, d = embeddings.shape
        deep, _, _ = self.model.deep(embeddings.reshape(n * w, t, d), self.mask.repeat(n, 1))
        logits = deep.view(n, w, -1) + wide.sum(2)  # (n, w, 3)
        p = logits.double().softmax(-1)
        log_p = ((self.share.unsqueeze(-1) * p).sum(1) + self.rest).log()  # (n, 3)
        return log_p[:, POSITIVE] - log_p[:, NEGATIVE]


class _FromEmbeddings(nn.Module):
    """An encoder that is given embeddings where it would look up ids."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        return self.encoder(inputs_embeds=input_ids, attention_mask=attention_mask)


def _by_embeddings(model: TextModel) -> TextModel:
    """The model over embeddings (b, t, d), its weights shared: a hook on its embedding layer, as
    captum's layer methods set one, would spoil the batches that use it meanwhile."""
    tensors = [*model.parameters(), *model.buffers()]
    twin = copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})
    twin.encoder = _FromEmbeddings(twin.encoder)
    return twin


def wide_by_token(wide: WidePath, ids: Tensor, n_classes: int, length: int) -> Tensor:
    """What each token of a window (t,) adds to the first logits of the wide path: (length, n).

    Rows of the tokens add up to the path's own logits. An n-gram's part goes evenly to the places
    where it stands and there to its tokens, special ones left out where there are others.
    """
    placed = ngram_buckets(ids, wide.n_buckets)
    distinct, counts = torch.cat(placed).unique(return_counts=True)
    real = torch.ones(len(ids), dtype=torch.float, device=ids.device)
    real[0] = real[-1] = 0
    added = torch.zeros(length, n_classes, device=ids.device)
    for n, buckets in enumerate(placed, 1):
        weights = wide.table.weight[buckets, :n_classes].detach()  # (m, n_classes)
        weights = weights / counts[torch.searchsorted(distinct, buckets)].unsqueeze(-1)
        inside = real.unfold(0, n, 1)  # (m, n)
        inside = torch.where(inside.any(-1, keepdim=True), inside, torch.ones_like(inside))
        inside = inside / inside.sum(-1, keepdim=True)
        for offset in range(n):
            rows = slice(offset, offset + len(buckets))
            added[rows] += inside[:, offset, None] * weights
    return added / len(distinct) ** 0.5


def ngram_buckets(ids: Tensor, n_buckets: int) -> list[Tensor]:
    """Buckets (t − n + 1,) of a window's n-grams in their places, for each order n.

    `bags` of an n-gram alone holds all that stand within it: less the shorter ones, its own is
    left.
    """
    placed: list[Tensor] = []
    for n in range(1, min(ORDERS, len(ids)) + 1):
        grams = ids.unfold(0, n, 1)  # (m, n)
        own = bags(grams, torch.ones_like(grams), n_buckets)[0].sum(-1)
        for shorter in placed:
            own = own - shorter.unfold(0, len(shorter) - len(own) + 1, 1).sum(-1)
        placed.append(own)
    return placed


def spans_of(text: str, tokenizer: Tokenizer) -> list[Span]:
    """Where each token stands in `text`, special ones left out, as `prepare` makes them."""
    left = len(text) - len(text.lstrip())
    offsets = tokenizer.encode(text.strip()).offsets[1:-1]
    return [(left + start, left + end) for start, end in offsets]


def merge(text: str, tokens: Sequence[tuple[Span, float]]) -> Iterator[WordShare]:
    """Tokens of one word become one: letters and digits without a space between them, what stands
    in one code point, and marks with what they mark."""
    word: WordShare | None = None
    for (start, end), contribution in tokens:
        while start < end and text[start].isspace():
            start += 1
        while end < len(text) and _is_mark(text[end]):
            end += 1
        if word is not None and (start < word.end or (start == word.end and _joins(text, start))):
            contribution += word.contribution
            word = WordShare(word.start, max(end, word.end), contribution)
            continue
        if word is not None:
            yield word
        word = WordShare(start, end, contribution)
    if word is not None:
        yield word


def _joins(text: str, at: int) -> bool:
    """Whether the code points on both sides of `at` belong to one word."""
    return _is_mark(text[at]) or (_is_letter(text[at - 1]) and _is_letter(text[at]))


def _is_letter(character: str) -> bool:
    """Of a script that puts spaces between words, or a digit."""
    return character.isalnum() and unicodedata.east_asian_width(character) != "W"


def _is_mark(character: str) -> bool:
    """An accent, an emoji's variation or shade, or what joins two emoji."""
    return unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf") or (
        "\U0001f3fb" <= character <= "\U0001f3ff"
    )
