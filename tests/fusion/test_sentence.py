from __future__ import annotations

from dataclasses import fields

import pytest

from fusion.sentence import NAMES, WEAK, Said, sentence
from modalities.reading import Quality, Source

TEXT = Said(Source.TEXT, -0.71, 0.91, "")


def test_each_part_says_what_it_said_and_all_but_the_main_how_much_they_count() -> None:
    noisy = Said(Source.VOICE, 0.2, 0.09, "snr_db")
    found = "text −.71, voice +.20 (noisy, counts 9 %) → −.62"
    assert sentence([noisy, TEXT], -0.62) == sentence([TEXT, noisy], -0.62) == found


def test_a_score_beyond_its_parts_says_why() -> None:
    voice = Said(Source.VOICE, -0.5, 0.4, "")
    agreeing = sentence([Said(Source.TEXT, -0.6, 0.6, "characters"), voice], -0.78)
    assert agreeing == "text −.60 (short), voice −.50 (counts 40 %) → −.78, for they agree"


def test_one_alone_is_its_own_score() -> None:
    assert sentence([Said(Source.VISION, 1.0, 1.0, "")], 1.0) == "pictures +1.00 alone"
    assert sentence([Said(Source.TEXT, -0.004, 1.0, "")], -0.004) == "text .00 alone"


def test_every_source_and_quality_has_a_word() -> None:
    assert set(NAMES) == {*Source}
    assert set(WEAK) == {field.name for field in fields(Quality)}


def test_nobody_said_nothing() -> None:
    with pytest.raises(ValueError, match="no source"):
        sentence([], 0.0)
