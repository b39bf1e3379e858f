"""The pieces of a hundred languages cut to those that are read here, and emoji added.

Kept is every piece of the scripts below that the training texts use, or that the base's own scores
call common, and every single character; of Latin script only the former, for its pieces are mostly
of languages that are not read. What is written otherwise is unknown, and stays so. Counted once
over all sets by `python -m training.vocabulary`, into pieces.npy: weights made of
some of the sets have the vocabulary of all.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from modalities.text.language import LANGUAGES

# Courtesy has no mood and teaches nothing here, but its texts are of languages that lack others.
COUNTED = ("holistic_politeness", "tydip", "stanford_politeness", "satisfaction")
PIECES = Path(__file__).parent / "pieces.npy"

LATIN = "a-zA-ZäöüßÄÖÜàâæçéèêëîïôœùûÿÀÂÆÇÉÈÊËÎÏÔŒÙÛŸáíóúñÁÍÓÚÑãõÃÕìòÌÒ'’-"
HAN = "\u3400-\u9fff\u3005\u3007"
SCRIPTS = tuple(
    re.compile(f"[{letters}]+")
    for letters in (
        HAN,
        f"\u3040-\u30ff\u31f0-\u31ff{HAN}",  # kana
        "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",  # Hangul
        "а-яёА-ЯЁ-",
        "\u0621-\u065f\u0640",  # Arabic, not Persian's or Urdu's own letters
        "\u0900-\u097f",  # Devanagari
        "\u0e00-\u0e7f",  # Thai
    )
)
LETTER = re.compile(r"[^\W\d_]")
LEAST_SCORE = -13.0  # of a piece that the training texts do not use
EMOJI_SCORE = -12.0
CHUNK = 5000

# Unicode's groups of faces, hearts, hands and gestures (emoji-test.txt), as code points.
EMOJI_RANGES = (
    (0x1F600, 0x1F64F), (0x1F910, 0x1F92F), (0x1F932, 0x1F932), (0x1F970, 0x1F97A),
    (0x1F9D0, 0x1F9D0), (0x1F9E1, 0x1F9E1), (0x1F90C, 0x1F90F), (0x1F91C, 0x1F91F),
    (0x1FAE0, 0x1FAE9), (0x1FAF0, 0x1FAF8), (0x1FA75, 0x1FA77), (0x1F442, 0x1F450),
    (0x1F446, 0x1F44F), (0x1F485, 0x1F485), (0x1F493, 0x1F49F), (0x1F4A2, 0x1F4A6),
    (0x1F4A8, 0x1F4AA), (0x1F4AF, 0x1F4AF), (0x1F479, 0x1F480), (0x1F494, 0x1F494),
    (0x1F525, 0x1F525), (0x1F389, 0x1F38A), (0x1F48B, 0x1F48B), (0x1F590, 0x1F590),
    (0x1F595, 0x1F596), (0x1F5A4, 0x1F5A4), (0x261D, 0x261D), (0x2620, 0x2620),
    (0x2639, 0x263A), (0x2763, 0x2764), (0x270A, 0x270D), (0x1F339, 0x1F339), (0x1F940, 0x1F940),
)  # fmt: skip
# What those say whose name in Unicode tells how they look.
SAYS = {
    "🤬": "furious angry swearing", "🖕": "insult fuck you",
    "💩": "shit crap", "🤢": "disgusted nausea",
    "🤮": "disgusting vomit", "🥳": "celebrating party happy",
    "🥺": "pleading please", "🥹": "grateful touched",
    "🥲": "smiling sad tear", "🙎": "upset annoyed", "🙍": "sad upset", "😾": "angry cat",
    "🫠": "embarrassed",
    "🫡": "respect yes", "🫶": "love thanks", "🫤": "unsure sceptical", "🤯": "shocked",
    "🥱": "bored tired",
    "🤍": "love heart", "🤎": "love heart", "🤐": "silent", "🤕": "hurt pain",
    "🥴": "dizzy confused",
    "🤌": "perfect", "🫰": "love money", "👹": "angry monster", "👺": "angry monster",
}  # fmt: skip
# Variation selectors, joiners and skin tones change how an emoji looks, not what it says.
LOOKS = "[\ufe0e\ufe0f\u200d\U0001f3fb-\U0001f3ff]"


def is_read(piece: str) -> bool:
    """Whether a piece, its leading "▁" apart, is of the scripts above or has no letter at all."""
    word = piece.replace("▁", "")
    return (
        not LETTER.search(word)
        or re.fullmatch(f"[{LATIN}]+", word) is not None
        or any(script.fullmatch(word) for script in SCRIPTS)
    )


def count(tokenizer: Tokenizer, texts: Sequence[str]) -> Counter[int]:
    """How often the texts use each piece."""
    found: Counter[int] = Counter()
    for first in range(0, len(texts), CHUNK):
        for encoding in tokenizer.encode_batch_fast(list(texts[first : first + CHUNK])):
            found.update(encoding.ids)
    return found


def kept(
    pieces: Sequence[str], scores: NDArray[np.float32], used: Counter[int], special: Sequence[int]
) -> list[int]:
    """Ids to keep, in order."""
    return [
        i
        for i, (piece, score) in enumerate(zip(pieces, scores.tolist(), strict=True))
        if i in special
        or (
            piece
            and is_read(piece)
            and (
                used[i] > 0
                or len(piece) == 1
                or (score > LEAST_SCORE and not re.search(f"[{LATIN[:-2]}]", piece))
            )
        )
    ]


def kept_pieces(n_pieces: int) -> list[int]:
    """The ids that the project keeps of the base's `n_pieces`, in order."""
    return np.flatnonzero(np.unpackbits(np.load(PIECES), count=n_pieces)).tolist()


