"""`emotion evaluate` on files made here."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from modalities.errors import InputError
from training.evaluation.cli import evaluate, lines_of, pair_summary, rounded
from training.fusion import PairFigures
from training.rows import Row

app = typer.Typer()
app.command()(evaluate)


def emotion(*arguments: object) -> Any:
    result = CliRunner().invoke(app, [*map(str, arguments), "--threads", "1"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if "--json" in arguments else result.stdout


def manifest(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_sentiment_names_ask_the_sentiment_head(tmp_path: Path, sentences: list[Row]) -> None:
    path = manifest(tmp_path / "m.csv", [{"text": r.content, "label": r.label} for r in sentences])
    found = emotion("text", "--data", path, "--json")
    assert (found["head"], found["n"], found["skipped"], found["split"]) == ("sentiment", 8, 0, "")
    assert found["classes"] == ["positive", "negative"]
    assert found["accuracy"] >= 0.75
    assert {"macro_f1", "weighted_f1", "uar", "ece", "brier", "trained"} <= set(found)
    opened = emotion("text", "--data", path, "--open", "--json")
    assert opened["classes"] == ["positive", "neutral", "negative"]
    assert opened["accuracy"] <= found["accuracy"]


def test_emotion_names_ask_the_emotion_head_first(tmp_path: Path) -> None:
    labels = ("anger", "joy", "sadness", "anger|joy")
    texts = ("I am so angry!", "What a happy day", "I cried all night", "Both at once")
    rows = [{"text": t, "label": la} for t, la in zip(texts, labels, strict=True)]
    found = emotion("text", "--data", manifest(tmp_path / "m.csv", rows), "--json")
    assert (found["head"], found["n"]) == ("emotion", 3)
    assert (found["skipped"], found["multi_label"], found["unmapped"]) == (1, 1, 0)
    assert found["classes"] == ["happy", "angry", "sad"]
    assert found["sentiment"]["classes"] == ["positive", "negative"]


def test_numbers_ask_for_the_score(tmp_path: Path, sentences: list[Row]) -> None:
    rows = [
        {"text": r.content, "label": "5" if r.label == "positive" else "1.5"} for r in sentences
    ]
    found = emotion("text", "--data", manifest(tmp_path / "m.csv", rows), "--json")
    assert (found["head"], found["n"]) == ("rating", 8)
    assert found["spearman"] > 0.5
    assert found["pearson"] > 0.5


def test_dialogues_are_judged_by_the_customers_side(tmp_path: Path, sentences: list[Row]) -> None:
    dialogues = [
        {
            "id": i,
            "turns": [
                ["customer", [row.content]],
                ["helpdesk", ["好的 thanks great" if row.label == "negative" else "不行 bad"]],
                ["customer", ["  "]],
            ],
            "satisfaction_mean": 1.0 + i / 100 if row.label == "positive" else -1.0 - i / 100,
        }
        for i, row in enumerate(sentences)
    ]
    path = tmp_path / "dialogues.json"
    path.write_text(json.dumps(dialogues))
    found = emotion("text", "--data", path, "--json")
    plain = found if found["head"] == "rating" else found["rating"]
    assert plain["n"] == 8
    assert plain["pearson"] > 0.5
    dialogues[2]["turns"] = []
    path.write_text(json.dumps(dialogues))
    with pytest.raises(InputError, match="dialogue 3"):
        emotion("text", "--data", path)


def test_everything_at_once(tmp_path: Path, sentences: list[Row]) -> None:
    rows = [
        {"text": f"{r.content} {i}", "label": r.label, "split": split}
        for split in ("train", "test")
        for i, r in enumerate(sentences)
    ]
    path, report = manifest(tmp_path / "m.csv", rows), tmp_path / "report.html"
    asked = ("--baseline", "--robustness", "--bias", "--report", report)
    found = emotion("text", "--data", path, *asked, "--json")
    assert found["n"] == 8
    assert found["difference"]["accuracy"] == pytest.approx(
        found["accuracy"] - found["baseline"]["accuracy"], abs=1e-3
    )
    assert "typos 5 %" in found["robustness"]
    assert "gender, zh" in found["bias"]
    assert report.read_text().startswith("<!doctype html>")
    plain = emotion("text", "--data", path, "--baseline")
    assert "baseline" in plain and "macro_f1" in plain


def test_what_cannot_be_judged_is_told(tmp_path: Path, sentences: list[Row]) -> None:
    rows = [{"text": r.content, "label": r.label} for r in sentences]
    path = manifest(tmp_path / "m.csv", rows)
    with pytest.raises(InputError, match="train rows"):
        emotion("text", "--data", path, "--baseline")
    with pytest.raises(InputError, match="words to swap"):
        emotion("voice", "--data", path, "--bias")
    with pytest.raises(InputError, match="composes"):
        emotion("fusion", "--data", path)
    with pytest.raises(InputError, match="no manifest"):
        emotion("text", "--data", "nosuch")


def test_a_set_of_the_data(data: Path) -> None:
    found = emotion("text", "--data", "waimai", "--json")
    assert (found["set"], found["split"], found["head"]) == ("waimai", "test", "sentiment")
    assert found["n"] == 1185
    assert found["accuracy"] > 0.8


def test_pairs_are_summed_up_in_one_object() -> None:
    pairs = [
        PairFigures(("text", "voice"), 0.0, 10, 0.8, {"mean": 0.7, "best": 0.75}, 0.02, 0.6, 0.1),
        PairFigures(("text", "vision"), 0.3, 30, 0.6, {"mean": 0.7, "best": 0.5}, 0.04, 0.6, 0.1),
    ]
    found = rounded(pair_summary(pairs, "test"))
    assert (found["n"], found["macro_f1"], found["ece"]) == (40, 0.7, 0.03)
    assert [pair["margin"] for pair in found["results"]] == [0.05, -0.1]


def test_slices_are_told() -> None:
    of_kind = {"sarcasm": {"n": 101, "macro_f1": 0.5}, "thanks": {"n": 99, "macro_f1": 0.75}}
    found = {"set": "written", "split": "test", "head": "sentiment", "n": 200, "skipped": 0}
    lines = lines_of({**found, "trained": 0, "macro_f1": 0.6, "slices": {"kind": of_kind}})
    assert "  macro_f1 by kind: sarcasm 0.5000 (101), thanks 0.7500 (99)" in lines
