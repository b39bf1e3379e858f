"""What the text model must show on test rows, at full size: each figure beside its floor, its aim
and the baseline's of the same run.

About 25 minutes on two cores that do nothing else, `server` and `alone` apart: those measure speed
and can be named alone. `make acceptance ISSUE=text PERMISSIVE=FILE` names the checkpoint whose sets
all allow commercial use.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import weights
from bench.acceptance import text_examples
from bench.acceptance.lines import high, low, outcome
from bench.acceptance.service import Outcome
from bench.speed import text as speed
from bench.speed.measure import Section, figure_of
from modalities.text.infer import TextReader
from training import satisfaction
from training.evaluation import baselines, conversations, judge, texts
from training.evaluation.baselines import Baseline
from training.evaluation.bias import bias
from training.evaluation.judge import Classified
from training.evaluation.metrics import answer_figures, number_figures
from training.evaluation.slices import class_slices

SHIPPED = weights.path_of("text")
PERMISSIVE = Path(os.environ.get("PERMISSIVE", "build/permissive.safetensors"))

WRITTEN_FLOORS = {"en": 0.82, "zh": 0.80, "others": 0.70}
KIND_FLOOR, KIND_ROWS = 0.70, 40
ECE_FLOOR, ECE_AIM, ECE_ROWS = 0.04, 0.03, 500
CHANGE_FLOOR, CHANGE_AIM = 0.25, 0.15
SATISFACTION_FLOORS = {"zh": 0.83, "en": 0.79}
OVER_PLAIN_FLOOR, OVER_PLAIN_AIM, OVER_PIPELINE_FLOOR = 2.5, 4.0, 1.3


@dataclass(frozen=True)
class Promise:
    """A figure of a set, or of one of its sources."""

    name: str
    metric: str
    floor: float
    aim: float | None = None
    source: str = ""


PROMISES = (
    Promise("ewect", "macro_f1", 0.74, 0.78, source="usual"),
    Promise("ewect", "macro_f1", 0.62, 0.67, source="virus"),
    Promise("goemotions", "macro_f1", 0.65, 0.68),
    Promise("meld", "weighted_f1", 0.60, 0.63),
    Promise("airline", "macro_f1", 0.81, 0.84),
    Promise("shopping", "accuracy", 0.95, 0.955),
    Promise("waimai", "accuracy", 0.92),
)


@cache
def trainer() -> ProcessPoolExecutor:
    """Learns the baselines, on one core, while our own answers are read."""
    return ProcessPoolExecutor(1, get_context("spawn"))


@cache
def both(name: str) -> tuple[Classified, Baseline]:
    """Our answers to the set and its baseline's, by the head that its figure is of."""
    learning = trainer().submit(texts.baseline, name)
    return ours(name), learning.result()


def ours(name: str, path: Path = SHIPPED) -> Classified:
    return texts.judged(name, path)[texts.HEAD_OF[name]]


def macro_f1(
    result: Classified, answer: NDArray[np.intp], mask: NDArray[np.bool_] | None = None
) -> float:
    """Of `answer` (n,) to the result's rows, or to some of them."""
    kept = slice(None) if mask is None else mask
    return answer_figures(result.truth[kept], answer[kept])["macro_f1"]


def languages(result: Classified) -> dict[str, NDArray[np.bool_]]:
    """English, Chinese, the others together and each."""
    of_row = texts.by_language(result)
    masks = {"en": of_row == "en", "zh": of_row == "zh"}
    masks["others"] = ~(masks["en"] | masks["zh"])
    return masks | {str(one): of_row == one for one in np.unique(of_row[masks["others"]])}


def written_languages() -> Outcome:
    """Macro-F1 of three sentiments, of topics that nothing was trained on."""
    result, taught = both("written")
    return outcome(
        {
            name: high(
                macro_f1(result, result.answer, mask),
                WRITTEN_FLOORS.get(name),
                n=int(mask.sum()),
                baseline=round(macro_f1(result, taught.answers, mask), 4),
            )
            for name, mask in languages(result).items()
        }
    )


