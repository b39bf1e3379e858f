"""The sets that weights are made of: each has terms, and those of the stages keep to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from modalities.errors import InputError
from training.cli import AllowedBy, _allowed
from training.rows import EVALUATED, SETS, sets_of
from training.sets import DRAWN, TERMS
from training.text import BEYOND_COMMERCIAL, STAGES

PARTS = ("text", "voice", "image")


def test_every_set_that_trains_has_terms() -> None:
    trains = {name for part in PARTS for name in sets_of(part)}
    assert trains | {"stickers"} == set(TERMS)
    assert {name for part in PARTS for name in SETS[part]} - trains == {*EVALUATED, "stickers"}
    assert all(terms.licence for terms in TERMS.values())


def test_what_is_not_for_commerce_is_in_the_last_stages_alone() -> None:
    assert list(STAGES) == ["general", "customers", *BEYOND_COMMERCIAL]
    assert DRAWN.keys() == set(sets_of("text"))
    for name, drawn in DRAWN.items():
        if not TERMS[name].commercial:
            assert (drawn.general, drawn.customers) == (0, 0), name
        assert min(drawn.everything, drawn.longer, drawn.broader) > 0
    assert any(drawn.general for drawn in DRAWN.values())
    assert DRAWN["written"].customers and DRAWN["written_turns"].customers


def test_permissive_terms_leave_the_sets_that_may_be_sold() -> None:
    left = _allowed(sets_of("text"), AllowedBy.PERMISSIVE)
    assert {"written", "written_turns", "goemotions", "cped"} <= set(left)
    assert all(TERMS[name].commercial for name in left)
    refused = set(sets_of("text")) - set(left)
    assert {"meld", "xdailydialog_en", "empathetic_situations", "ewect", "umsab"} <= refused
    assert _allowed(sets_of("text"), AllowedBy.ANY) == sets_of("text")


def test_a_manifest_is_its_owners_own(tmp_path: Path) -> None:
    mine = str(tmp_path / "mine.csv")
    assert _allowed([mine, "meld", "cped"], AllowedBy.PERMISSIVE) == [mine, "cped"]


@pytest.mark.parametrize("part", ["voice", "image"])
def test_where_no_set_may_be_sold_it_says_so(part: str) -> None:
    with pytest.raises(InputError, match="no set is left") as error:
        _allowed(sets_of(part), AllowedBy.PERMISSIVE)
    assert error.value.field == "terms"
