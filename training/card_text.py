"""What the text model's card says beyond other cards: its origin, its sets and their terms, how it
was trained, and figures by set, language and kind of message."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from modalities.text.language import LANGUAGES
from training import e5
from training.evaluation import texts
from training.evaluation.baselines import NAME, Baseline
from training.evaluation.judge import Classified
from training.evaluation.metrics import answer_figures
from training.evaluation.slices import class_slices
from training.rows import load, sets_of
from training.sets import DRAWN, TERMS
from training.text import STAGES

LOGS = "text-train*.log"  # in build/; a run that was broken off and resumed has several
PERMISSIVE = Path("build/permissive.safetensors")
FIGURES = ("accuracy", "macro_f1", "weighted_f1", "uar")
FEWEST = 100  # rows of a set in a language that the table of languages tells

ORIGIN = (
    f"It starts from {e5.NAME} (Wang et al., 2024; MIT), taken in four bits a weight out of the "
    f"wheel of `{e5.PACKAGE}` (SHA-256 `{e5.SHA256}`); its vocabulary is cut to the languages that "
    "are read, and emoji are added. All of it is then fine-tuned but for its lowest layers."
)
WRITTEN = (
    "The sets `written` and `written_turns` (`training/written/`) are customers' messages and "
    "conversations with agents in twelve languages, written for this project with a language "
    "model in the authors' hands, and labelled a second time, blind, by the same kind of model. "
    "Both agreed on the sentiment of .996 of the first 6,970 messages (Cohen's kappa .994) and of "
    ".989 of 13,657 later ones, on the emotion of .949 and .907 of those, and on .933 of 5,503 "
    "turns (.879); what they disagreed on was dropped or left without a label. As both labellings "
    "come of one kind of model, people may agree less, and real customers write otherwise. The "
    "topics hotel and health are test: nothing was trained on them; gym and taxi are `dev`. Of "
    "the other 27 topics beyond the first nine, stage `broader` alone saw the messages: it was "
    "added to weights whose stages before it had been made without them, and its last round was "
    "taken, not its best. 2,009 messages were written after it, and wait for the next run."
)


def data() -> list[str]:
    """Every set, what a round of each stage draws of it, and its terms."""
    stages = ", ".join(f"{of.rounds} rounds of `{stage}`" for stage, of in STAGES.items())
    lines = [
        f"{ORIGIN} It is trained in stages: {stages}; what a round draws of each set is below. "
        "`emotion train text --terms permissive` trains on the sets of which weights may be sold.",
        "",
        f"| set | rows of `train` | {' | '.join(STAGES)} | terms | may be sold |",
        "|---|---|" + "---|" * len(STAGES) + "---|---|",
    ]
    for name in sets_of("text"):
        drawn = (str(getattr(DRAWN[name], stage)) for stage in STAGES)
        terms, n = TERMS[name], len(load("text", name, "train"))
        sold = "yes" if terms.commercial else "no"
        lines.append(f"| {name} | {n:,} | {' | '.join(drawn)} | {terms.licence} | {sold} |")
    return [*lines, "", WRITTEN]


def training() -> list[str]:
    """The logs of the run, condensed: a line a round."""
    logs = sorted(Path("build").glob(LOGS))
    if not logs:
        return [f"No log of the run lies in `build/{LOGS}`."]
    lines = [
        "Loss over the drawn rows and mean macro-F1 over the sets' `dev` samples after each round "
        "(the log of `emotion train text`):",
        "",
        "| stage | round | loss | `dev` macro-F1 | s |",
        "|---|---|---|---|---|",
    ]
    whole = "\n".join(log.read_text() for log in logs)
    return [*lines, *(f"| {' | '.join(of_round)} |" for of_round in rounds(whole))]


STAGE = re.compile(r"(\w+): [\d,]+ parameters, [\d.]+% of them trained")
ROUND = re.compile(r"epoch (\d+): loss ([\d.]+), validation ([\d.]+) \(best [\d.]+\), (\d+) s")


def rounds(log: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Stage, number, loss, figure on `dev` and seconds of each round in a log of training."""
    stage = ""
    for line in re.split(r"[\r\n]+", log):
        if found := STAGE.match(line):
            stage = found[1]
        elif found := ROUND.match(line):
            number, loss, figure, seconds = found.groups()
            yield stage, number, loss, figure, seconds


def figures(path: Path) -> list[str]:
    """By set, language and kind, and of the weights that may be sold beside them."""
    found = {name: texts.judged(name, path) for name in texts.HEAD_OF}
    taught = {
        name: texts.baseline(name)
        for name in texts.WHOLE
        if name not in (*texts.FOREIGN, texts.CONTRASTS)
    }
    own = {name: found[name][head] for name, head in texts.HEAD_OF.items()}
    return [
        *_sets(found, taught),
        "",
        *_languages(own),
        "",
        *_kinds(own["written"], taught["written"]),
        "",
        *_beside(path),
    ]


