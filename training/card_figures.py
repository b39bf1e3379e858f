"""A model card's figures: every one from `emotion evaluate`, or the command that is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import weights
from training import card_text, data, folds, fusion
from training.evaluation import baselines, conversations, judge, texts
from training.evaluation.bias import bias
from training.evaluation.judge import Classified, Rated, Result
from training.evaluation.metrics import number_figures
from training.evaluation.robustness import PRIMARY, robustness
from training.rows import sets_of
from training.voice_head import N_AFTER, WAYS

FIGURES = ("accuracy", "macro_f1", "weighted_f1", "uar")
DAMAGED = {"text": ("written", "airline"), "voice": ("ravdess", "urdu"), "image": ("fer",)}
BUILD = Path("build")  # heads of the folds


def figures(part: str, path: Path) -> list[str]:
    """Lines of Markdown: the figures of the checkpoint `path`, beside their baselines."""
    if part == "fusion":
        return _fusion_figures()
    if part == "satisfaction":
        return _satisfaction_figures()
    lines = card_text.figures(path) if part == "text" else _set_figures(part, path)
    lines += ["", *_split_hashes(sets_of(part))]
    if part == "voice":
        lines += ["", *_fold_figures()]
    lines += ["", *_robustness_figures(part, path)]
    if part == "text":
        lines += ["", *_bias_figures(path)]
    return lines


def _set_figures(part: str, path: Path) -> list[str]:
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
    for name in sets_of(part):
        for result in judge.judge(part, name, "test", path):
            assert isinstance(result, Classified)
            lines.append(_row(part, name, result))
    return lines


def _row(part: str, name: str, result: Classified) -> str:
    theirs = baselines.baseline(part, name, result).figures
    figures = result.figures
    cells = [f"{getattr(figures, figure):.3f} ({theirs[figure]:.3f})" for figure in FIGURES]
    return (
        f"| {name} | {result.head} | {len(figures.classes)} | {figures.n} | {' | '.join(cells)} | "
        f"{figures.ece:.3f} |"
    )


def _split_hashes(names: Sequence[str]) -> list[str]:
    own = [name for name in names if (data.SPLITS_DIR / f"{name}.csv").exists()]
    return [f"- `{name}.csv`: SHA-256 `{data.splits_sha256(name)}`" for name in own]


def _satisfaction_figures() -> list[str]:
    """Shipped weights on `test`, and heads of folds on all dialogues, each beside the baseline."""
    from modalities.text.infer import TextReader
    from training import satisfaction

    lines = [
        "Spearman correlation with the mean of 19 raters, by `emotion evaluate text --data "
        f"helpdesk_zh --baseline` (`_en`); {conversations.WRITTEN}, written for this project, have "
        "one rater each, and their `test` is of topics that nothing was trained on. The "
        "unsupervised figure is the mean of the plain scores of the customer's turns, which saw no "
        f"rating. Baseline: {baselines.NAME['rating']}, on the customer's words. Recipe, 5-fold: "
        "heads fitted on four fifths of the dialogues, twins together, all answered out of fold; "
        "the raters' two halves agree at .81 (zh) and .83 (en).",
        "",
        "| set | protocol | n | satisfaction head | unsupervised | baseline |",
        "|---|---|---|---|---|---|",
    ]
    items = satisfaction.rated(TextReader.load(weights.path_of("text")))
    folded = satisfaction.folded(items)
    for name in conversations.NAMED:
        results = judge.judge("text", name, "test", weights.path_of("text"))
        lines.append(f"| {name} | test | " + _correlations(name, results))
        if name not in conversations.HELPDESK:
            continue
        mask = np.array([item.data_set == name for item in items])
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
    dims, table = folds.tabulate()
    speakers = folds.held_out_speakers(dims, table, BUILD / "folds")
    whole_sets = folds.held_out_sets(dims, table, BUILD / "folds")
    lines = [
        "Recipe, k-fold (`training/folds.py`, run by `emotion data card voice`): heads that know "
        "nothing of the speakers, or of the whole set, that they are judged on; UAR, by itself and "
        f"after {N_AFTER} other utterances of the speaker, of any mood or of the same. Of a set "
        f"held out as a whole the four emotions {', '.join(baselines.FOUR)}. Baseline: "
        f"{baselines.NAME['voice']}, on the same folds.",
        "",
        f"| set | n | alone | ECE | after {N_AFTER} | after {N_AFTER} of the same mood | damaged "
        "copies, alone | baseline | set held out: alone | after | baseline |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in sets_of("voice"):
        alone, after, one_mood = (speakers.judged(name, way) for way in WAYS)
        whole, whole_after = (
            whole_sets.judged(name, way, baselines.FOUR) for way in ("alone", "after")
        )
        cells = [
            alone.uar, alone.ece, after.uar, one_mood.uar,
            speakers.judged(name, "alone", copies=True).uar,
            baselines.voice_folds(name)["uar"], whole.uar, whole_after.uar,
            baselines.voice_from_other_sets(name)["uar"],
        ]  # fmt: skip
        lines.append(f"| {name} | {alone.n} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")
    return lines


def _robustness_figures(part: str, path: Path) -> list[str]:
    metric = PRIMARY[part]
    lines = [f"Damaged copies of the test items ({metric}; `emotion evaluate --robustness`):", ""]
    found = {}
    for name in DAMAGED[part]:
        if part == "text":
            clean: Result = texts.judged(name, path)[texts.HEAD_OF[name]]
        else:
            clean = judge.judge(part, name, "test", path)[0]
        found[name] = robustness(part, clean, path)
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
    rows = [row for name in texts.EXCHANGED for row in texts.rows_of(name)]
    for change in bias(rows, path):
        toward = "–" if change.toward is None else f"{change.toward:+.3f}"
        lines.append(
            f"| {change.axis} | {change.language} | {change.n} | {change.mean:.3f} | "
            f"{change.worst:.3f} | {toward} |"
        )
    return lines
