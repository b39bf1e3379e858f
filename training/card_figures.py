"""A model card's figures: every one from `emotion evaluate`, or the command that is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import weights
from training import data, folds, fusion
from training.evaluation import baselines, judge
from training.evaluation.bias import bias
from training.evaluation.judge import Classified, Rated, Result
from training.evaluation.metrics import number_figures
from training.evaluation.robustness import PRIMARY, robustness
from training.evaluation.slices import class_slices
from training.rows import sets_of

DIALOGUES = ("helpdesk_zh", "helpdesk_en")
FIGURES = ("accuracy", "macro_f1", "weighted_f1", "uar")
DAMAGED = {"text": ("ewect", "airline"), "voice": ("ravdess", "urdu"), "image": ("fer",)}
SWAPPED = ("cped", "airline")  # one of each language
BUILD = Path("build")  # functionals of the folds


def figures(part: str, path: Path) -> list[str]:
    """Lines of Markdown: the figures of the checkpoint `path`, beside their baselines."""
    if part == "fusion":
        return _fusion_figures()
    if part == "satisfaction":
        return _satisfaction_figures()
    lines = _set_figures(part, path)
    if part == "voice":
        lines += ["", *_fold_figures()]
    lines += ["", *_robustness_figures(part, path)]
    if part == "text":
        lines += ["", *_bias_figures(path)]
    return lines


def _set_figures(part: str, path: Path) -> list[str]:
    names = [name for name in sets_of(part) if name != "weibo_moods"]  # it has no test split
    lines = [
        f"By `emotion evaluate {part} --data SET --baseline`, on `test`: official, or of "
        f"`training/splits/SET.csv` (seed {data.SPLIT_SEED}), which keeps speakers and dialogues "
        "whole. The answer is the likeliest of the classes that the split has. In brackets the "
        f"baseline, {baselines.NAME[part]}, trained on the set's `train` and judged on the same "
        "rows.",
        "",
        "| set | head | classes | n | accuracy | macro-F1 | weighted-F1 | UAR | ECE |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in names:
        for result in judge.judge(part, name, "test", path):
            assert isinstance(result, Classified)
            lines += _rows(part, name, result)
    return [*lines, "", *_split_hashes(names)]


def _rows(part: str, name: str, result: Classified) -> list[str]:
    """A result and its slices by source, where the set has several."""
    found = baselines.baseline(part, name, result)
    ours = class_slices(part, result.rows, result.truth, result.answer)
    figures = result.figures
    rows: list[tuple[str, int, Mapping[str, Any], Mapping[str, Any], str]]
    rows = [(name, figures.n, vars(figures), found.figures, f"{figures.ece:.3f}")]
    for source, of_source in ours.get("source", {}).items():
        theirs = found.slices["source"][source]
        rows.append((f"{name}: {source}", of_source["n"], of_source, theirs, ""))
    kept = rows if len(rows) <= 4 else rows[:1]  # topics, not a shop's ten categories
    return [
        f"| {title} | {result.head} | {len(figures.classes)} | {n} | "
        + " | ".join(f"{of[figure]:.3f} ({beside[figure]:.3f})" for figure in FIGURES)
        + f" | {ece} |"
        for title, n, of, beside, ece in kept
    ]


def _split_hashes(names: Sequence[str]) -> list[str]:
    own = [name for name in names if (data.SPLITS_DIR / f"{name}.csv").exists()]
    return [f"- `{name}.csv`: SHA-256 `{data.splits_sha256(name)}`" for name in own]


def _satisfaction_figures() -> list[str]:
    """Shipped weights on `test`, and heads of folds on all dialogues, each beside the baseline."""
    from modalities.text.infer import TextReader
    from training import satisfaction

    lines = [
        "Spearman correlation with the mean of 19 raters, by `emotion evaluate text --data "
        "helpdesk_zh --baseline` (`_en`). The unsupervised figure is the mean of the plain scores "
        f"of the customer's turns, which saw no rating. Baseline: {baselines.NAME['rating']}, on "
        "the customer's words. Recipe, 5-fold: heads fitted on four fifths of the dialogues, twins "
        "together, all answered out of fold; the raters' two halves agree at .81 (zh) and .83 "
        "(en).",
        "",
        "| set | protocol | n | satisfaction head | unsupervised | baseline |",
        "|---|---|---|---|---|---|",
    ]
    items = satisfaction.rated(TextReader.load(weights.path_of("text")))
    folded = satisfaction.folded(items)
    for name in DIALOGUES:
        results = judge.judge("text", name, "test", weights.path_of("text"))
        lines.append(f"| {name} | test | " + _correlations(name, results))
        language = name.removeprefix("helpdesk_")
        mask = np.array([item.language == language for item in items])
        ratings = np.array([item.satisfaction for item in items])
        figures = number_figures(folded[mask], ratings[mask])
        everything = judge.judge("text", name, None, weights.path_of("text"))
        (plain,) = (r for r in everything if isinstance(r, Rated) and r.head == "rating")
        found = baselines.baseline("text", name, plain)
        lines.append(
            f"| {name} | recipe, 5-fold | {figures.n} | {_shown(figures.spearman)} | "
            f"{_shown(plain.figures.spearman)} | {_shown(found.figures['spearman'])} |"
        )
    return [*lines, "", *_split_hashes(["helpdesk"])]


def _correlations(name: str, results: Sequence[Result]) -> str:
    by_head = {result.head: result for result in results if isinstance(result, Rated)}
    found = baselines.baseline("text", name, by_head["rating"])
    head, plain = by_head["satisfaction"].figures, by_head["rating"].figures
    return (
        f"{head.n} | {_shown(head.spearman)} | {_shown(plain.spearman)} | "
        f"{_shown(found.figures['spearman'])} |"
    )


def _shown(value: Any) -> str:
    return f"{value:.3f}" if value is not None else "–"


def _fusion_figures() -> list[str]:
    found = fusion.evaluate(weights.FOLDER)
    lines = [
        "By `emotion evaluate fusion`: sentiment macro-F1 on composed items of `test`, for every "
        "subset of two or more sources; the best single source is the one that is best on the "
        "very items.",
        "",
        f"| sources | second contradicts | fusion | {' | '.join(fusion.RULES)} | ECE "
        "| confidence | abstained |",
        "|---|---|---|" + "---|" * len(fusion.RULES) + "---|---|---|",
    ]
    lines += [
        f"| {' + '.join(one.sources)} | {one.contradictory:.0%} | {one.fusion:.3f} | "
        + " | ".join(f"{one.rules[rule]:.3f}" for rule in fusion.RULES)
        + f" | {one.ece:.3f} | {one.mean_confidence:.3f} | {one.abstained:.1%} |"
        for one in found
    ]
    above = sum(one.margin > 0 for one in found)
    return [*lines, "", f"Above every rule on {above} of {len(found)}."]


def _fold_figures() -> list[str]:
    table = folds.tabulate(BUILD / "folds")
    lines = [
        "Recipe, k-fold (UAR; `training/folds.py`, run by `emotion data card voice`): models that "
        "know nothing of the speakers, or of the whole set, that they are judged on; without the "
        "encoder, for time's sake. The four emotions that all sets have, where a set is held out. "
        f"Baseline: {baselines.NAME['voice']}, on the same folds.",
        "",
        "| set | speakers held out: recipe | baseline | set held out: recipe | baseline |",
        "|---|---|---|---|---|",
    ]
    for name in sets_of("voice"):
        found = folds.folds(name, table)
        speakers, other = found["k-fold"], found["other sets"]
        lines.append(
            f"| {name} | {speakers.recipe:.3f} | {speakers.baseline:.3f} | {other.recipe:.3f} | "
            f"{other.baseline:.3f} |"
        )
    return lines


def _robustness_figures(part: str, path: Path) -> list[str]:
    metric = PRIMARY[part]
    lines = [f"Damaged copies of the test items ({metric}; `emotion evaluate --robustness`):", ""]
    found = {
        name: robustness(part, judge.judge(part, name, "test", path)[0], path)
        for name in DAMAGED[part]
    }
    lines += [f"| condition | {' | '.join(found)} |", "|---" * (1 + len(found)) + "|"]
    for condition in next(iter(found.values())):
        cells = [f"{found[name][condition][metric]:.3f}" for name in found]
        lines.append(f"| {condition} | {' | '.join(cells)} |")
    return lines


def _bias_figures(path: Path) -> list[str]:
    lines = [
        "Change of the score, in [−1, 1], where only a name, a gender or a dialect word is "
        "exchanged (`emotion evaluate text --bias`; `toward` is the mean of the second group's "
        "score less the first's):",
        "",
        "| words | language | texts | mean change | worst | toward |",
        "|---|---|---|---|---|---|",
    ]
    rows = [
        row
        for name in SWAPPED
        for result in judge.judge("text", name, "test", path)[:1]
        for row in result.rows
    ]
    for change in bias(rows, path):
        toward = "–" if change.toward is None else f"{change.toward:+.3f}"
        lines.append(
            f"| {change.axis} | {change.language} | {change.n} | {change.mean:.3f} | "
            f"{change.worst:.3f} | {toward} |"
        )
    return lines
