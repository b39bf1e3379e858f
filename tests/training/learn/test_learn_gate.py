"""What the gate lets through and what it refuses, on answers of which the loss is known."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from modalities.reading import EMOTIONS
from training.data import read_table
from training.learn import gate, gate_sets
from training.rows import SETS, Row, load, sets_of

N = 2000
POSITIVE, NEGATIVE = len(EMOTIONS), len(EMOTIONS) + 2
FELT = ("sad", "angry", "fear")


def rows(gender: str = "") -> list[Row]:
    genders = ("female", "male") if gender else ("", "")
    return [Row("ab"[i % 2], str(i), "dev", "", gender=genders[i // 2 % 2]) for i in range(N)]


def answers(right: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.where(right, truth, POSITIVE + NEGATIVE - truth)


@pytest.fixture
def truth() -> np.ndarray:
    return np.random.default_rng(0).choice([POSITIVE, NEGATIVE], N)


def test_a_like_candidate_passes_and_a_better_one_too(truth: np.ndarray) -> None:
    before = answers(np.arange(N) % 10 != 0, truth)
    same = gate.compare(rows(), truth, before, before)
    assert same.passed
    assert (same.pooled.change, same.pooled.low, same.pooled.high) == (0, 0, 0)
    better = gate.compare(rows(), truth, before, truth)
    assert better.passed
    assert better.pooled.low > 5
    expected = 100 * f1_score(truth, before, average="macro")
    assert better.pooled.before == pytest.approx(expected, abs=1e-3)


def test_a_loss_is_refused_with_its_reason_and_the_set_that_loses(truth: np.ndarray) -> None:
    before = truth.copy()
    worse = np.arange(N) % 20 == 1  # a tenth of set b's
    report = gate.compare(rows(), truth, before, answers(~worse, truth))
    assert not report.passed
    assert any("pooled" in reason for reason in report.reasons)
    assert any(reason.startswith("b loses") for reason in report.reasons)
    assert not any(reason.startswith("a loses") for reason in report.reasons)
    (a, b) = report.sets
    assert a.change == 0
    assert b.low < b.change < b.high < 0


def test_what_is_worse_for_one_gender_is_refused_though_the_whole_gains(truth: np.ndarray) -> None:
    group = np.array([row.gender == "male" for row in rows("known")])
    wrong = np.random.default_rng(1).random(N) < 0.25
    report = gate.compare(
        rows("known"), truth, answers(~wrong, truth), answers(~wrong | group, truth)
    )
    assert report.pooled.change > 5
    assert [reason for reason in report.reasons if "gap by gender" in reason]
    assert len(report.reasons) == 1


def test_bounds_are_the_percentiles_of_a_paired_bootstrap(truth: np.ndarray) -> None:
    draw = np.random.default_rng(1)
    before, after = (answers(draw.random(N) < 0.9, truth) for _ in range(2))
    found = gate.compare(rows(), truth, before, after).pooled
    plain = []
    for _ in range(200):
        at = np.concatenate([draw.choice(np.arange(half, N, 2), N // 2) for half in (0, 1)])
        one, other = (f1_score(truth[at], a[at], average="macro") for a in (before, after))
        plain.append(100 * (other - one))
    assert (found.low, found.high) == pytest.approx(np.percentile(plain, (5, 95)), abs=0.4)


def test_a_set_is_asked_for_what_most_of_its_rows_have() -> None:
    # As KOTE: a text has several emotions at once, which agree on a sentiment, or hardly ever one.
    several = [Row("several", str(i), "dev", "", None, "negative") for i in range(9)]
    several += [Row("several", "9", "dev", "sad", "sad", "positive")]
    emotions = [Row("emotions", str(i), "dev", "", name, "negative") for i, name in enumerate(FELT)]
    truth, allowed = gate._asked([*several, *emotions])
    assert truth.tolist() == [NEGATIVE] * 9 + [POSITIVE] + [EMOTIONS.index(name) for name in FELT]
    assert np.flatnonzero(allowed[0]).tolist() == [POSITIVE, NEGATIVE]


@pytest.mark.parametrize("part", SETS)
def test_gate_sets_are_of_dev_alone_and_as_they_were_carved(part: str, data: Path) -> None:
    lines = read_table(gate_sets.path_of(part))
    ids = {(line["set"], line["id"]) for line in lines}
    assert len(ids) == len(lines)
    name = {"text": "waimai", "voice": "urdu", "image": "fer"}[part]
    found = load(part, name)
    in_gate, rest = gate_sets.divided(part, [row for row in found if row.split == "dev"])
    assert 0.6 < len(in_gate) / (len(in_gate) + len(rest)) < 0.7
    mine = {key for where, key in ids if where == name}
    assert mine == {gate_sets.key_of(row) for row in in_gate}


def test_no_set_outvotes_the_others_and_none_that_only_judges_is_in_the_gate() -> None:
    of_set = Counter(line["set"] for line in read_table(gate_sets.path_of("text")))
    assert max(of_set.values()) <= 1.01 * gate_sets.MOST_TEXTS
    assert of_set.keys() <= set(sets_of("text"))


def test_a_part_is_carved_the_same_again_and_never_over_what_is_there(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = gate_sets.path_of("voice")
    monkeypatch.setattr(gate_sets, "path_of", lambda part: tmp_path / f"{part}.csv")
    gate_sets.carve("voice")
    assert (tmp_path / "voice.csv").read_bytes() == frozen.read_bytes()
    with pytest.raises(FileExistsError):
        gate_sets.carve("voice")
