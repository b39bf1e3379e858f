"""The gate: whether a candidate may replace its parent, by what it loses on the frozen sets.

Both answer the same rows, and the difference of their macro-F1 is bootstrapped over the rows,
those of each set resampled among themselves (paired bootstrap with percentile bounds: Efron &
Tibshirani, "An introduction to the bootstrap", 1993, ch. 13; Koehn, EMNLP 2004). Every set is
asked for emotions where most of its rows have one, else for sentiments, among its own classes;
pooled, both are ten classes of one confusion matrix. All figures are in points (hundredths).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalities.reading import EMOTIONS, SENTIMENTS, score_of
from training.evaluation.bias import AXES, SENTENCES, group_of, swap
from training.evaluation.judge import HEADS, heads_of, predict
from training.rows import Row

SEED, N_RESAMPLES = 20261124, 2000
BOUND = 95.0  # percent, one-sided
MOST_POOLED, MOST_OF_A_SET, MOST_OF_A_GAP = 0.5, 2.0, 1.0  # points
LEAST_ROWS = 100  # of a slice
MOST_TWINS = 200  # texts of the gate whose words are swapped, of an axis and language
GROUPS = ("gender", "language")

Answers = NDArray[np.intp]  # (n,) index among the ten classes: EMOTIONS, then SENTIMENTS
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """The candidate's figure less its parent's, in points; `low` and `high` bound the change,
    each from one side with a confidence of BOUND percent."""

    name: str
    n: int  # rows
    before: float
    after: float
    change: float
    low: float
    high: float


@dataclass(frozen=True)
class Report:
    """What the gate saw; `reasons` says why it refuses, and is empty where it does not."""

    pooled: Difference
    sets: list[Difference]
    gaps: list[Difference]
    reasons: list[str]

    @property
    def passed(self) -> bool:
        return not self.reasons

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"passed": self.passed}


def judge(part: str, rows: Sequence[Row], parent: Path, candidate: Path) -> Report:
    """The candidate checkpoint held against its parent on `rows` of the gate.

    Raises UnavailableError where either cannot be read.
    """
    rows = [row for row in rows if row.emotion or row.sentiment]
    truth, allowed = _asked(rows)
    answers = [
        _answers(*predict(part, weights, rows), allowed=allowed) for weights in (parent, candidate)
    ]
    kept = np.flatnonzero(truth >= 0)
    report = compare([rows[i] for i in kept], truth[kept], answers[0][kept], answers[1][kept])
    if part == "text":
        gaps = [*report.gaps, *_swapped(rows, parent, candidate)]
        return _ruled(report.pooled, report.sets, gaps)
    return report


def compare(rows: Sequence[Row], truth: Answers, before: Answers, after: Answers) -> Report:
    """The report of two models' answers (n,) to n rows whose true classes are `truth` (n,)."""
    names = np.array([row.data_set for row in rows])
    counts = _resampled(names)
    everything = np.ones(len(rows), bool)
    pooled = _difference("pooled", everything, truth, before, after, counts)
    sets = [
        _difference(str(name), names == name, truth, before, after, counts)
        for name in np.unique(names)
    ]
    gaps = []
    for field in GROUPS:
        values = np.array([getattr(row, field) for row in rows])
        found, sizes = np.unique(values[values != ""], return_counts=True)
        groups = [values == value for value in found[sizes >= LEAST_ROWS]]
        if len(groups) > 1:
            gaps.append(_gap(f"gap by {field}", groups, truth, before, after, counts))
    return _ruled(pooled, sets, gaps)


def _ruled(pooled: Difference, sets: list[Difference], gaps: list[Difference]) -> Report:
    reasons = []
    if pooled.low < -MOST_POOLED:
        reasons.append(
            f"pooled over the gate's sets the macro-F1 changes by {pooled.change:+.2f} points, and "
            f"with {BOUND:.0f} % confidence by no less than {pooled.low:+.2f}; "
            f"allowed is {-MOST_POOLED:+.1f}"
        )
    reasons += [
        f"{one.name} loses {-one.change:.2f} points of macro-F1 (at least {-one.high:.2f} with "
        f"{BOUND:.0f} % confidence); allowed are {MOST_OF_A_SET:.1f}"
        for one in sets
        if one.change < -MOST_OF_A_SET and one.high < 0
    ]
    reasons += [
        f"the {one.name} grows by {one.change:.2f} points (at least {one.low:.2f} with "
        f"{BOUND:.0f} % confidence); allowed is {MOST_OF_A_GAP:.1f}"
        for one in gaps
        if one.change > MOST_OF_A_GAP and one.low > 0
    ]
    return Report(pooled, sets, gaps, reasons)


