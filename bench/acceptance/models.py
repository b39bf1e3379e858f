"""Issue 'Models that earn trust': its 'Must show', on the shipped weights and at full size.

Ours and the baseline's figures come from one run, on the same test rows.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import weights
from bench.acceptance import voice
from modalities.text.infer import TextReader
from training import checks, fusion, satisfaction, text
from training.adapt import adapt, trained_share
from training.data import data_dir, read_table
from training.evaluation import baselines, judge
from training.evaluation.judge import Classified, Rated
from training.evaluation.metrics import number_figures
from training.evaluation.robustness import robustness
from training.evaluation.slices import class_slices
from training.options import Options
from training.rows import Row
from training.text_base import layers_of, start

Outcome = tuple[dict[str, Any], bool]
HIGHEST_ECE = 0.05
KFOLD_MARGIN = {"ravdess": 0.10, "nemo": 0.15, "casia": 0.06, "urdu": 0.0}
LOWEST_TELEPHONE_CHANGE = -0.04
LORA_MARGIN, LORA_SHARE = 0.015, 0.03
CALIBRATED = {
    "text": ("ewect", "goemotions", "meld", "shopping", "waimai", "airline"),
    "voice": ("casia", "ravdess", "nemo", "urdu"),
    "image": ("fer",),
}


@dataclass(frozen=True)
class Target:
    """How far the baseline must be exceeded, on a set or on one of its sources."""

    part: str
    name: str
    metric: str
    margin: float
    source: str = ""


TARGETS = (
    Target("text", "ewect", "macro_f1", 0.02, "usual"),
    Target("text", "ewect", "macro_f1", 0.02, "virus"),
    Target("text", "shopping", "accuracy", 0.0),
    Target("text", "airline", "macro_f1", 0.02),
    Target("text", "goemotions", "macro_f1", 0.01),
    Target("text", "meld", "weighted_f1", 0.03),
    Target("voice", "ravdess", "uar", 0.10),
    Target("voice", "nemo", "uar", 0.15),
    Target("voice", "casia", "uar", 0.06),
    Target("voice", "urdu", "uar", 0.0),
    Target("image", "fer", "accuracy", 0.08),
    Target("image", "fer", "macro_f1", 0.08),
)


@cache
def judged(part: str, name: str) -> Classified:
    """The set's first head on `test`."""
    result = judge.judge(part, name, "test", weights.path_of(part))[0]
    assert isinstance(result, Classified)
    return result


@cache
def baseline(part: str, name: str) -> baselines.Baseline:
    return baselines.baseline(part, name, judged(part, name))


def above_baseline(target: Target) -> Outcome:
    result, found = judged(target.part, target.name), baseline(target.part, target.name)
    ours: Mapping[str, Any] = vars(result.figures)
    theirs: Mapping[str, Any] = found.figures
    if target.source:
        slices = class_slices(target.part, result.rows, result.truth, result.answer)
        ours = slices["source"][target.source]
        theirs = found.slices["source"][target.source]
    figures = {
        "metric": target.metric,
        "n": ours["n"],
        "ours": round(ours[target.metric], 4),
        "baseline": round(theirs[target.metric], 4),
        "margin_asked": target.margin,
    }
    gained = ours[target.metric] - theirs[target.metric]
    return figures, gained >= target.margin and gained > 0


def helpdesk(language: str, recipe: bool) -> Outcome:
    """The satisfaction head on `test`, or by `recipe` on all dialogues, five folds."""
    name, path = f"helpdesk_{language}", weights.path_of("text")
    results = judge.judge("text", name, None if recipe else "test", path)
    by_head = {result.head: result for result in results if isinstance(result, Rated)}
    plain = by_head["rating"]
    found = baselines.baseline("text", name, plain).figures["spearman"] or 0.0
    if recipe:
        items = satisfaction.rated(TextReader.load(path))
        predicted = satisfaction.folded(items)
        mask = np.array([item.data_set == name for item in items])
        ratings = np.array([item.satisfaction for item in items])
        ours = number_figures(predicted[mask], ratings[mask]).spearman or 0.0
    else:
        ours = by_head["satisfaction"].figures.spearman or 0.0
    figures = {
        "spearman": round(ours, 4),
        "baseline": round(found, 4),
        "unsupervised": round(plain.figures.spearman or 0.0, 4),
    }
    return figures, ours > found


def calibration(part: str) -> Outcome:
    eces = {name: round(judged(part, name).figures.ece, 4) for name in CALIBRATED[part]}
    return {"ece": eces}, max(eces.values()) <= HIGHEST_ECE


def telephone() -> Outcome:
    """RAVDESS over 8 kHz μ-law."""
    clean, name = judged("voice", "ravdess"), "8 kHz μ-law"
    found = robustness("voice", clean, weights.path_of("voice"), conditions=[name])
    line = found[name]
    figures = {"clean": found["clean"]["uar"], name: line["uar"]}
    return figures, line["difference"] >= LOWEST_TELEPHONE_CHANGE