def written_kinds() -> Outcome:
    result, taught = both("written")
    found = class_slices("text", result.rows, result.truth, result.answer)["kind"]
    return outcome(
        {
            kind: high(
                of["macro_f1"],
                KIND_FLOOR if of["n"] >= KIND_ROWS else None,
                n=of["n"],
                baseline=round(taught.slices["kind"][kind]["macro_f1"], 4),
            )
            for kind, of in found.items()
        }
    )


def written_turns() -> Outcome:
    """No floor is set: what was said before a turn must help to read it."""
    result, taught = both("written_turns")
    rows = [replace(row, before=()) for row in result.rows]
    alone = judge.judge_rows("text", rows, SHIPPED)
    (without,) = (one for one in alone if one.head == "sentiment")
    assert isinstance(without, Classified)
    speaker = np.array([row.speaker for row in result.rows])
    lines = {}
    for name, mask in (("customer", speaker == "customer"), ("agent", speaker == "agent")):
        lines[name] = high(
            macro_f1(result, result.answer, mask),
            macro_f1(result, without.answer, mask) if name == "customer" else None,
            n=int(mask.sum()),
            without_context=round(macro_f1(result, without.answer, mask), 4),
            baseline=round(macro_f1(result, taught.answers, mask), 4),
        )
    return outcome(lines)


def promised(*promises: Promise) -> Outcome:
    lines = {}
    for one in promises:
        result, taught = both(one.name)
        of: Mapping[str, Any] = vars(result.figures)
        theirs: Mapping[str, Any] = taught.figures
        if one.source:
            found = class_slices("text", result.rows, result.truth, result.answer)
            of, theirs = found["source"][one.source], taught.slices["source"][one.source]
        lines[f"{one.source} {one.metric}".strip()] = high(
            of[one.metric],
            one.floor,
            one.aim,
            n=of["n"],
            refused=texts.refused(result),
            baseline=round(theirs[one.metric], 4),
        )
    return outcome(lines)


def umsab() -> Outcome:
    """Tweets: the mean of four languages' macro-F1."""
    result, taught = both("umsab")
    masks = languages(result)
    lines = {
        name: high(
            macro_f1(result, result.answer, masks[name]),
            baseline=round(macro_f1(result, taught.answers, masks[name]), 4),
        )
        for name in ("en", "fr", "es", "ar")
    }
    mean, theirs = (
        float(np.mean([one[of] for one in lines.values()])) for of in ("ours", "baseline")
    )
    lines["mean"] = high(mean, 0.66, 0.69, n=len(result.rows), baseline=round(theirs, 4))
    return outcome(lines)


def foreign() -> Outcome:
    """Customers of real companies, on whose words nothing was trained: above the baseline."""
    learning = trainer().submit(texts.foreign_baselines)
    results = {name: ours(name) for name in texts.FOREIGN}
    taught = learning.result()
    lines = {}
    for name, result in results.items():
        theirs, own = taught[name]["macro_f1"], result.figures.macro_f1
        refused = texts.refused(result)
        made = high(own, n=len(result.rows), refused=refused, baseline=round(theirs, 4))
        lines[name] = made | {"reached": own > theirs}
        for language, mask in languages(result).items():
            if language != "others" and mask.any():
                lines[f"{name} {language}"] = high(macro_f1(result, result.answer, mask))
    figures, passed = outcome(lines)
    note = (
        f"the training sets' rows with a sentiment: all in {', '.join(texts.FOREIGN_LANGUAGES)}, "
        f"{texts.OTHERS:,} of the others, seed {texts.SEED}"
    )
    return {**figures, "baseline_learned_from": note}, passed


def contrasts() -> Outcome:
    """Reviews and their twins, in which negation or another word turns the verdict; told only."""
    result = ours(texts.CONTRASTS)
    right = texts.contrasts_right(result)
    accuracy = high(result.figures.accuracy, n=result.figures.n, refused=texts.refused(result))
    return outcome({"accuracy": accuracy, "both_right": high(right)})


@cache
def satisfaction_folds() -> tuple[list[satisfaction.Conversation], NDArray[np.float64]]:
    items = satisfaction.rated(TextReader.load(SHIPPED))
    return items, satisfaction.folded(items)


