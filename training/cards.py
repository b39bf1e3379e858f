"""Model cards: `weights/<part>.md`, prose from here, figures from `card_figures`."""

from __future__ import annotations

from pathlib import Path

import weights
from modalities import checkpoint
from training.card_figures import figures

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
        "The first of the four passes of pre-training had the learning rates of a schedule of six: "
        "`emotion train text` anew gives nearly these weights, not these.",
        "The encoder was trained on the first 128 tokens of a text; longer ones are read in "
        "windows.",
    ],
    "voice": [
        "Three of the four sets are acted; people who call a helpdesk act less.",
        "Few speakers were heard (39 in training): a voice unlike theirs is read worse.",
        "Happy and angry, both loud, are often taken for one another.",
        "URDU's test speakers have no clip of one of its four classes.",
        "How sure to be is learnt from few speakers: on easy sets (RAVDESS) it is less sure than "
        "it could be.",
        "The encoder was trained for 5 epochs and adds little to the functionals; on corpora never "
        "heard the model is weak: hold it against your own calls first.",
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
    lines += figures(part, path)
    lines += ["", "## Weak points", ""]
    lines += [f"- {point}" for point in WEAK[part]]
    lines += ["", "## Not for", "", NOT_FOR]
    card = path.with_suffix(".md")
    card.write_text("\n".join(lines) + "\n")
    return card