def pairs() -> Outcome:
    """The pool above every rule on every subset; less sure where sources contradict."""
    found = fusion.evaluate(weights.FOLDER)
    consistent = [one for one in found if not one.contradictory]
    contradictory = [one for one in found if one.contradictory]
    less_sure = [
        b.mean_confidence < a.mean_confidence and b.abstained > a.abstained
        for a, b in zip(consistent, contradictory, strict=True)
    ]
    behind = {
        f"{' + '.join(one.sources)}, {one.contradictory:.0%}": round(one.margin, 4)
        for one in found
        if one.margin <= 0
    }
    figures = {
        "pairs": "synthetic",
        "subsets": len(found),
        "mean_macro_f1": round(float(np.mean([one.fusion for one in found])), 4),
        "mean_of_rules": {
            rule: round(float(np.mean([one.rules[rule] for one in found])), 4)
            for rule in fusion.RULES
        },
        "behind_a_rule": behind,
        "less_sure_where_contradictory": f"{sum(less_sure)} of {len(less_sure)}",
        "highest_ece_where_consistent": max(one.ece for one in consistent),
    }
    return figures, not behind and all(less_sure)


def recipe_folds(name: str) -> Outcome:
    """The voice recipe on held-out speakers, beside the baseline on the same folds."""
    ours = voice.of_speakers().judged(name, "alone").uar
    theirs = baselines.voice_folds(name)["uar"]
    return {"recipe, k-fold": ours, "baseline": theirs}, ours >= theirs + KFOLD_MARGIN[name]


def other_sets() -> Outcome:
    """Trained without a corpus, judged on it, four classes: above on three of four."""
    found = {
        name: {
            "recipe": voice.of_sets().judged(name, "alone", baselines.FOUR).uar,
            "baseline": baselines.voice_from_other_sets(name)["uar"],
        }
        for name in CALIBRATED["voice"]
    }
    above = sum(one["recipe"] > one["baseline"] for one in found.values())
    return found, above >= 3


def unknown_domain() -> list[Row]:
    """Chinese offensive posts (cold), of which the bundle saw neither texts nor labels: 2,000 rows
    to learn from, half of the published dev rows to stop by, half to be judged on."""
    sentiment = {"offensive": "negative", "not_offensive": "neutral"}
    rows = [
        Row("cold", one["text"], one["split"], one["label"], sentiment=sentiment[one["label"]])
        for one in read_table(data_dir() / "text/cold.csv.gz")
    ]
    draw = random.Random(0)
    learnt = draw.sample([row for row in rows if row.split == "train"], 2_000)
    judged = [row for row in rows if row.split == "dev"]
    draw.shuffle(judged)
    half = len(judged) // 2
    return learnt + judged[:half] + [replace(row, split="test") for row in judged[half:]]


def share_trained(options: Options) -> float:
    """Of the embedded text model's parameters, by a run with these options."""
    model, _ = start(options.base, text.SEED)
    encoder: Any = model.encoder
    model.encoder = adapt(encoder, layers_of(encoder), [encoder.embeddings], options, 1)
    return trained_share(model)


def adapters() -> Outcome:
    """LoRA beside full fine-tuning on a domain that the bundle does not know."""
    rows = checks.without_duplicates(unknown_domain())[0]
    judged = [row for row in rows if row.split == "test"]
    before = judge.judge_rows("text", judged, weights.path_of("text"))[0]
    assert isinstance(before, Classified)
    found, shares = {"before": round(before.figures.macro_f1, 4)}, {}
    for name, options in {
        "full": Options(base="embedded"),
        "lora": Options(base="embedded", peft="lora"),
    }.items():
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "text.safetensors"
            text.train(rows, Path(folder) / "run", out, options)
            result = judge.judge_rows("text", judged, out)[0]
            assert isinstance(result, Classified)
            found[name] = round(result.figures.macro_f1, 4)
            shares[name] = round(share_trained(options), 4)
    figures = {"n": len(judged), "macro_f1": found, "trained_share": shares}
    close = found["lora"] >= found["full"] - LORA_MARGIN
    return figures, close and shares["lora"] <= LORA_SHARE


CHECKS: dict[str, Callable[[], Outcome]] = {
    **{
        f"{target.name} {target.source}".strip() + f" {target.metric}": partial(
            above_baseline, target
        )
        for target in TARGETS
    },
    **{
        f"helpdesk_{language} {'recipe, 5-fold' if recipe else 'test'}": partial(
            helpdesk, language, recipe
        )
        for language in ("zh", "en")
        for recipe in (False, True)
    },
    "ravdess_by_telephone": telephone,
    **{f"{name} recipe, k-fold": partial(recipe_folds, name) for name in KFOLD_MARGIN},
    "voice_other_sets": other_sets,
    "lora": adapters,
    **{f"calibration_{part}": partial(calibration, part) for part in CALIBRATED},
    "fusion_pairs": pairs,
}
