from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fusion.satisfaction import (
    PANEL,
    READER,
    SatisfactionDimensions,
    SatisfactionHead,
    Turn,
    dense_features,
    n_gram_features,
)

DIMS = SatisfactionDimensions(n_embedding=4, n_buckets=1 << 10)


def turn(text: str, *, positive: float = 1 / 3, from_customer: bool = True) -> Turn:
    sentiment = np.log([positive, (1 - positive) / 2, (1 - positive) / 2])
    estimate = np.concatenate([sentiment, np.log(np.full(7, 1 / 7))]).astype(np.float32)
    return Turn(from_customer, text, estimate, np.full(4, len(text), np.float32))


def head(
    dense: np.ndarray | None = None,
    n_grams: np.ndarray | None = None,
    bias: tuple[float, float, float] = (0.25, 0.25, -1),
) -> SatisfactionHead:
    none = (np.zeros((3, DIMS.n_dense)), np.zeros((3, DIMS.n_slots, DIMS.n_buckets)))
    return SatisfactionHead(
        DIMS,
        none[0] if dense is None else dense,
        none[1] if n_grams is None else n_grams,
        np.array(bias, np.float64),
        text_revision="abc",
    )


def test_dense_features_hold_each_sides_messages_in_their_slots() -> None:
    turns = [turn("a"), turn("bcd", from_customer=False), turn("ef")]
    dense = dense_features(turns, DIMS)
    assert dense.shape == (DIMS.n_dense,)
    embeddings = dense[DIMS.is_embedding].reshape(5, 4)  # the texts' lengths
    assert embeddings[:, 0].tolist() == [1.5, 2, 1, 3, 3]
    assert dense[-5:] == pytest.approx(np.log([3, 2, 2.5, 3, np.e]))


def test_dense_features_tell_where_the_customers_score_went() -> None:
    turns = [turn("a", positive=0.1), turn("b", positive=0.9, from_customer=False)]
    turns += [turn("c", positive=0.7), turn("d", positive=0.5)]
    mean, least, most, last, first, *agent = dense_features(turns, DIMS)[-12:-5]
    assert (first, least) == pytest.approx((-0.35, -0.35))
    assert (mean, most, last) == pytest.approx((0.15, 0.55, 0.25))
    assert agent == pytest.approx([0.85, 0.85])


def test_a_silent_agent_is_zeros_and_a_silent_customer_is_refused() -> None:
    dense = dense_features([turn("a", positive=0.9)], DIMS)
    assert not dense[:-12].reshape(5, -1)[3:].any()
    assert not dense[-7:-5].any()
    with pytest.raises(ValueError, match="customer"):
        dense_features([turn("a", from_customer=False)], DIMS)


def test_n_grams_tell_the_sides_apart() -> None:
    ours = [turn("thank you"), turn("sorry", from_customer=False)]
    swapped = [turn("sorry"), turn("thank you", from_customer=False)]
    first, second = n_gram_features([ours, swapped], DIMS).toarray()
    assert first.shape == (3 * DIMS.n_buckets,)
    assert np.linalg.norm(first) == pytest.approx(3**0.5)
    assert not np.allclose(first, second)


def test_predictions_are_linear_bounded_and_alone_as_in_a_batch() -> None:
    weights = np.zeros((3, DIMS.n_dense))
    weights[PANEL, -12] = 2.0  # on the customer's mean score
    glad, sad = [turn("a", positive=0.9)], [turn("a", positive=0.02)]
    together = head(weights).predict([glad, sad])
    assert together[0] == 1.0  # 0.25 + 2 · 0.85, cut
    assert together[1] == pytest.approx(0.25 + 2 * (0.02 - 0.49), abs=1e-5)
    assert head(weights).predict([sad])[0] == together[1]


@pytest.mark.parametrize(
    ("kind", "answer"), [(-3, -0.25), (-1, -0.25), (0, 0.125), (0.5, 0.3125), (1, 0.5), (3, 0.5)]
)
def test_the_rater_of_the_conversations_kind_is_asked(kind: float, answer: float) -> None:
    assert head(bias=(-0.25, 0.5, kind)).predict([[turn("a")]]) == pytest.approx([answer])


def test_each_row_has_n_grams_of_its_own() -> None:
    turns = [turn("thank you"), turn("sorry", from_customer=False)]
    n_grams = np.zeros((3, DIMS.n_slots, DIMS.n_buckets))
    n_grams[READER, 2] = n_gram_features([turns], DIMS).toarray()[0, 2 * DIMS.n_buckets :] / 4
    panel, reader = (
        head(n_grams=n_grams, bias=(0, 0, kind)).predict([turns])[0] for kind in (-1, 1)
    )
    assert (panel, reader) == (0, pytest.approx(0.25))


def test_a_saved_head_answers_as_before(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    dense = generator.normal(0, 0.05, (3, DIMS.n_dense))
    made = head(dense, generator.normal(0, 0.05, (3, DIMS.n_slots, DIMS.n_buckets)))
    made.save(tmp_path / "satisfaction.safetensors")
    loaded = SatisfactionHead.load(tmp_path / "satisfaction.safetensors")
    turns = [[turn("hello there"), turn("bye", from_customer=False)]]
    assert loaded.predict(turns) == pytest.approx(made.predict(turns), abs=2e-3)  # fp16
    assert loaded.text_revision == "abc" and len(loaded.revision) == 12
