"""Model cards: `weights/<part>.md`, prose from here and every figure from `emotion evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import weights
from modalities import checkpoint
from training import data, fusion
from training.evaluation import baselines, judge
from training.evaluation.judge import Classified, Rated, Result
from training.evaluation.metrics import number_figures
from training.evaluation.slices import class_slices
from training.rows import sets_of

LICENCES = {
    "text": "EWECT, shopping, waimai and airline state no licence; CPED is Apache-2.0, GoEmotions "
    "Apache-2.0, MELD GPL-3, weibo_moods from an MIT repository.",
    "voice": "CASIA, RAVDESS and nEMO are for research or non-commercial use; URDU states none.",
    "image": "FER2013 and the stickers state no licence; the stickers are third-party memes.",
    "fusion": "Trained on readings of all of the above.",
    "satisfaction": "The helpdesk dialogues are for research.",
}
WHAT = {
    "text": "A small BERT with a sentiment and an emotion head, a wide path of hashed n-grams "
    "beside it, and its tokenizer; for Chinese and English messages, transcripts and the words in "
    "pictures.",
    "voice": "A small encoder of Whisper's architecture, and functionals of mel and pitch beside "
    "it: how speech sounds, not what is said. It has no decoder.",
    "image": "A small vision encoder for faces (found first, read in grey) and, weakly, stickers "
    "and other pictures.",
    "fusion": "The gated log-opinion pool over the sources that are present.",
    "satisfaction": "A ridge regression that reads a whole conversation: the messages' estimates "
    "and embeddings, and hashed character n-grams of either side.",
}
WEAK = {
    "text": [
        "Trained from scratch on posts, reviews, tweets and television dialogue: telephone "
        "transcripts and long formal complaints are foreign to it.",
        "Sarcasm, negation over some distance, and CPED's and MELD's dialogue turns, whose mood "
        "often lies in the turns before, are read poorly.",
        "The encoder was trained on the first 128 tokens of a text; longer ones are read in "
        "windows.",
        "waimai's labels trained nothing (its texts did): it is the unknown domain to try "
        "fine-tuning on.",
        "The file was made stage by stage while the code's bookkeeping changed; an unbroken rerun "
        "of `emotion train text` has not been done.",
    ],
    "voice": [
        "Three of the four sets are acted; people who call a helpdesk act less.",
        "Few speakers were heard (39 in training): a voice unlike theirs is read worse.",
        "Happy and angry, both loud, are often taken for one another.",
        "URDU's test speakers have no clip of one of its four classes.",
        "It is too sure of itself on new speakers: the few of `dev` that it is calibrated on are "
        "no measure of others.",
        "The encoder adds little to the functionals (mean dev UAR .580 without it, .5825 with it), "
        "and on corpora never heard the model is weak: hold it against your own calls first.",
    ],
    "image": [
        "48 × 48 grey faces, labelled by the crowd: fear, sad and neutral are often confused.",
        "Sticker moods are weak labels by category. The temperature of pictures without a face is "
        "fitted on the stickers of `dev`, those without a mood counted as asking for an even "
        "answer: such pictures say little by design, and are underconfident.",
        "Faces are found by OpenCV's cascade: tight 48 px crops often, small or turned faces in "
        "larger pictures less.",
    ],
    "fusion": [
        "The pairs are synthetic: items of one label from different sets, damaged at random.",
        "Transcript and OCR confidence in training are simulated from the damage done.",
    ],
    "satisfaction": [
        "One domain: a Chinese telecom and electronics helpdesk on Weibo, 2 to 7 turns, and its "
        "English translations. Of calls, shops and other languages it has seen nothing.",
        "It reads courtesies and promises of an agent literally.",
    ],
}
NOT_FOR = (
    "Decisions about a person without a person in between; reading employees' emotions at work "
    "(in the EU prohibited by the AI Act, Art. 5(1)(f)); diagnosis; lie detection. The weights "
    "follow their sets' terms: to sell a service, retrain on data you may use, with the same "
    "commands."
)
DIALOGUES = ("helpdesk_zh", "helpdesk_en")
FIGURES = ("accuracy", "macro_f1", "weighted_f1", "uar")


def write(part: str) -> Path:
    """Evaluate the embedded weights of `part` on every test split and write their card."""
    path = weights.path_of(part)
    saved = checkpoint.load(path)
    n_parameters = sum(tensor.numel() for tensor in saved.state.values())
    lines = [
        f"# Model card: {part}",
        "",
        WHAT[part],
        "",
        f"- File: `{path.name}`, {path.stat().st_size / 1e6:.1f} MB, SHA-256 "
        f"`{checkpoint.sha256(path)}`, {n_parameters:,} parameters, fp16.",
        f"- Dimensions: `{saved.dims}`",
        f"- Made by `emotion train {part}`: {saved.extra['recipe']}; on the `train` splits, chosen "
        "and calibrated on `dev`.",
        f"- Licences of the data: {LICENCES[part]}",
        "",
        "## Figures",
        "",
    ]
    if part == "fusion":
        lines += _fusion_figures()
    elif part == "satisfaction":
        lines += _satisfaction_figures()
    else:
        lines += _figures(part, path)
    lines += ["", "## Weak points", ""]
    lines += [f"- {point}" for point in WEAK[part]]
    lines += ["", "## Not for", "", NOT_FOR]
    card = path.with_suffix(".md")
    card.write_text("\n".join(lines) + "\n")
    return card


def _figures(part: str, path: Path) -> list[str]:
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