def helpdesk(language: str) -> Outcome:
    """Heads that saw neither the dialogue nor its twin, in five folds, against 19 raters."""
    items, predicted = satisfaction_folds()
    name = f"helpdesk_{language}"
    mask = np.array([item.data_set == name for item in items])
    of_id = {str(dialogue["id"]): dialogue for dialogue in conversations.load(name)}
    rows = [conversations.row_of(of_id[one.dialogue]) for one in items if one.data_set == name]
    taught = baselines.baseline("text", name, judge.rated("rating", rows, predicted[mask]))
    ratings = np.array([row.rating for row in rows], np.float64)
    spearman = number_figures(predicted[mask], ratings).spearman or 0.0
    theirs = round(taught.figures["spearman"] or 0.0, 4)
    made = high(spearman, SATISFACTION_FLOORS[language], n=len(rows), baseline=theirs)
    return outcome({"spearman": made})


def calibration() -> Outcome:
    """ECE of every set, by the head that its figure is of; of its other head it is told."""
    lines = {}
    for name, head in texts.HEAD_OF.items():
        for other, result in texts.judged(name, SHIPPED).items():
            ece, n = result.figures.ece, result.figures.n
            beside = {"n": n, "macro_f1": round(result.figures.macro_f1, 4)}
            counts = other == head and n >= ECE_ROWS
            made = low(ece, ECE_FLOOR, ECE_AIM, **beside) if counts else high(ece, **beside)
            lines[f"{name} {other}"] = made
    return outcome(lines)


def exchanged() -> Outcome:
    """The worst change of the score by axis and language; `toward` is the second group's gain."""
    rows = [row for name in texts.EXCHANGED for row in texts.rows_of(name)]
    return outcome(
        {
            f"{one.axis} {one.language}": low(
                one.worst,
                CHANGE_FLOOR,
                CHANGE_AIM,
                n=one.n,
                mean=round(one.mean, 4),
                toward=None if one.toward is None else round(one.toward, 4),
            )
            for one in bias(rows, SHIPPED)
        }
    )


def permissive() -> Outcome:
    """The checkpoint that may be sold beside the shipped one, on the same rows: it must reach the
    floors of the written messages, too."""
    lines = {}
    for name in texts.WHOLE:
        shipped, result = texts.beside(ours(name), PERMISSIVE)
        metric = texts.metric_of(name)
        masks = {"": np.ones(len(result.rows), bool)}
        if name == "written":
            masks |= {of: mask for of, mask in languages(result).items() if of in WRITTEN_FLOORS}
        for of, mask in masks.items():
            own, theirs = (
                answer_figures(one.truth[mask], one.answer[mask])[metric]
                for one in (result, shipped)
            )
            lines[f"{name} {of}".strip() + f" {metric}"] = high(
                own, WRITTEN_FLOORS.get(of), n=int(mask.sum()), shipped=round(theirs, 4)
            )
    return outcome(lines)


def server_speed() -> Outcome:
    section = Section("Text", speed.HOW)
    speed.server_rows(section)
    found = figure_of(section, speed.THROUGHPUT, speed.PLAIN)
    ratio = high(found["ratio"], OVER_PLAIN_FLOOR, OVER_PLAIN_AIM)
    figures, passed = outcome({"ratio": ratio})
    return {**figures, "rows": section.rows}, passed


def alone_speed() -> Outcome:
    section = Section("Text", speed.HOW)
    speed.alone_row(section)
    figures, passed = outcome({"ratio": high(section.rows[0]["ratio"], OVER_PIPELINE_FLOOR)})
    return {**figures, "rows": section.rows}, passed


def of_set(name: str) -> Callable[[], Outcome]:
    return partial(promised, *(one for one in PROMISES if one.name == name))


CHECKS: dict[str, Callable[[], Outcome]] = {
    "readme": partial(text_examples.readme, SHIPPED),
    "cases": partial(text_examples.cases, SHIPPED),
    "written_languages": written_languages,
    "written_kinds": written_kinds,
    "written_turns": written_turns,
    **{name: of_set(name) for name in dict.fromkeys(one.name for one in PROMISES)},
    "umsab": umsab,
    "support_chats_and_railway_posts": foreign,
    "contrasts": contrasts,
    "helpdesk_zh": partial(helpdesk, "zh"),
    "helpdesk_en": partial(helpdesk, "en"),
    "calibration": calibration,
    "words_exchanged": exchanged,
    "permissive": permissive,
    "server": server_speed,
    "alone": alone_speed,
}
