"""The project's own messages and conversations: what their columns hold, that nothing of a test
stands in training, and that no two messages are alike."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import groupby

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from modalities.reading import EMOTIONS, SENTIMENT_OF, SENTIMENTS
from modalities.text.language import LANGUAGES
from training.checks import prepare
from training.data import WRITTEN, read_table
from training.hashes import normalised

MESSAGES, TURNS = (read_table(WRITTEN[name]) for name in ("written", "written_turns"))
BOTH = pytest.mark.parametrize("rows", [MESSAGES, TURNS], ids=["messages", "turns"])
TOPICS = {
    *("airline", "bank", "delivery", "shop", "software", "telecom", "utility"),
    *("hotel", "health"),
}
MORE_TOPICS = {  # of messages alone
    *("insurance", "restaurant", "gym", "government", "education", "cars", "housing", "taxi"),
    *("gaming", "repairs", "travel", "tickets", "streaming", "hosting", "phones", "smarthome"),
    *("supermarket", "fashion", "furniture", "cosmetics", "trains", "rental", "parking", "bikes"),
    *("pension", "payments", "mortgage", "property", "post"),
}
TEST_TOPICS = {"hotel", "health"}
KINDS = {
    *("agent", "courtesy", "emoji", "leaving", "mixed", "negation", "plain", "question", "sarcasm"),
    *("short", "thanks", "transcript", "trouble", "turn", "wrapped"),
}
UNSPACED = ("zh", "ja", "ko", "th")
LEAST_WORDS = 5  # what is said in fewer can hardly be said in others

Rows = list[dict[str, str]]


@BOTH
def test_every_row_is_whole_and_of_what_the_columns_may_say(rows: Rows) -> None:
    assert all(None not in row and None not in row.values() for row in rows)  # as many fields
    for row in rows:
        assert (
            row["text"].strip()
            and row["lang"] in LANGUAGES
            and row["topic"] in TOPICS | MORE_TOPICS
        )
        assert row["speaker"] in ("customer", "agent") and row["split"] in ("train", "dev", "test")
        assert row["label"] in {*EMOTIONS, *SENTIMENTS, "other"}
        # A strength of 0 is neutral, 1 to 3 are how strongly it is the other two.
        if row["label"] == "other":
            assert (row["sentiment"], row["strength"]) == ("", "")
        else:
            assert row["sentiment"] in SENTIMENTS and row["strength"] in tuple("0123")
        if row["strength"] == "0":
            assert row["sentiment"] == "neutral"
        assert row["sentiment"] == SENTIMENT_OF.get(row["label"], row["sentiment"])


@BOTH
def test_topics_of_the_test_are_in_no_other_split(rows: Rows) -> None:
    assert {row["topic"] for row in rows if row["split"] == "test"} == TEST_TOPICS
    assert not [row for row in rows if row["topic"] in TEST_TOPICS and row["split"] != "test"]
    assert {row["topic"] for row in rows} - MORE_TOPICS == TOPICS


@BOTH
def test_english_and_chinese_are_most_and_ten_languages_are_there(rows: Rows) -> None:
    count = Counter(row["lang"] for row in rows)
    assert {language for language, _ in count.most_common(2)} == {"en", "zh"}
    assert count.keys() == set(LANGUAGES) - {"th"}
    assert min(count.values()) > 80


@BOTH
def test_every_split_has_every_sentiment_and_both_languages(rows: Rows) -> None:
    found = {(row["split"], row["sentiment"], row["lang"]) for row in rows}
    wanted = {
        (split, sentiment, language)
        for split in ("train", "dev", "test")
        for sentiment in SENTIMENTS
        for language in ("en", "zh")
    }
    assert wanted <= found


def test_messages_are_told_apart_by_id_and_kind() -> None:
    assert len({row["id"] for row in MESSAGES}) == len(MESSAGES)
    assert {row["kind"] for row in MESSAGES} == KINDS
    assert all((row["kind"] == "agent") == (row["speaker"] == "agent") for row in MESSAGES)


@pytest.mark.parametrize("kind", ["courtesy", "thanks", "negation", "sarcasm", "question", "agent"])
def test_a_kind_has_more_than_one_sentiment(kind: str) -> None:
    """So that neither a courteous word nor a question mark nor the side gives it away."""
    count = Counter(row["sentiment"] for row in MESSAGES if row["kind"] == kind)
    assert len(count) > 1 and max(count.values()) < 0.85 * count.total()


def test_pairs_are_in_one_split_and_say_different_things() -> None:
    pairs = defaultdict(list)
    for row in MESSAGES:
        if row["pair"]:
            pairs[row["pair"]].append(row)
    assert len(pairs) > 2000
    assert all(len({row["split"] for row in pair}) == 1 for pair in pairs.values())
    assert all(len({row["lang"] for row in pair}) == 1 for pair in pairs.values())
    several = [pair for pair in pairs.values() if len(pair) > 1]
    assert all(len({row["text"] for row in pair}) == len(pair) for pair in several)
    differ = [pair for pair in several if len({row["sentiment"] for row in pair}) > 1]
    assert len(differ) > 0.8 * len(several)


def test_a_conversation_is_whole_in_one_split_and_has_one_end() -> None:
    dialogues = defaultdict(list)
    for row in TURNS:
        dialogues[row["dialogue"]].append(row)
    assert len(dialogues) > 700
    runs = [key for key, _ in groupby(row["dialogue"] for row in TURNS)]
    assert len(runs) == len(dialogues)  # its turns stand one below the other
    for turns in dialogues.values():
        assert [int(row["turn"]) for row in turns] == list(range(len(turns)))
        for column in ("split", "lang", "topic", "satisfaction"):
            assert len({row[column] for row in turns}) == 1
        assert {row["speaker"] for row in turns} == {"customer", "agent"}
        assert turns[0]["satisfaction"] in ("-2", "-1", "0", "1", "2")


def test_how_a_conversation_ends_is_not_how_it_begins() -> None:
    """Satisfied and dissatisfied customers begin with a complaint or without a mood alike."""
    first = Counter((row["satisfaction"], row["sentiment"]) for row in TURNS if row["turn"] == "0")
    for satisfaction in ("-2", "2"):
        assert first[satisfaction, "negative"] > 20 and first[satisfaction, "neutral"] > 20


def test_no_text_of_a_sentence_is_in_two_splits() -> None:
    splits = defaultdict(set)
    for row in (*MESSAGES, *TURNS):
        if len(words(row)) >= LEAST_WORDS:
            splits[normalised(row["text"])].add(row["split"])
    assert [text for text, found in splits.items() if len(found) > 1] == []


def test_what_is_learned_from_holds_no_text_of_another_split() -> None:
    """ "Yes." is said in many conversations; training leaves it to the last of them."""
    rows = prepare("text", ["written", "written_turns"]).rows
    splits = defaultdict(set)
    for row in rows:
        splits[normalised(row.content)].add(row.split)
    assert all(len(found) == 1 for found in splits.values())


@pytest.mark.parametrize("language", sorted({row["lang"] for row in MESSAGES}))
def test_no_two_messages_share_more_than_half_of_their_words(language: str) -> None:
    rows = [row for row in MESSAGES if row["lang"] == language]
    sets = [words(row) for row in rows]
    places: dict[str, int] = {}
    columns = [places.setdefault(word, len(places)) for found in sets for word in sorted(found)]
    sizes = np.array([len(found) for found in sets])
    shape = (len(rows), len(places))
    held = csr_matrix((np.ones(len(columns)), columns, np.cumsum([0, *sizes])), shape)
    shared = (held @ held.T).tocoo()  # (n, n)
    one, other = shared.row, shared.col
    jaccard = shared.data / (sizes[one] + sizes[other] - shared.data)
    alike = (one < other) & (jaccard > 0.5) & (np.minimum(sizes[one], sizes[other]) >= LEAST_WORDS)
    pairs = zip(one[alike], other[alike], strict=True)
    assert [(rows[i]["text"], rows[j]["text"]) for i, j in pairs] == []


def words(row: dict[str, str]) -> set[str]:
    """Of a message; pairs of characters where a language has no spaces."""
    text = re.sub(r"<[^<>]+>", " ", row["text"].casefold())
    if row["lang"] not in UNSPACED:
        return set(re.findall(r"\w+", text))
    letters = "".join(re.findall(r"\w", text))
    return {letters[i : i + 2] for i in range(len(letters) - 1)} or {letters}
