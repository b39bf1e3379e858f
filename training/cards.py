"""Model cards: `weights/<part>.md`, prose from here and every figure from `emotion evaluate`."""

from __future__ import annotations

from pathlib import Path

import weights
from modalities import checkpoint
from training import data, evaluate, fusion, voice

LICENCES = {
    "text": "EWECT, shopping, waimai and airline state no licence; CPED is Apache-2.0, GoEmotions "
    "Apache-2.0, MELD GPL-3, weibo_moods from an MIT repository.",
    "voice": "CASIA, RAVDESS and nEMO are for research or non-commercial use; URDU states none.",
    "image": "FER2013 and the stickers state no licence; the stickers are third-party memes.",
    "fusion": "Trained on readings of all of the above.",
}
WHAT = {
    "text": "A small BERT with a sentiment and an emotion head, and its tokenizer; for Chinese and "
    "English messages, transcripts and the words in pictures.",
    "voice": "A small encoder of Whisper's architecture with an emotion head: how speech sounds, "
    "not what is said. It has no decoder.",
    "image": "A small vision encoder for faces (found first, read in grey) and, weakly, stickers "
    "and other pictures.",
    "fusion": "The gated log-opinion pool over the sources that are present.",
}
WEAK = {
    "text": [
        "Trained from scratch on posts, reviews, tweets and television dialogue: telephone "
        "transcripts and long formal complaints are foreign to it.",
        "Sarcasm, negation over some distance, and CPED's and MELD's dialogue turns, whose mood "
        "often lies in the turns before, are read poorly.",
        "Only the first 96 tokens of a text were trained on; longer ones are read in windows.",
    ],
    "voice": [
        "Three of the four sets are acted; people who call a helpdesk act less.",
        "Few speakers were heard (39 in training): a voice unlike theirs is read worse.",
        "Happy and angry, both loud, are often taken for one another.",
        "URDU's test speakers have no clip of one of its four classes.",
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
}
NOT_FOR = (
    "Decisions about a person without a person in between; reading employees' emotions at work "
    "(in the EU prohibited by the AI Act, Art. 5(1)(f)); diagnosis; lie detection. The weights "
    "follow their sets' terms: to sell a service, retrain on data you may use, with the same "
    "commands."
)
TEST_SETS = {
    "text": [name for name in evaluate.TEXT_SETS if name != "weibo_moods"],  # it has no test split
    "voice": list(voice.SETS),
    "image": list(evaluate.IMAGE_SETS),
}


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
    lines += _fusion_figures() if part == "fusion" else _figures(part, path)
    lines += ["", "## Weak points", ""]
    lines += [f"- {point}" for point in WEAK[part]]
    lines += ["", "## Not for", "", NOT_FOR]
    card = path.with_suffix(".md")
    card.write_text("\n".join(lines) + "\n")
    return card


def _figures(part: str, path: Path) -> list[str]:
    lines = [
        f"By `emotion evaluate {part} --data SET`, on `test`: official, or of "
        f"`training/splits/SET.csv` (seed {data.SPLIT_SEED}), which keeps speakers and dialogues "
        "whole. The answer is the likeliest of the classes that the split has.",
        "",
        "| set | head | classes | n | accuracy | macro-F1 | weighted-F1 | UAR | ECE |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {f.head} | {len(f.classes)} | {f.n} | {f.accuracy:.3f} | {f.macro_f1:.3f} | "
        f"{f.weighted_f1:.3f} | {f.uar:.3f} | {f.ece:.3f} |"
        for name in TEST_SETS[part]
        for f in evaluate.evaluate(part, name, "test", path)
    ]
    splits = [name for name in TEST_SETS[part] if (data.SPLITS_DIR / f"{name}.csv").exists()]
    lines += [""] + [f"- `{name}.csv`: SHA-256 `{data.splits_sha256(name)}`" for name in splits]
    return lines


def _fusion_figures() -> list[str]:
    figures = fusion.evaluate(weights.FOLDER)
    scores = figures["macro_f1"]
    assert isinstance(scores, dict)
    return [
        f"By `emotion evaluate fusion`: {figures['n']} composed items of two or more sources, from "
        "`test` items; sentiment, macro-F1; in some the second source is of another class.",
        "",
        "| " + " | ".join(scores) + " |",
        "|" + "---|" * len(scores),
        "| " + " | ".join(f"{value:.3f}" for value in scores.values()) + " |",
        "",
        f"ECE of the fused confidence {figures['ece']:.3f}; "
        f"abstained on {figures['abstained']:.1%}.",
    ]
