"""`emotion evaluate`. Heavy imports stand inside, so that --help is fast."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import weights as bundle

if TYPE_CHECKING:
    from training.evaluation.judge import Result
    from training.fusion import PairFigures


class Part(StrEnum):
    """What can be judged."""

    TEXT = "text"
    VOICE = "voice"
    IMAGE = "image"
    FUSION = "fusion"


PAIRS = "pairs"
HEADLINE = ("accuracy", "macro_f1", "weighted_f1", "uar", "ece", "brier", "spearman", "pearson")


def evaluate(
    part: Annotated[Part, typer.Argument()],
    data: Annotated[
        str, typer.Option(help="A set's name (ewect, helpdesk_zh, fer …), a manifest, a JSON.")
    ] = "",
    split: Annotated[
        str, typer.Option(help="train, dev or test; a file without splits is taken whole.")
    ] = "test",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    report: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write all of it with pictures: FILE.html.")
    ] = None,
    open_set: Annotated[
        bool, typer.Option("--open", help="Answer among all classes, not only the data's.")
    ] = False,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Train and judge the simple model beside ours.")
    ] = False,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Judge again on damaged copies.")
    ] = False,
    bias: Annotated[
        bool, typer.Option("--bias", help="Swap names, gender and dialect words (text).")
    ] = False,
    weights: Annotated[
        Path | None, typer.Option(help="A checkpoint, for fusion a folder; default: embedded.")
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
) -> None:
    """Judge weights on labelled items: the labels decide the head."""
    import torch

    torch.set_num_threads(threads)
    from modalities.errors import InputError

    if part is Part.FUSION:
        from training import fusion

        if data not in ("", PAIRS) or report or open_set or baseline or robustness or bias:
            raise InputError(
                f"fusion is judged on {PAIRS} that it composes, beside rules of its own: it takes "
                "--split, --json, --weights and --threads",
                "fusion",
            )
        pairs = fusion.evaluate(weights or bundle.FOLDER, split)
        if as_json:
            typer.echo(json.dumps(rounded(pair_summary(pairs, split))))
        else:
            typer.echo("\n".join(map(pair_line, pairs)))
        return

    from training.evaluation import judge

    if bias and part is not Part.TEXT:
        raise InputError("only texts have words to swap", "--bias")
    path = weights or bundle.path_of(part.value)
    results = judge.judge(part.value, data, split, path, open_set=open_set)
    summaries = [summary(part.value, data, split, result, path) for result in results]
    if baseline:
        for found, result in zip(summaries, results, strict=True):
            found.update(beside(part.value, data, result))
    if robustness:
        from training.evaluation.robustness import robustness as damaged

        summaries[0]["robustness"] = damaged(part.value, results[0], path, open_set=open_set)
    if bias:
        from training.evaluation.bias import bias as swapped

        summaries[0]["bias"] = {
            f"{change.axis}, {change.language}": asdict(change)
            for change in swapped(results[0].rows, path)
        }
    if report:
        from training.evaluation.report import write

        write(report, summaries, results)
    first, *others = summaries
    if first["trained"]:
        typer.echo(
            f"{first['trained']} of these {first['n']} rows were trained on: "
            "the figures must not be published",
            err=True,
        )
    if as_json:
        one = {**first, **{other["head"]: other for other in others}}
        typer.echo(json.dumps(rounded(one), ensure_ascii=False))
    else:
        for found in summaries:
            typer.echo("\n".join(lines_of(found)))


def pair_summary(pairs: Sequence[PairFigures], split: str) -> dict[str, Any]:
    """Figures of fusion by subset of sources, and their means."""
    return {
        "set": PAIRS,
        "split": split,
        "head": "sentiment",
        "n": sum(pair.n for pair in pairs),
        "macro_f1": sum(pair.fusion for pair in pairs) / len(pairs),
        "ece": sum(pair.ece for pair in pairs) / len(pairs),
        "results": [{**asdict(pair), "margin": pair.margin} for pair in pairs],
    }


def summary(part: str, source: str, split: str, result: Result, weights: Path) -> dict[str, Any]:
    """All that is known of one head's answers, in plain types."""
    from modalities.errors import UnavailableError
    from training import hashes
    from training.evaluation.judge import Classified
    from training.evaluation.slices import slices

    if result.head == "satisfaction":  # trained on dialogues, with a list of its own
        weights = weights.with_name("satisfaction.safetensors")
    try:
        trained = hashes.count_trained(result.rows, weights)
    except UnavailableError:  # nobody wrote down what these weights were trained on
        trained = None
    skipped = {"skipped": result.unmapped}
    if isinstance(result, Classified):
        skipped = {
            "skipped": result.unmapped + result.multi_label,
            "multi_label": result.multi_label,
            "unmapped": result.unmapped,
        }
    return {
        "set": source,
        # A file without splits was taken whole, whatever was asked for.
        "split": split if any(row.split for row in result.rows) else "",
        "head": result.head,
        **skipped,
        "trained": trained,
        **asdict(result.figures),
        "slices": slices(part, result),
    }


