from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
import pytest

from training.evaluation import metrics, report
from training.evaluation.cli import rounded
from training.evaluation.judge import Classified, rated
from training.evaluation.slices import slices
from training.rows import Row


def classified(rows: list[Row]) -> Classified:
    p = np.tile([[0.8, 0.2], [0.3, 0.7]], (len(rows) // 2, 1))
    truth = np.array([row.sentiment == "negative" for row in rows]).astype(int)
    figures = metrics.class_figures(p, truth, ["positive", "negative"])
    return Classified("sentiment", rows, p, truth, 0, 0, figures)


def test_one_file_with_everything_and_no_content(tmp_path: Path, sentences: list[Row]) -> None:
    rows = sentences * 10
    result = classified(rows)
    found = {
        "set": "a <b>", "split": "test", "trained": 3, **vars(result.figures),
        "slices": slices("text", result),
        "baseline": {"name": "simple", "accuracy": 0.25},
        "robustness": {"typos 5 %": {"accuracy": 0.5}},
    }  # fmt: skip
    path = tmp_path / "report.html"
    report.write(path, [found], [result])
    page = path.read_text()
    assert "a &lt;b&gt;" in page and "<b>" not in page
    assert "must not be published" in page
    for part in ("Confusion", "Reliability", "Risk", "By language", "By length", "typos", "simple"):
        assert part in page
    pictures = re.findall(r"data:image/png;base64,([^\"]+)", page)
    assert len(pictures) == 3
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)
    assert not re.search(r"(src|href)=\"?http", page)
    assert not any(row.content in page for row in rows)
    assert (
        "line 3" in page
    )  # a mistake by its line: the second row, positive, was answered negative


def test_ratings(tmp_path: Path) -> None:
    rows = [Row("x", str(i), "", "", rating=float(i)) for i in range(10)]
    result = rated("rating", rows, np.arange(10.0)[::-1])
    assert result.figures.spearman == pytest.approx(-1)
    path = tmp_path / "report.html"
    found = {"set": "x", "split": "", "n": 10, "spearman": -1.0, "slices": slices("text", result)}
    report.write(path, [found], [result])
    assert "Farthest apart" in path.read_text()


def test_slices_hold_their_own_figures(sentences: list[Row]) -> None:
    result = classified(sentences * 10)
    found = slices("text", result)
    assert set(found) == {"language", "length"}
    en, zh = found["language"]["en"], found["language"]["zh"]
    assert en["n"] + zh["n"] == 80
    assert (en["n"] * en["accuracy"] + zh["n"] * zh["accuracy"]) / 80 == pytest.approx(
        result.figures.accuracy
    )
    assert slices("text", classified(sentences)) == {}  # too few


def test_rounded() -> None:
    assert rounded({"a": (0.123456, [np.float64(1) / 3], None, 3)}) == {
        "a": [0.1235, [0.3333], None, 3]
    }