def lacking_emoji(pieces: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Emoji of EMOJI_RANGES without a piece, and what they say in words."""
    known = set(pieces)
    for first, last in EMOJI_RANGES:
        for code in range(first, last + 1):
            name = unicodedata.name(chr(code), "")
            if chr(code) not in known and name:
                known.add(chr(code))
                yield chr(code), SAYS.get(chr(code), name.lower())


def tokenizer_of(
    pieces: Sequence[str], scores: Sequence[float], cls_id: int, sep_id: int, unk_id: int
) -> Tokenizer:
    """SentencePiece's Unigram over these pieces; a text is framed by <s> and </s>."""
    vocabulary = [
        (piece or f"<empty {i}>", score)
        for i, (piece, score) in enumerate(zip(pieces, scores, strict=True))
    ]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=unk_id, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(LOOKS), ""),
            normalizers.NFKC(),
            normalizers.Replace(Regex(r"[\s\x00-\x1f\x7f\u200b\ufeff]+"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", cls_id), ("</s>", sep_id)]
    )
    return tokenizer


def _texts() -> Iterator[str]:
    from training.data import data_dir, read_table, text_rows
    from training.sets import DRAWN

    for name in (*(name for name in DRAWN if not name.startswith("written")), *COUNTED):
        if name in COUNTED:
            rows = read_table(data_dir() / "text" / f"{name}.csv.gz")
        else:
            rows = [row for row in text_rows(name) if row["split"] != "test"]
        yield from (row["text"] for row in rows if row["lang"][:2] in LANGUAGES)


def main() -> None:
    """Write pieces.npy."""
    from training import e5

    base = e5.read(e5.fetch())
    whole = tokenizer_of(base.pieces, base.scores.tolist(), base.cls_id, base.sep_id, base.unk_id)
    ids = kept(base.pieces, base.scores, count(whole, list(_texts())), range(4))
    chosen = np.zeros(len(base.pieces), bool)
    chosen[ids] = True
    np.save(PIECES, np.packbits(chosen))
    print(f"{len(ids):,} of {len(base.pieces):,} pieces")


if __name__ == "__main__":
    main()
