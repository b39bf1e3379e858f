from __future__ import annotations

import pytest

import weights
from training.evaluation import bias
from training.rows import Row

GENDER = bias.AXES["gender"]


@pytest.mark.parametrize(
    ("language", "text", "other"),
    [
        ("en", "He told the man; she left.", "She told the woman; he left."),
        ("en", "The theme of the human brothers", "The theme of the human brothers"),
        ("zh", "他和其他人", "她和其他人"),
        ("zh", "女朋友说她来", "男朋友说他来"),
    ],
)
def test_words_are_exchanged_whole_and_all_at_once(language: str, text: str, other: str) -> None:
    assert bias.swap(text, GENDER[language]) == other
    assert bias.swap(other, GENDER[language]) == text


def test_groups() -> None:
    assert [bias.group_of(t, GENDER["en"]) for t in ("He is", "she is", "he or she")] == [1, -1, 0]


def test_every_axis_has_sentences_of_its_own() -> None:
    for languages in bias.AXES.values():
        for language, pairs in languages.items():
            held = [s for s in bias.SENTENCES[language] if bias.swap(s, pairs) != s]
            assert len(held) >= 4


def test_changes_of_the_embedded_weights(sentences: list[Row]) -> None:
    changes = {(c.axis, c.language): c for c in bias.bias(sentences, weights.path_of("text"))}
    assert len(changes) == 6
    assert (changes["gender", "zh"].rows, changes["gender", "en"].rows) == (1, 1)
    for change in changes.values():
        assert 0 <= abs(change.toward or 0) <= change.mean <= change.worst <= 2
        assert change.n > change.rows
    assert max(change.worst for change in changes.values()) > 0


def test_words_are_exchanged_in_texts_of_their_language_alone() -> None:
    said = {"de": "Mit dem Koffer stimmt etwas nicht.", "ja": "先生にありがとう", "": "I saw them."}
    rows = [Row("set", text, "", "", language=language) for language, text in said.items()]
    changes = bias.bias(rows, weights.path_of("text"))
    held = {(one.axis, one.language): one.rows for one in changes if one.rows}
    assert held == {("dialect", "en"): 1}
