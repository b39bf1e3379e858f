"""`emotion data`: a set's manifest, and the check of one."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from modalities.errors import InputError
from training.data_cli import data_app

CHECKED = "text,label,split\nI love it,joy,train\nI love IT,joy,dev\nfine,joy,dev\n"


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(data_app, [str(argument) for argument in arguments])


def test_a_manifest_names_files_relative_to_itself(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces.csv"
    result = _run("manifest", "stickers", "--out", out)
    assert (result.exit_code, result.output) == (0, f"wrote {out}: 1,433 rows\n")
    lines = out.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "file,label,sentiment,speaker,gender,language,dialogue,source,split"
    archive, _, member = lines[1].split(",")[0].partition("!")
    assert not Path(archive).is_absolute() and member.endswith(".jpg")
    assert (tmp_path / archive).samefile(data / "stickers" / "stickers.zip")
    result = _run("manifest", "moods")
    assert isinstance(result.exception, InputError) and "ewect" in str(result.exception)


def test_check_prints_each_problem_and_says_by_its_status_if_there_are_any(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(CHECKED, encoding="utf-8")
    result = _run("check", "text", path)
    # The only "joy" in train is a copy of one in dev, and does not count.
    assert result.exit_code == 1
    assert f"{path}:3: class happy has no item in train\n" in result.output

    path.write_text(CHECKED + "so good,joy,train\n", encoding="utf-8")
    result = _run("check", "text", path)
    summary = "3 rows to train on, 0 bad, 1 copies of rows in a later split\n"
    assert (result.exit_code, result.output) == (0, summary)

    path.write_text(CHECKED + "so good,joy,train\nodd,jjoy,train\n,joy,dev\n", encoding="utf-8")
    result = _run("check", "text", path)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{path}:6: unknown label 'jjoy'",
        f"{path}:7: no text",
        "3 rows to train on, 2 bad, 1 copies of rows in a later split",
    ]


def test_check_allows_shared_speakers_by_name(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("text,label,split,speaker\na,joy,train,ann\nb,joy,dev,ann\n", encoding="utf-8")
    assert "speaker 'ann' is in train and dev" in _run("check", "text", path).output
    assert _run("check", "text", path, "--allow-shared", "speaker").exit_code == 0


@pytest.mark.parametrize("content", ["", "sentence,label\na,joy\n"])
def test_check_of_what_is_no_manifest(tmp_path: Path, content: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(content, encoding="utf-8")
    result = _run("check", "text", path)
    assert (result.exit_code, result.output.split(":")[0]) == (1, str(path))
