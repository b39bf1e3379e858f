"""What is taken off a text before it is read, and that the rest knows where it came from."""

from __future__ import annotations

import time

import pytest
from tokenizers import Tokenizer

from modalities.text.clean import Cleaned, clean
from modalities.text.infer import TextReader


@pytest.fixture(scope="module")
def tokenizer(reader: TextReader) -> Tokenizer:
    return reader.tokenizer


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("<p>Hi</p><p>It is <b>broken</b>!</p>", "Hi It is broken!"),
        ("late<br/>again<BR>and lost", "late again and lost"),
        ("<style>p { color: red }</style><SCRIPT>run()</SCRIPT>Hello", "Hello"),
        ("<!DOCTYPE html><html><head><title>Mail</title></head><body>Hello</body>", "Hello"),
        ("<!-- from: outlook --><span style='color:red'>Hello</span>", "Hello"),
        ("No.<blockquote type=cite>Are you happy with us?</blockquote>", "No."),
        ("mine &lt; yours &amp;&amp; it&#39;s &eacute;t&eacute;", "mine < yours && it's été"),
        ("A&#x27;B&nbsp;C", "A'B C"),
        # No markup, only signs that look like it.
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("I <3 you, a <b", "I <3 you, a <b"),
        ("R&D, AT&T; &unknown; &notit; & so on", "R&D, AT&T; &unknown; &notit; & so on"),
    ],
)
def test_of_markup_the_words_are_left(tokenizer: Tokenizer, text: str, read: str) -> None:
    cleaned = clean(text, tokenizer)
    assert " ".join(cleaned.text.split()) == read
    check_origins(cleaned, text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("sooooo goooood", "so good"),
        ("Noooo waaaay", "No way"),
        ("I haaaate thiiis stuuuupid phone", "I hate this stupid phone"),
        ("muuuuy maaaal", "muy mal"),
        # Not letters that are drawn out, or scripts in which one stands for more than a sound.
        ("哈哈哈哈，太好了", "哈哈哈哈，太好了"),
        ("สวยยยย มากกกก", "สวยยยย มากกกก"),
        ("ㅋㅋㅋㅋ 좋아아아", "ㅋㅋㅋㅋ 좋아아아"),
        ("no!!!! 1000000 :))))", "no!!!! 1000000 :))))"),
        ("好好好好好", "好好好好好"),
        ("good, too, all, 88 feet", "good, too, all, 88 feet"),
        # Spelled with one letter thrice.
        ("www.example.com, WWW", "www.example.com, WWW"),
        ("part III, part iii, Louis XIII, XXX", "part III, part iii, Louis XIII, XXX"),
        ("SOOOO, nooo, iiii, wwwww", "SO, no, i, w"),
    ],
)
def test_stretched_words_are_spelled_as_usual(tokenizer: Tokenizer, text: str, read: str) -> None:
    cleaned = clean(text, tokenizer)
    assert cleaned.text == read
    check_origins(cleaned, text)


def check_origins(cleaned: Cleaned, text: str) -> None:
    """Each character left has a place in the text, in order, and is what stands there, but for
    what was put in another's place: line breaks of markup and what entities stand for."""
    assert len(cleaned.origins) == len(cleaned.text)
    assert list(cleaned.origins) == sorted(set(cleaned.origins))
    for character, at in zip(cleaned.text, cleaned.origins, strict=True):
        assert character == text[at] or (text[at], character) == ("<", "\n") or text[at] == "&"


def test_each_character_knows_its_place_in_the_callers_text(tokenizer: Tokenizer) -> None:
    text = "<p>Hi &amp; bye,</p>\nsoooo bad!\n> How was it?\n\nNo.\nSent from my phone"
    cleaned = clean(text, tokenizer)
    check_origins(cleaned, text)
    for word in ("Hi", "bye", "bad", "No."):
        start = cleaned.text.index(word)
        assert [cleaned.origins[start + i] for i in range(len(word))] == [
            text.index(word) + i for i in range(len(word))
        ]
    assert cleaned.origins[cleaned.text.index("&")] == text.index("&amp;")
    assert cleaned.text.split() == ["Hi", "&", "bye,", "so", "bad!", "No."]


def test_a_text_of_nothing_to_take_off_is_left_as_it_is(tokenizer: Tokenizer) -> None:
    text = "The parcel is late again, and nobody answers. 太慢了 😡"
    assert clean(text, tokenizer) == (text, range(len(text)))


@pytest.mark.parametrize(
    "text",
    [
        "天地玄黄宇宙洪荒" * 1250,
        "ab" * 5000,
        "aaab " * 2000,
        "a\n" * 5000,
        "> a\n" * 2500 + "b",
        "a\n" + "un " * 3000 + "z\nb",  # words of closing formulas
        "a\n" + "thanks\n" * 1400,
        "a\nam " + "schrieb " * 1250,  # words that introduce a quotation
        "<!--" * 2500,
        "<style>" * 1400,
    ],
    ids=lambda text: text[:8],
)
def test_a_text_made_to_be_slow_is_cleaned_at_once(tokenizer: Tokenizer, text: str) -> None:
    started = time.process_time()
    clean(text, tokenizer)
    assert time.process_time() - started < 1.5
