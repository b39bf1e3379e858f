"""What the text recipe learns from: windows with labels, drawn, weighed and batched."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from tiny_text import tiny_text_model, tiny_tokenizer

from modalities.reading import EMOTIONS, SENTIMENTS
from modalities.text.prepare import Turn, Window
from training.rows import Row
from training.text_examples import (
    ALONE,
    BATCH_TOKENS,
    Example,
    batches,
    class_weights,
    draw,
    examples,
    labels,
    labels_said,
    length_buckets,
    sample,
)

WORDS = ("late again", "thank you", "where is it")
ALL = ((True,) * len(SENTIMENTS), (True,) * len(EMOTIONS))


def example(
    data_set: str = "a", emotion: int = 1, sentiment: int = 0, n_tokens: int = 5, after: int = 0
) -> Example:
    alone = Window((0,) * n_tokens)
    behind = Window((0,) * (n_tokens + after), after) if after else None
    return Example(data_set, alone, behind, ALL, sentiment, emotion)


def test_a_set_says_what_its_labels_say() -> None:
    rows = [
        Row("moods", "x", "train", "joy", "happy", "positive"),
        Row("moods", "x", "test", "anger", "angry", "negative"),
        Row("moods", "x", "train", "joy|anger"),
        Row("stars", "x", "train", "neg", None, "negative"),
        Row("stars", "x", "train", "pos", None, "positive"),
        Row("none", "x", "train", "other"),
    ]
    said = labels_said(rows)
    happy_or_angry = tuple(emotion in ("happy", "angry") for emotion in EMOTIONS)
    no_neutral = (True, False, True)
    assert SENTIMENTS == ("positive", "neutral", "negative")
    assert said == {
        "moods": (no_neutral, happy_or_angry),
        "stars": (no_neutral, ALL[1]),
        "none": ALL,
    }


def test_neutral_reviews_are_no_neutral_emotion() -> None:
    rows = [Row("stars", "x", "train", "neutral", None, "neutral")]
    assert labels_said(rows)["stars"] == ((False, True, False), ALL[1])


def test_rows_with_a_label_that_can_be_read_become_windows() -> None:
    tokenizer = tiny_tokenizer(WORDS)
    dims = tiny_text_model(tokenizer).dims
    before = (Turn(False, "where is it"),)
    rows = [
        Row("a", "late again", "train", "angry", "angry", "negative", before=before),
        Row("a", "thank you", "train", "happy", "happy", "positive"),
        Row("a", "where is it", "train", "?"),
        Row("a", "ψψψ ψψψ", "train", "angry", "angry", "negative"),
        Row("a", "<br>", "train", "angry", "angry", "negative"),
        Row("a", "late again " * 100, "train", "negative", None, "negative"),
    ]
    first, second, last = examples(rows, labels_said(rows), tokenizer, dims)
    assert first.after is not None and first.after.ids[1] == dims.other_id
    assert first.after.ids[first.after.start :] == first.alone.ids[1:]
    assert (first.alone.start, second.after) == (0, None)
    assert (SENTIMENTS[first.sentiment], EMOTIONS[first.emotion]) == ("negative", "angry")
    assert (second.sentiment, second.emotion, last.emotion) == (0, EMOTIONS.index("happy"), -1)
    assert len(last.alone.ids) <= dims.n_ctx and last.sentiment == 2
    without = replace(dims, same_id=-1, other_id=-1)
    assert all(one.after is None for one in examples(rows, labels_said(rows), tokenizer, without))


@pytest.mark.parametrize("n", [1, 3, 5, 12])
def test_a_set_is_drawn_whole_before_any_row_comes_again(n: int) -> None:
    items = [example("a") for _ in range(5)] + [example("b") for _ in range(3)]
    drawn = [place for turn in range(10) for place in draw(items, {"a": n, "b": 0}, turn, seed=1)]
    assert len(drawn) == 10 * n and set(drawn) <= set(range(5))
    rounds = [drawn[first : first + 5] for first in range(0, len(drawn), 5)]
    assert all(len(set(one)) == len(one) for one in rounds)
    assert len({tuple(one) for one in rounds if len(one) == 5}) > len(rounds) // 3  # not one order


def test_what_is_not_counted_is_drawn_whole_and_a_seed_draws_the_same() -> None:
    items = [example("a") for _ in range(50)] + [example("b") for _ in range(30)]
    first = draw(items, {"a": 7}, 2, seed=1)
    assert Counter(items[place].data_set for place in first) == {"a": 7, "b": 30}
    assert sorted(first[7:]) == list(range(50, 80))
    assert draw(items, {"a": 7}, 2, seed=1) == first
    assert draw(items, {"a": 7}, 2, seed=2) != first
    assert set(draw(items, {"a": 7}, 3, seed=1)[:7]).isdisjoint(first[:7])


def test_turns_before_are_dropped_at_their_share() -> None:
    """Of turns that have any; what has none is always alone."""
    items = [example("a", after=6) for _ in range(3000)] + [example("b") for _ in range(50)]
    made = batches(items, {}, {}, turn=0, seed=1)
    starts = Counter(
        window.start > 0
        for batch in made
        for item, window in zip(batch.items, batch.windows, strict=True)
        if item.data_set == "a"
    )
    assert starts[False] / 3000 == pytest.approx(ALONE, abs=0.03)
    rest = [w for b in made for i, w in zip(b.items, b.windows, strict=True) if i.data_set == "b"]
    assert len(rest) == 50 and not any(window.start for window in rest)


def test_a_batch_holds_so_many_tokens_and_every_row_is_in_one() -> None:
    rng = random.Random(0)
    items = [example(n_tokens=rng.randint(3, 120)) for _ in range(700)]
    made = batches(items, class_weights(items), {}, turn=0, seed=1)
    padded = [len(batch.windows) * max(len(w.ids) for w in batch.windows) for batch in made]
    assert max(padded) <= BATCH_TOKENS
    assert sum(padded) < 1.1 * sum(len(item.alone.ids) for item in items)
    assert sorted(id(item) for batch in made for item in batch.items) == sorted(map(id, items))
    lengths = [len(batch.windows[0].ids) for batch in made]
    assert lengths != sorted(lengths)  # not the short ones first
    again = batches(items, class_weights(items), {}, turn=0, seed=1)
    assert [batch.windows for batch in again] == [batch.windows for batch in made]


def test_one_that_is_longer_than_a_batch_is_one_by_itself() -> None:
    made = length_buckets([9, 3, 4, 3], 8, random.Random(0))
    assert sorted(map(sorted, made)) == [[0], [1, 3], [2]]


def test_a_rare_class_counts_more_and_a_set_as_before() -> None:
    items = [example(emotion=0) for _ in range(90)] + [example(emotion=1) for _ in range(10)]
    items += [example(emotion=-1) for _ in range(5)]
    items += [example("b", emotion=0, sentiment=-1) for _ in range(7)]
    weights = class_weights(items)
    often, rarely = weights["a", "emotion", 0], weights["a", "emotion", 1]
    assert rarely / often == pytest.approx(3)  # the root of nine times as many
    assert (90 * often + 10 * rarely) / 100 == pytest.approx(1)
    assert weights["b", "emotion", 0] == weights["a", "sentiment", 0] == pytest.approx(1)
    assert weights.keys().isdisjoint({("a", "emotion", -1), ("b", "sentiment", -1)})
    (batch,) = batches([items[95]], weights, {}, turn=0, seed=1)
    assert [float(w) for w in batch.weights] == pytest.approx([1, rarely])
    (batch,) = batches([items[-1]], weights, {}, turn=0, seed=1)
    assert [float(w) for w in batch.weights] == pytest.approx([0, 1])  # it has no sentiment


def test_a_sample_is_of_every_set_and_the_same_each_time() -> None:
    items = [example("a", n_tokens=n) for n in range(3, 50)] + [example("b") for _ in range(2)]
    found = sample(items, 5, seed=3)
    assert Counter(item.data_set for item in found) == {"a": 5, "b": 2}
    assert sample(items, 5, seed=3) == found != sample(items, 5, seed=4)


def test_labels_are_targets_and_what_is_possible() -> None:
    said = ((True, False, True), tuple(emotion != "disgust" for emotion in EMOTIONS))
    items = [example(emotion=-1, sentiment=2), replace(example(), possible=said)]
    sentiment, emotion, of_sentiment, of_emotion = labels(items)
    assert (sentiment.tolist(), emotion.tolist()) == ([2, 0], [-1, 1])
    assert of_sentiment.tolist() == [[True] * 3, [True, False, True]]
    assert of_emotion[1].tolist() == list(said[1]) and of_emotion[0].all()
