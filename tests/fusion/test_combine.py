from __future__ import annotations

import numpy as np
import pytest

from fusion.combine import combine, recency
from modalities.reading import Quality, Reading, Source


def reading(negative: float, source: Source = Source.IMAGE_TEXT, characters: int = 5) -> Reading:
    rest = (1 - negative) / 2
    sentiment = np.log(np.array([rest, rest, negative], np.float32))
    emotions = np.log(np.full(7, 1 / 7, np.float32))
    quality = Quality(characters=characters, ocr_confidence=0.9)
    return Reading(source, sentiment, emotions, np.ones(3, np.float32), quality)


def test_one_reading_is_returned_as_it_is() -> None:
    only = reading(0.4)
    assert combine([only], recency(1)) is only


def test_the_result_is_a_distribution_between_its_parts_and_amounts_add_up() -> None:
    combined = combine([reading(0.2), reading(0.9, characters=7)], recency(2))
    assert np.exp(combined.log_sentiment).sum() == pytest.approx(1, abs=1e-5)
    assert 0.2 < np.exp(combined.log_sentiment[2]) < 0.9
    assert combined.quality.characters == 12
    assert combined.quality.ocr_confidence == pytest.approx(0.9)


def test_the_later_and_the_surer_message_weighs_more() -> None:
    last_negative = combine([reading(0.02), reading(0.9)], recency(2))
    first_negative = combine([reading(0.9), reading(0.02)], recency(2))
    assert last_negative.log_sentiment[2] > first_negative.log_sentiment[2]
    unsure = combine([reading(1 / 3), reading(0.95)], [1, 1])
    assert np.exp(unsure.log_sentiment[2]) > (1 / 3 + 0.95) / 2


def test_different_sources_and_nothing_are_refused() -> None:
    for readings in ([], [reading(0.5), reading(0.5, Source.TEXT)]):
        with pytest.raises(ValueError, match="one source"):
            combine(readings, recency(len(readings)))