def beside(part: str, source: str, result: Result) -> dict[str, Any]:
    """`baseline`, its figures (for a speech set also by `folds` of its speakers and from the
    `other_sets`), and `difference`, ours less the baseline's."""
    from training.evaluation import baselines
    from training.rows import SETS

    found = baselines.baseline(part, source, result)
    figures: dict[str, Any] = {"name": found.name, **found.figures, "slices": found.slices}
    if part == "voice" and source in SETS["voice"] and result.head == "emotion":
        figures["folds"] = baselines.voice_folds(source)
        figures["other_sets"] = baselines.voice_from_other_sets(source)
    difference = {}
    for name in set(HEADLINE) & set(found.figures):
        ours, theirs = getattr(result.figures, name), found.figures[name]
        difference[name] = None if ours is None or theirs is None else ours - theirs
    return {"baseline": figures, "difference": difference}


def lines_of(found: Mapping[str, Any]) -> list[str]:
    """The plain form of a summary."""
    lines = [
        f"{found['set']} {found['split'] or '(all rows)'}, {found['head']}: n {found['n']}, "
        f"skipped {found['skipped']}, trained on {_shown(found['trained'])}"
    ]
    if "classes" in found:
        lines.append(f"  classes: {', '.join(found['classes'])}")
    baseline = found.get("baseline", {})
    for name in HEADLINE:
        if name in found:
            line = f"  {name:<12} {_shown(found[name])}"
            if name in baseline:
                change = _shown(found["difference"][name], sign=True)
                line += f"   baseline {_shown(baseline[name])}   {change}"
            lines.append(line)
    if baseline:
        lines.append(f"  baseline: {baseline['name']}")
    lines += [
        f"  baseline, {protocol.replace('_', ' ')}: {_pairs(baseline[protocol])}"
        for protocol in ("folds", "other_sets")
        if protocol in baseline
    ]
    shown = "spearman" if "spearman" in found else "macro_f1"
    for kind, values in found["slices"].items():
        of_values = (f"{value} {_shown(of[shown])} ({of['n']})" for value, of in values.items())
        lines.append(f"  {shown} by {kind}: {', '.join(of_values)}")
    lines += [f"  {name}: {_pairs(v)}" for name, v in found.get("robustness", {}).items()]
    lines += [f"  swap of {name}: {_pairs(v)}" for name, v in found.get("bias", {}).items()]
    return lines


def pair_line(pair: PairFigures) -> str:
    """The plain form of one subset's figures."""
    return (
        f"{' + '.join(pair.sources)}, {pair.contradictory:.0%} contradictory: n {pair.n}  "
        f"fusion {pair.fusion:.4f}  {_pairs(pair.rules)}  ece {pair.ece:.4f}  "
        f"confidence {pair.mean_confidence:.4f}  abstained {pair.abstained:.4f}"
    )


def rounded(value: Any) -> Any:
    """Plain types for JSON, floats to four digits."""
    if isinstance(value, Mapping):
        return {str(key): rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return round(value, 4) if isinstance(value, float) else value


def _pairs(values: Mapping[str, Any]) -> str:
    return "  ".join(f"{name} {_shown(value)}" for name, value in values.items())


def _shown(value: Any, *, sign: bool = False) -> str:
    if value is None:
        return "unknown"
    if not isinstance(value, float):
        return str(value)
    return f"{value:+.4f}" if sign else f"{value:.4f}"
