"""Many recordings: which are found, what is kept of a run that was killed, what is refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import recorded_media as calls
from server_process import in_process

from modalities.errors import InputError, UnavailableError
from server.analysis import Role
from server.calls import journal, table
from server.calls.jobs import Job, Progress, find, find_under
from server.calls.journal import Journal, utterances_path
from server.calls.recorded import CallOptions
from server.models import Models
from server.pipeline import Pipeline

BOTH = CallOptions((Role.CUSTOMER, Role.AGENT))


def run(loaded: Models, folder: Path, out: Path, options: CallOptions = BOTH) -> Progress:
    async def work(pipeline: Pipeline) -> Progress:
        job = Job(find([str(folder)]), out, options, pipeline)
        await job.run(3)
        return job.progress

    return in_process(loaded, work)


def rows(out: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All rows of the two tables."""
    return pq.read_table(out).to_pylist(), pq.read_table(utterances_path(out)).to_pylist()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight short calls in two folders, and two broken files."""
    folder = tmp_path_factory.mktemp("archive")
    for index in range(8):
        start_s = 0.5 + 0.1 * index
        samples = calls.talk(2, [(index % 2, start_s)], start_s + 4.0)
        calls.write(folder / f"{'ab'[index % 2]}" / f"call{index}.wav", samples)
    (folder / "a" / "broken.wav").write_text("hello")
    (folder / "b" / "empty.mp3").touch()
    (folder / "b" / "notes.txt").write_text("no recording")
    (folder / "b" / ".hidden.wav").write_text("no recording")
    return folder


@pytest.fixture(scope="module")
def unbroken(loaded: Models, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / "calls.parquet"
    progress = run(loaded, archive, out)
    assert (progress.total, progress.done, progress.earlier) == (10, 10, 0)
    return out


def test_what_is_found(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(archive.parent)
    name = archive.name
    both = [one.name for one in find([name])]
    assert both == sorted(both)
    assert len(both) == 10
    assert both[0] == f"{name}/a/broken.wav"
    for patterns in (
        [f"{name}/*/*.wav", f"{name}/b/empty.mp3"],
        [f"{name}/**/*.wav", name],
        [f"{name}/a", f"{name}/b", f"{name}/a/call0.wav"],
        [f"./{name}//a", f"{name}/b"],
    ):
        assert [one.name for one in find(patterns)] == both
    assert [one.name for one in find([f"{name}/b/notes.txt"])] == [f"{name}/b/notes.txt"]


def test_a_file_that_is_found_by_two_names_counts_once(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to(archive / "a" / "call0.wav")
    found = find([str(tmp_path), str(archive)])
    assert len(found) == len({one.path for one in found}) == 10


def test_a_name_that_looks_like_a_glob(tmp_path: Path) -> None:
    (tmp_path / "call[1].wav").touch()
    (one,) = find([str(tmp_path / "call[1].wav")])
    assert one.path.name == "call[1].wav"


def test_a_name_that_is_no_utf8(loaded: Models, tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder / "a") + b"\xff.wav")).touch()
    assert run(loaded, folder, tmp_path / "calls.parquet").done == 1
    assert rows(tmp_path / "calls.parquet")[0][0]["path"] == str(folder / "a\\xff.wav")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [("empty", "no recording in"), ("gone.wav", "no file or folder"), ("*.flac", "matches")],
)
def test_where_nothing_is_found(tmp_path: Path, pattern: str, reason: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    (tmp_path / "there.wav").touch()
    with pytest.raises(InputError, match=reason) as error:
        find([str(tmp_path / "there.wav"), str(tmp_path / pattern)])
    assert not error.value.field  # the reason names the path; a request's field is told under roots


def test_under_roots(archive: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.touch()
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.wav").symlink_to(secret)
    (root / "folder").symlink_to(tmp_path)
    roots = [root, archive]
    assert find_under(roots, ["a/*.wav"])[0].name == "a/broken.wav"
    for pattern in (
        *("../secret.wav", str(secret), "a/../../secret.wav", "a\0"),
        *("link.wav", "folder/secret.wav", "folder", "*/secret.wav", "gone"),
    ):
        with pytest.raises(InputError):
            find_under(roots, [pattern])


def test_broken_files_are_rows_with_their_reason(unbroken: Path) -> None:
    found, spoken = rows(unbroken)
    assert [row["path"] for row in found] == sorted(row["path"] for row in found)
    failed = {Path(row["path"]).name: row for row in found if row["status"] != table.OK}
    assert failed.keys() == {"broken.wav", "empty.mp3"}
    assert failed["empty.mp3"]["status"] == table.UNREADABLE
    assert failed["empty.mp3"]["error"] == "the file is empty"
    assert len(spoken) == sum(row["utterance_count"] for row in found) == 8
    assert not unbroken.with_name("calls.parquet.parts").exists()


@pytest.fixture
def half(loaded: Models, archive: Path, unbroken: Path, tmp_path: Path) -> Path:
    """What a kill leaves behind: four of the calls, one of them cut by a failure of power."""
    out = tmp_path / "calls.parquet"
    parts = Journal(out, journal.job_of(unbroken))
    for row in [*journal.read(unbroken)][1:5]:
        parts.add(row.to_pylist()[0])
    parts.close()
    cut = next(parts.folder.glob("*.arrow"))
    cut.write_bytes(cut.read_bytes()[:500])
    (parts.folder / "half.tmp").write_bytes(b"half")
    return out


def test_resumed_rows_are_those_of_an_unbroken_run(
    loaded: Models, archive: Path, unbroken: Path, half: Path
) -> None:
    progress = run(loaded, archive, half)
    assert (progress.total, progress.done, progress.earlier) == (10, 10, 3)
    calls.assert_same(rows(half), rows(unbroken))


def test_a_finished_run_is_not_done_again_but_for_what_failed(
    loaded: Models, archive: Path, unbroken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "calls.parquet"
    shutil.copy(unbroken, out)
    shutil.copy(utterances_path(unbroken), utterances_path(out))
    progress = run(loaded, archive, out)
    assert (progress.earlier, len(progress.failures)) == (8, 2)
    calls.assert_same(rows(out), rows(unbroken))


def test_more_recordings_are_added_and_changed_ones_scored_again(
    loaded: Models, archive: Path, unbroken: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "archive", tmp_path / "calls.parquet"
    calls.write(folder / "a.wav", calls.talk(2, [(0, 0.5)], 4.5))
    run(loaded, folder, out)
    calls.write(folder / "a.wav", calls.talk(2, [(0, 0.5), (0, 5.0)], 9.0))
    calls.write(folder / "b.wav", calls.talk(2, [(1, 0.5)], 4.5))
    assert run(loaded, folder, out).earlier == 0
    found, spoken = rows(out)
    assert [Path(row["path"]).name for row in found] == ["a.wav", "b.wav"]
    assert [row["utterance_count"] for row in found] == [2, 1]
    assert len(spoken) == 3
    (folder / "a.wav").unlink()  # moved away: its row stays
    assert run(loaded, folder, out).total == 1
    calls.assert_same(rows(out), (found, spoken))


def test_another_job_is_refused(loaded: Models, archive: Path, half: Path, unbroken: Path) -> None:
    swapped = CallOptions((Role.AGENT, Role.CUSTOMER))
    for out in (half, unbroken):
        with pytest.raises(InputError, match=r"channels customer,agent instead of agent,customer"):
            run(loaded, archive, out, swapped)


def test_a_run_keeps_the_models_that_it_began_with(
    loaded: Models, archive: Path, unbroken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "calls.parquet"
    models = replace(loaded, missing=dict(loaded.missing))  # of its own: another one is promoted

    async def work(pipeline: Pipeline) -> None:
        job = Job(find([str(archive)]), out, BOTH, pipeline)
        pipeline.runner.promote(voice=UnavailableError("replaced", "ask again"))
        await job.run(3)
        with pytest.raises(UnavailableError, match="replaced"):
            Job(find([str(archive)]), tmp_path / "new.parquet", BOTH, pipeline)

    in_process(models, work)
    calls.assert_same(rows(out), rows(unbroken))


def test_a_file_that_is_no_table_is_not_overwritten(
    loaded: Models, archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "calls.parquet"
    out.write_text("precious")
    with pytest.raises(InputError, match="no table of calls"):
        run(loaded, archive, out)
    assert out.read_text() == "precious"


def test_half_of_an_output_is_told(
    loaded: Models, archive: Path, unbroken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "calls.parquet"
    shutil.copy(unbroken, out)
    with pytest.raises(InputError, match=r"calls\.utterances\.parquet is gone"):
        run(loaded, archive, out)


def test_two_runs_cannot_write_one_table(tmp_path: Path) -> None:
    first = Journal(tmp_path / "calls.parquet", {})
    with pytest.raises(InputError, match="another run"):
        Journal(tmp_path / "calls.parquet", {})
    first.close()
    Journal(tmp_path / "calls.parquet", {}).close()


@pytest.mark.parametrize("step", ["between the tables", "before the clearing up"])
def test_stopped_while_the_tables_are_written(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """What is there at each of these moments is all that the next run needs."""

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    out = tmp_path / "calls.parquet"
    for path, old in ((out, unbroken), (utterances_path(out), utterances_path(unbroken))):
        shutil.copy(old, path)  # of the run before
    parts = Journal(out, journal.job_of(unbroken))
    (row,) = [*journal.read(unbroken)][1].to_pylist()
    parts.add(row | {"path": "!new.wav"})
    with monkeypatch.context() as patch:
        if step == "between the tables":
            replace = Path.replace
            patch.setattr(
                Path, "replace", lambda one, to: killed() if to == out else replace(one, to)
            )
        else:
            patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(Killed):
            parts.finish()
    parts.close()
    again = Journal(out, journal.job_of(unbroken))
    again.finish()
    again.close()
    (found, spoken), (old_found, old_spoken) = rows(out), rows(unbroken)
    assert found[0]["path"] == "!new.wav"
    calls.assert_same(found[1:], old_found)
    calls.assert_same(spoken[found[0]["utterance_count"] :], old_spoken)
    assert not again.folder.exists()


def test_killed_and_run_again(
    loaded: Models, archive: Path, unbroken: Path, tmp_path: Path
) -> None:
    """A real process, SIGKILL as soon as it has scored a call, and the same job again."""
    out = tmp_path / "calls.parquet"
    parts = out.with_name("calls.parquet.parts")
    command = [sys.executable, "-m", "server.cli", "score-calls", str(archive), "--out", str(out)]
    command += ["--channels", "customer,agent", "--set", "calls_at_once=1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    while len(list(parts.glob("*.arrow"))) < 2:  # the first file is a broken one
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not out.exists()
    assert 2 <= len(list(parts.glob("*.arrow"))) < 10
    assert run(loaded, archive, out).earlier >= 1
    calls.assert_same(rows(out), rows(unbroken))