def _sets(
    found: Mapping[str, Mapping[str, Classified]], taught: Mapping[str, Baseline]
) -> list[str]:
    foreign = texts.foreign_baselines()
    lines = [
        "By `make acceptance ISSUE=text` and `emotion evaluate text --data SET --baseline`, on "
        f"`test`, turns of dialogues with what was said before them; of {', '.join(texts.SAMPLED)} "
        f"at most {texts.MOST:,} rows in languages that are read (seed {texts.SEED}), of "
        f"{texts.SUPPORT} the customers' sentences, of {texts.RAILWAY} posts on "
        f"{' and '.join(texts.POSTS)}. The answer is the likeliest of the classes that the rows "
        "have; what is not read counts as an even distribution. In brackets the baseline, "
        f"{NAME['text']}, trained on the set's `train`; for {' and '.join(texts.FOREIGN)}, of "
        "which nothing is trained on, on the training sets' rows (all in "
        f"{' and '.join(texts.FOREIGN_LANGUAGES)}, {texts.OTHERS:,} others).",
        "",
        "| set | head | classes | n | not read | accuracy | macro-F1 | weighted-F1 | UAR | ECE |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, of_head in found.items():
        for head, result in of_head.items():
            beside = None
            if head == texts.HEAD_OF[name]:
                beside = taught[name].figures if name in taught else foreign.get(name)
            lines.append(_row(name, head, result, vars(result.figures), beside))
            if name == "ewect" and head == "emotion":
                parts = class_slices("text", result.rows, result.truth, result.answer)["source"]
                for source, of in parts.items():
                    theirs = taught[name].slices["source"][source]
                    lines.append(_row(f"{name}: {source}", head, result, of, theirs))
    contrasts = found[texts.CONTRASTS]["sentiment"]
    both = texts.contrasts_right(contrasts)
    return [*lines, "", f"Of the pairs of {texts.CONTRASTS} both are right in {both:.1%}."]


def _row(
    title: str,
    head: str,
    result: Classified,
    of: Mapping[str, float],
    beside: Mapping[str, float | None] | None,
) -> str:
    cells = [f"{of[name]:.3f}" for name in FIGURES]
    if beside is not None:
        cells = [f"{c} ({beside[name]:.3f})" for c, name in zip(cells, FIGURES, strict=True)]
    whole = of["n"] == result.figures.n
    refused, ece = (str(texts.refused(result)), f"{of['ece']:.3f}") if whole else ("", "")
    classes = len(result.figures.classes)
    return f"| {title} | {head} | {classes} | {of['n']} | {refused} | {' | '.join(cells)} | {ece} |"


def _languages(own: Mapping[str, Classified]) -> list[str]:
    """Each language's figures on the written messages and on the other sets that have it."""
    lines = [
        "By language: macro-F1 over three sentiments of the written messages, and the figure of "
        f"each other set with {FEWEST} rows or more (n in brackets):",
        "",
        "| language | written | other sets |",
        "|---|---|---|",
    ]
    for language in LANGUAGES:
        cells = {}
        for name, result in own.items():
            mask = texts.by_language(result) == language
            if mask.sum() < (1 if name == "written" else FEWEST):
                continue
            metric = texts.metric_of(name)
            figure = answer_figures(result.truth[mask], result.answer[mask])[metric]
            cells[name] = f"{figure:.3f} ({int(mask.sum())})"
        written = cells.pop("written", "–")
        others = ", ".join(f"{name} {cell}" for name, cell in cells.items()) or "–"
        lines.append(f"| {language} | {written} | {others} |")
    return lines


def _kinds(result: Classified, taught: Baseline) -> list[str]:
    found = class_slices("text", result.rows, result.truth, result.answer)["kind"]
    lines = [
        "The written messages by kind (`emotion evaluate text --data written`), macro-F1 over "
        "three sentiments, the baseline's in brackets:",
        "",
        "| kind | n | macro-F1 |",
        "|---|---|---|",
    ]
    for kind, of in found.items():
        theirs = taught.slices["kind"][kind]["macro_f1"]
        lines.append(f"| {kind} | {of['n']} | {of['macro_f1']:.3f} ({theirs:.3f}) |")
    return lines


def _beside(path: Path) -> list[str]:
    if not PERMISSIVE.exists():
        return [f"No weights that may be sold lie at `{PERMISSIVE}`."]
    lines = [
        "Weights trained only on sets whose terms allow commercial use, beside these, on the same "
        f"rows ({texts.COMPARED:,} of a set at most, {' and '.join(texts.DECISIVE)} whole):",
        "",
        "| set | figure | n | these | may be sold |",
        "|---|---|---|---|---|",
    ]
    for name in texts.WHOLE:
        ours, theirs = texts.beside(texts.judged(name, path)[texts.WHOLE[name]], PERMISSIVE)
        masks = {name: np.ones(len(ours.rows), bool)}
        if name == "written":
            of_row = texts.by_language(ours)
            masks |= {f"written: {one}": of_row == one for one in ("en", "zh")}
        metric = texts.metric_of(name)
        for title, mask in masks.items():
            cells = [
                f"{answer_figures(one.truth[mask], one.answer[mask])[metric]:.3f}"
                for one in (ours, theirs)
            ]
            lines.append(f"| {title} | {metric} | {int(mask.sum())} | {' | '.join(cells)} |")
    return lines
