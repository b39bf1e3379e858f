"""One HTML file with everything that `emotion evaluate` found; no content of any item in it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import rankdata

from training.evaluation.judge import Classified, Rated, Result
from training.evaluation.metrics import reliability

matplotlib.use("Agg")

N_WORST = 30  # mistakes listed
STYLE = """body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:.5em 0 1.5em}th,td{padding:.2em .8em;text-align:right;
border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}img{max-width:100%}
.warning{background:#fdd;padding:.5em 1em}"""


def write(path: Path, summaries: Sequence[Mapping[str, Any]], results: Sequence[Result]) -> None:
    """Write the report of results and of what was found about each (`cli.summary`).

    Mistakes are named by their line in the manifest, or by their place among the judged rows.
    """
    title = f"{summaries[0]['set']}, {summaries[0]['split'] or 'all rows'}"
    body = [f"<h1>{escape(title)}</h1>"]
    for summary, result in zip(summaries, results, strict=True):
        body += _of_head(summary, result)
    path.write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<style>{STYLE}</style>{''.join(body)}</html>\n",
        encoding="utf-8",
    )


def _of_head(summary: Mapping[str, Any], result: Result) -> list[str]:
    parts = [f"<h2>Head: {escape(result.head)}</h2>"]
    if summary.get("trained"):
        parts.append(
            f"<p class=warning>{summary['trained']} of {summary['n']} rows were trained on: these "
            "figures must not be published.</p>"
        )
    ours = {name: value for name, value in summary.items() if isinstance(value, int | float)}
    baseline = summary.get("baseline") or {}
    head = ("figure", "ours", *([f"baseline: {baseline['name']}"] if baseline else ()))
    rows = [
        (name, value, *([baseline.get(name)] if baseline else ())) for name, value in ours.items()
    ]
    parts += ["<h3>Figures</h3>", _table(head, rows)]
    for protocol in ("folds", "other_sets"):
        if protocol in baseline:
            parts += [f"<h3>Baseline, {protocol.replace('_', ' ')}</h3>"]
            parts += [_table(("figure", "baseline"), baseline[protocol].items())]
    if isinstance(result, Classified):
        parts += _of_classes(result)
    else:
        parts += _of_ratings(result)
    for kind, values in summary["slices"].items():
        parts += [f"<h3>By {escape(kind)}</h3>", _nested(kind, values)]
    for name in ("robustness", "bias"):
        if name in summary:
            parts += [f"<h3>{name.capitalize()}</h3>", _nested("condition", summary[name])]
    return parts


def _of_classes(result: Classified) -> list[str]:
    figures, correct = result.figures, result.answer == result.truth
    report = {
        name: values if isinstance(values, Mapping) else {"f1-score": values}
        for name, values in figures.per_class.items()
    }
    confidence = result.p.max(-1)
    worst = [i for i in np.argsort(-confidence) if not correct[i]][:N_WORST]
    names = figures.classes
    return [
        "<h3>Classification report</h3>",
        _nested("class", report),
        "<h3>Confusion matrix</h3>",
        _confusion(np.array(figures.confusion), names),
        "<h3>Reliability</h3>",
        _reliability(result),
        "<h3>Risk and coverage</h3><p>When only the surest are answered: how many, and the share "
        "of them that is wrong.</p>",
        _risk_coverage(figures.risk_coverage),
        "<h3>Surest mistakes</h3>",
        _table(
            ("row", "truth", "answer", "confidence"),
            [
                (_number(result, i), names[result.truth[i]], names[result.answer[i]], confidence[i])
                for i in worst
            ],
        ),
    ]


def _of_ratings(result: Rated) -> list[str]:
    ratings = np.array([row.rating for row in result.rows], np.float64)
    figure, axes = _axes(5, 4)
    axes.plot(result.scores, ratings, ".", alpha=0.4)
    axes.set(xlabel="score", ylabel="mean rating")
    apart = np.abs(rankdata(result.scores) - rankdata(ratings)) / len(ratings)
    return [
        "<h3>Scores and ratings</h3>",
        _png(figure),
        "<h3>Farthest apart</h3><p>By the difference of their ranks.</p>",
        _table(
            ("row", "score", "rating"),
            [
                (_number(result, i), result.scores[i], ratings[i])
                for i in np.argsort(-apart, kind="stable")[:N_WORST]
            ],
        ),
    ]


def _number(result: Result, place: int) -> str:
    line = result.rows[place].line
    return f"line {line}" if line else f"item {place + 1}"


def _confusion(counts: np.ndarray, names: Sequence[str]) -> str:
    figure, axes = _axes(1.5 + 0.8 * len(names), 1 + 0.7 * len(names))
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=colour)
    axes.set(xlabel="answer", ylabel="truth")
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    return _png(figure)


def _reliability(result: Classified) -> str:
    bins = reliability(result.p.max(-1), result.answer == result.truth)
    figure, axes = _axes(5, 4)
    axes.plot([0, 1], [0, 1], "--", color="grey")
    axes.plot([b[0] for b in bins], [b[1] for b in bins], "o-")
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    return _png(figure) + _table(("confidence", "accuracy", "items"), bins)


def _risk_coverage(points: Sequence[tuple[float, float, float]]) -> str:
    figure, axes = _axes(5, 4)
    axes.plot([p[0] for p in points], [p[2] for p in points], "o-")
    axes.set(xlabel="coverage", ylabel="risk", xlim=(0, 1), ylim=(0, None))
    return _png(figure)


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<p><img alt="" src="data:image/png;base64,{data}"></p>'


def _nested(first: str, values: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each key; a column for each name that any of them has."""
    columns = list(dict.fromkeys(name for inner in values.values() for name in inner))
    return _table(
        (first, *columns),
        [(key, *(inner.get(name) for name in columns)) for key, inner in values.items()],
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["".join(f"<th>{escape(name)}" for name in head)]
    lines += ["".join(f"<td>{escape(_cell(value))}" for value in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}' for line in lines)}</table>"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
