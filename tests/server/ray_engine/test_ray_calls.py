"""`emotion score-calls --engine ray`: the rows of one process, also after a stop."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import recorded_media as calls
from typer.testing import CliRunner

from server.calls.journal import utterances_path
from server.cli import app
from server.settings import Settings


def score(folder: Path, out: Path, engine: str) -> int:
    arguments = ["score-calls", str(folder), "--out", str(out), "--engine", engine]
    arguments += ["--channels", "customer,agent", "--single-speaker", "customer"]
    return CliRunner().invoke(app, [*arguments, "--set", "calls_at_once=2"]).exit_code


def test_rows_are_those_of_one_process(cluster: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    calls.write(folder / "a.wav", calls.stereo())
    calls.write(folder / "b.mp3", calls.talk(1, [(0, 0.5)], 4.5), "libmp3lame")
    calls.write(folder / "c.wav", calls.talk(2, [(1, 0.5), (0, 4.0)], 8.0))
    (folder / "broken.wav").write_text("hello")
    here, far = tmp_path / "here.parquet", tmp_path / "far.parquet"
    assert [score(folder, here, "local"), score(folder, far, "ray")] == [3, 3]
    for one, other in ((here, far), (utterances_path(here), utterances_path(far))):
        calls.assert_same(pq.read_table(one).to_pylist(), pq.read_table(other).to_pylist())
    # What is scored stays, what failed is tried again.
    calls.write(folder / "broken.wav", calls.talk(1, [(0, 1.0)], 5.0))
    assert [score(folder, here, "local"), score(folder, far, "ray")] == [0, 0]
    assert pq.read_table(far)["status"].to_pylist() == ["OK"] * 4
    for one, other in ((here, far), (utterances_path(here), utterances_path(far))):
        calls.assert_same(pq.read_table(one).to_pylist(), pq.read_table(other).to_pylist())