def _asked(rows: Sequence[Row]) -> tuple[Answers, NDArray[np.bool_]]:
    """True classes (n,), and which of the ten (n, 10) a row's set can be answered with."""
    truth = np.full(len(rows), -1)
    allowed = np.zeros((len(rows), len(EMOTIONS) + len(SENTIMENTS)), bool)
    names = np.array([row.data_set for row in rows])
    for name in np.unique(names):
        here = np.flatnonzero(names == name)
        places = here.tolist()
        head = heads_of([rows[i] for i in places])[0]
        if 2 * sum(rows[i].emotion is not None for i in places) < len(places):
            head = "sentiment"  # of several emotions at once none is a row's own
        start = 0 if head == "emotion" else len(EMOTIONS)
        for i in places:
            label = getattr(rows[i], head)
            truth[i] = -1 if label is None else start + HEADS[head].index(label)
        allowed[here[:, None], np.unique(truth[here][truth[here] >= 0])] = True
    return truth, allowed


def _answers(
    log_sentiment: NDArray[np.floating],
    log_emotions: NDArray[np.floating],
    *,
    allowed: NDArray[np.bool_],
) -> Answers:
    both = np.concatenate([log_emotions, log_sentiment], axis=1)
    return np.where(allowed, both, -np.inf).argmax(-1)


def _resampled(groups: NDArray[np.str_]) -> NDArray[np.float32]:
    """(N_RESAMPLES, n) how often each row is drawn, each group's rows from among themselves."""
    rng = np.random.default_rng(SEED)
    counts = np.zeros((N_RESAMPLES, len(groups)), np.float32)
    for group in np.unique(groups):
        here = np.flatnonzero(groups == group)
        n = len(here)
        drawn = rng.integers(n, size=(N_RESAMPLES, n)) + n * np.arange(N_RESAMPLES)[:, None]
        counts[:, here] = np.bincount(drawn.ravel(), minlength=N_RESAMPLES * n).reshape(-1, n)
    return counts


def macro_f1(truth: Answers, answer: Answers, counts: NDArray[np.float32]) -> Floats:
    """(b,) in points, over the classes in the truth, of rows (n,) counted `counts` (b, n) times."""
    classes = np.unique(truth)
    true = (truth[:, None] == classes).astype(np.float32)  # (n, c)
    said = (answer[:, None] == classes).astype(np.float32)
    hits = counts @ (true * said)  # (b, c)
    total = counts @ (true + said)
    return 100 * (2 * hits / np.maximum(total, 1)).mean(-1, dtype=np.float64)


def _scores(
    kept: NDArray[np.bool_], truth: Answers, answers: Sequence[Answers], counts: NDArray[np.float32]
) -> Iterator[Floats]:
    """Of each model (1 + b,): the rows as they are, then every resampling of them."""
    weights = np.vstack([np.ones((1, int(kept.sum())), np.float32), counts[:, kept]])
    for answer in answers:
        yield macro_f1(truth[kept], answer[kept], weights)


def _difference(
    name: str,
    kept: NDArray[np.bool_],
    truth: Answers,
    before: Answers,
    after: Answers,
    counts: NDArray[np.float32],
) -> Difference:
    old, new = _scores(kept, truth, (before, after), counts)
    return _bounded(name, int(kept.sum()), old, new)


def _gap(
    name: str,
    groups: Sequence[NDArray[np.bool_]],
    truth: Answers,
    before: Answers,
    after: Answers,
    counts: NDArray[np.float32],
) -> Difference:
    """The best group's macro-F1 less the worst's."""
    scores = np.array([list(_scores(kept, truth, (before, after), counts)) for kept in groups])
    old, new = np.ptp(scores, axis=0)  # (groups, 2, 1 + b) → (2, 1 + b)
    return _bounded(name, int(sum(kept.sum() for kept in groups)), old, new)


def _bounded(name: str, n: int, old: Floats, new: Floats) -> Difference:
    """`old` and `new` (1 + b,) as `_scores` has them."""
    low, high = np.percentile((new - old)[1:], (100 - BOUND, BOUND))
    change = float(new[0] - old[0])
    return Difference(name, n, float(old[0]), float(new[0]), change, float(low), float(high))


def _swapped(rows: Sequence[Row], parent: Path, candidate: Path) -> Iterator[Difference]:
    """How much happier one group is read than the other where only who is spoken of differs, by
    the axes of `training.evaluation.bias`: |mean of score(second group) − score(first)|."""
    for axis, languages in AXES.items():
        for language, pairs in languages.items():
            texts = [*SENTENCES[language]]
            texts += [row.content for row in rows if row.language.startswith(language)]
            texts = [text for text in texts if group_of(text, pairs)][:MOST_TWINS]
            side = np.array([group_of(text, pairs) for text in texts])
            twins = [Row("", text, "", "") for text in texts]
            twins += [Row("", swap(text, pairs), "", "") for text in texts]
            toward = []
            for path in (parent, candidate):
                before, after = np.split(score_of(predict("text", path, twins)[0]), 2)
                toward.append(100 * side * (after - before))  # (n,)
            drawn = np.random.default_rng(SEED).integers(len(texts), size=(N_RESAMPLES, len(texts)))
            old, new = (np.abs(np.append(each.mean(), each[drawn].mean(-1))) for each in toward)
            yield _bounded(f"gap by the {axis} spoken of ({language})", len(texts), old, new)
