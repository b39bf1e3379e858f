"""The vocabulary of the shipped text model: which pieces stay, and what is unknown."""

from __future__ import annotations

import unicodedata
from collections import Counter

import numpy as np
import pytest
from tiny_text import tiny_tokenizer
from tokenizers import Tokenizer

import weights
from modalities import checkpoint
from training import vocabulary
from training.vocabulary import EMOJI_RANGES, is_read, kept, lacking_emoji

EMOJI = [
    chr(code)
    for first, last in EMOJI_RANGES
    for code in range(first, last + 1)
    if unicodedata.name(chr(code), "")
]
FRAME = 4  # <s>, <pad>, </s>, <unk>


@pytest.fixture(scope="module")
def shipped() -> Tokenizer:
    return Tokenizer.from_str(checkpoint.load(weights.path_of("text")).extra["tokenizer"])


@pytest.mark.parametrize(
    ("piece", "read"),
    [
        *((piece, True) for piece in ("▁the", "▁Straße", "▁été", "▁não", "▁don't", "▁è", "▁ñ")),
        *(
            (piece, True)
            for piece in ("我们", "▁ありがとう", "カード", "日本語の", "▁감사", "ㅋㅋ")
        ),
        *((piece, True) for piece in ("▁спасибо", "▁شكرا", "▁धन्यवाद", "ขอบคุณ")),
        *((piece, True) for piece in ("▁", "▁!!", "▁123", "❤", "…", "😡")),
        *((piece, False) for piece in ("▁γεια", "▁תודה", "გმადლობთ", "▁நன்றி", "▁ধন্যবাদ")),
        *((piece, False) for piece in ("▁teşekkür", "▁dziękuję", "▁người", "▁پاسخ", "▁ہے")),
        *((piece, False) for piece in ("▁aж", "我a", "한я")),
    ],
)
def test_a_piece_is_of_one_script_that_is_read_or_of_none(piece: str, read: bool) -> None:
    assert is_read(piece) is read


def test_kept_is_what_is_used_or_common_and_every_character() -> None:
    pieces = {  # and whether it stays, of scores that are common
        **dict.fromkeys(("<s>", "<pad>", "</s>", "<unk>"), True),
        **{"▁the": True, "▁unused": False, "▁Straße": False, "é": True, "你们": True, "▁12": True},
        **{"▁γεια": False, "γ": False, "": False},
    }
    used = Counter({list(pieces).index("▁the"): 3, list(pieces).index("▁γεια"): 9})
    common = np.full(len(pieces), -9.0, np.float32)
    found = kept([*pieces], common, used, range(FRAME))
    assert found == [at for at, stays in enumerate(pieces.values()) if stays]
    rare = kept([*pieces], common - 9, used, range(FRAME))
    assert [[*pieces][at] for at in rare[FRAME:]] == ["▁the", "é"]


def test_pieces_are_counted_as_texts_use_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "CHUNK", 2)
    tokenizer = tiny_tokenizer(["late again"])
    used = vocabulary.count(tokenizer, ["late", "late again", "again late late"])
    assert used[tokenizer.token_to_id("▁late")] == 4
    assert used[tokenizer.token_to_id("▁again")] == 2


def test_emoji_without_a_piece_come_once_with_their_name() -> None:
    found = dict(lacking_emoji(["😡", "▁ok"]))
    assert found.keys() == set(EMOJI) - {"😡"}
    assert found["👍"] == "thumbs up sign"
    assert len(list(lacking_emoji(["😡", "▁ok"]))) == len(found)


def test_every_emoji_of_the_ranges_is_one_known_token(shipped: Tokenizer) -> None:
    unknown = shipped.token_to_id("<unk>")
    for emoji in EMOJI:
        said = [i for i in shipped.encode(emoji).ids[1:-1] if shipped.id_to_token(i) != "▁"]
        assert len(said) == 1 and said[0] != unknown, emoji
        # In the middle of a text, too, and twice in a row.
        inside = shipped.encode(f"ok{emoji}{emoji}好").ids[1:-1]
        assert unknown not in inside and len(inside) == 4, emoji


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("👍🏽", "👍"),
        ("👍🏿👍🏻", "👍👍"),
        ("❤️", "❤"),
        ("❤\ufe0e", "❤"),
        ("☹️ ok", "☹ ok"),
        ("👨\u200d👩\u200d👧", "👨👩👧"),
        ("ＯＫ ｶｰﾄﾞ", "OK カード"),
        ("  two \t\n lines\u200b ", "two lines"),
    ],
)
def test_looks_that_say_nothing_vanish(shipped: Tokenizer, written: str, read: str) -> None:
    assert shipped.encode(written).ids == shipped.encode(read).ids


@pytest.mark.parametrize(
    "letters",
    ["αβγδεζηθ", "אבגדהוזח", "აბგდევზთ", "ஃஅஆஇஈஉஊ", "অআইঈউঊ", "ğşıłżőșț", "پچژگٹڈ", "ᚠᚢᚦᚨ"],
)
def test_letters_of_other_scripts_are_unknown(shipped: Tokenizer, letters: str) -> None:
    for letter in letters:
        found = {shipped.id_to_token(i) for i in shipped.encode(letter).ids[1:-1]}
        assert found - {"▁"} == {"<unk>"}, letter


def test_a_text_is_framed_and_its_offsets_are_its_own(shipped: Tokenizer) -> None:
    text = "Great, 太好了 👍🏽 cafe\u0301"
    encoding = shipped.encode(text)
    assert [encoding.tokens[0], encoding.tokens[-1]] == ["<s>", "</s>"]
    starts = [start for start, _ in encoding.offsets[1:-1]]
    assert starts == sorted(starts)
    assert {text[a:b].strip() for a, b in encoding.offsets[1:-1]} >= {"Great", ",", "好了", "👍"}


def test_the_list_of_pieces_is_what_the_shipped_model_has(shipped: Tokenizer) -> None:
    bits = np.unpackbits(np.load(vocabulary.PIECES))
    n_kept = int(bits.sum())
    vocabulary_of = shipped.get_vocab()
    pieces = sorted(vocabulary_of, key=vocabulary_of.__getitem__)
    assert bits[:FRAME].all() and pieces[:FRAME] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert [emoji for emoji, _ in lacking_emoji(pieces[:n_kept])] == pieces[n_kept:]
    assert all(is_read(piece) for piece in pieces[FRAME:])
