"""What makes a run over many recordings safe to kill: a folder of finished calls beside its output.

Each call is written there as one small file, whole or not at all; at the end they are strung
together, in the order of their paths, into the two Parquet files, and the folder is deleted. A run
that finds such a folder goes on where that one stopped; one that finds the files adds to them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modalities.errors import InputError
from server.calls import table
from server.calls.recorded import Recording
from server.files import write_whole

_JOB = b"emotion.job"
_GROUP_BYTES = 8 << 20  # of rows held until they become a row group
_READ_CALLS = 16  # one of them may hold hours of loudness


def utterances_path(calls: Path) -> Path:
    """Where the utterances lie: calls.parquet → calls.utterances.parquet."""
    return calls.with_name(f"{calls.stem}.utterances.parquet")


class Journal:
    """Of one output file; only one process at a time may have it open.

    `job` says what decides the rows besides the recordings: options and model revisions. Raises
    InputError where `out`, or what is left of an earlier run, was made by another one.
    """

    def __init__(self, out: Path, job: Mapping[str, str]) -> None:
        self.out, self._job = out, dict(job)
        self.folder = out.with_name(f"{out.name}.parts")
        if out.exists():
            self._check(out, job_of(out))
            if not (spoken := utterances_path(out)).exists():
                raise InputError(f"{spoken} is gone, which belongs to {out}: delete that one, too")
        if (mark := self.folder / "job.json").exists():
            self._check(self.folder, _job_in(mark))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise InputError(f"another run is writing {out}") from None
        try:
            write_whole(mark, json.dumps(self._job).encode())
            self._known = dict(map(_identity, self._parts()))
            if out.exists():
                self._take_over(out)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let others have it; what is not yet strung together stays in the folder."""
        os.close(self._lock)

    def has(self, recording: Recording) -> bool:
        """Whether it was scored, and has not changed since."""
        row = table.file_row(recording) | {"status": table.OK}
        return self._known.get(recording.name) == row

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a row of `table.NESTED`, in place of what there was of the same recording."""
        self._keep(pa.Table.from_pylist([dict(row)], table.NESTED))

    def finish(self) -> None:
        """Write the two files and delete the folder."""
        metadata = {_JOB: json.dumps(self._job).encode()}
        calls = _Writer(self.folder / "calls.tmp", table.CALLS.with_metadata(metadata))
        spoken = _Writer(self.folder / "utterances.tmp", table.UTTERANCES.with_metadata(metadata))
        for name in sorted(self._known):
            row = _read_part(self._part(name))
            calls.write(row.drop_columns(["utterances"]))
            spoken.write(_utterances(row))
        calls.close()
        spoken.close()
        # The table of calls comes last: where it is, the other one is.
        spoken.path.replace(utterances_path(self.out))
        calls.path.replace(self.out)
        shutil.rmtree(self.folder)

    def _check(self, made: Path, theirs: Mapping[str, str]) -> None:
        other = [
            f"{name} {theirs.get(name)} instead of {self._job.get(name)}"
            for name in sorted(theirs.keys() | self._job.keys())
            if theirs.get(name) != self._job.get(name)
        ]
        if other:
            raise InputError(
                f"{made} was made with {', '.join(other)}: choose another file, or delete it"
            )

    def _take_over(self, out: Path) -> None:
        for row in read(out):
            if _identity(row)[0] not in self._known:
                self._keep(row)

    def _keep(self, row: pa.Table) -> None:
        name, known = _identity(row)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.NESTED) as writer:
            writer.write_table(row)
        write_whole(self._part(name), sink.getvalue())
        self._known[name] = known

    def _part(self, name: str) -> Path:
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.arrow"

    def _parts(self) -> Iterator[pa.Table]:
        for path in self.folder.glob("*.arrow"):
            try:
                yield _read_part(path)
            except (OSError, pa.ArrowException):  # cut by a failure of power: scored again
                path.unlink()


def read(calls: Path) -> Iterator[pa.Table]:
    """Each call of a finished output with its utterances, as one row of `table.NESTED`."""
    with pq.ParquetFile(calls) as file, pq.ParquetFile(utterances_path(calls)) as spoken:
        batches = spoken.iter_batches()
        held = table.UTTERANCES.empty_table()
        for batch in file.iter_batches(_READ_CALLS):
            for index in range(batch.num_rows):
                call = pa.Table.from_batches([batch.slice(index, 1)])
                count = call["utterance_count"][0].as_py()
                while held.num_rows < count:
                    more = pa.Table.from_batches([next(batches)])
                    held = pa.concat_tables([held.replace_schema_metadata(None), more])
                yield _nest(call, held.slice(0, count))
                held = held.slice(count)


def job_of(calls: Path) -> dict[str, str]:
    """What made a finished output; raises InputError where it is no table of calls."""
    try:
        return json.loads(pq.read_schema(calls).metadata[_JOB])
    except (OSError, pa.ArrowInvalid, KeyError, TypeError):
        raise InputError(f"{calls} is there already, and is no table of calls") from None


def _job_in(mark: Path) -> dict[str, str]:
    """Raises InputError where a failure of power, or a hand, has broken it."""
    try:
        job = json.loads(mark.read_bytes())
    except ValueError:
        job = None
    if not isinstance(job, dict):
        raise InputError(f"{mark} is damaged: delete {mark.parent}, and all is scored again")
    return job


def _identity(row: pa.Table) -> tuple[str, dict[str, Any]]:
    """A call's path, and by what a changed or failed recording is told from it."""
    known = row.select(["path", "size_bytes", "modified_at", "status"]).to_pylist()[0]
    return known["path"], known


def _nest(call: pa.Table, utterances: pa.Table) -> pa.Table:
    kind = table.NESTED.field("utterances").type
    items = utterances.drop_columns(["path"]).to_struct_array().combine_chunks()
    nested = pa.ListArray.from_arrays([0, len(items)], items)
    return call.append_column("utterances", nested.cast(kind)).cast(table.NESTED)


def _utterances(row: pa.Table) -> pa.Table:
    """The rows of `table.UTTERANCES` of a row of `table.NESTED`."""
    items = row["utterances"].combine_chunks().flatten()
    columns = [pa.repeat(row["path"][0], len(items)), *items.flatten()]
    return pa.Table.from_arrays(columns, schema=table.UTTERANCES)


class _Writer:
    """A Parquet file that is written in row groups of a bounded size."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self._schema = path, schema
        self._file = pq.ParquetWriter(path, schema, compression="zstd")
        self._held: list[pa.Table] = []
        self._held_bytes = 0

    def write(self, rows: pa.Table) -> None:
        self._held.append(rows.cast(self._schema))
        self._held_bytes += rows.nbytes
        if self._held_bytes > _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._held:
            self._file.write_table(pa.concat_tables(self._held))
        self._held, self._held_bytes = [], 0


def _read_part(path: Path) -> pa.Table:
    """Raises OSError or pyarrow's errors where it is damaged."""
    row = pa.ipc.open_file(path.read_bytes()).read_all()
    if row.schema != table.NESTED or row.num_rows != 1:
        raise pa.ArrowInvalid("not a recording's row")
    row.validate(full=True)
    return row
