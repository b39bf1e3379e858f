"""A disk that is full: a job over recordings says so, and goes on once there is room."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import server_media as media
from emotion.v1.call_pb2 import BatchAnalyzeCallsRequest
from google.longrunning.operations_pb2 import WaitOperationRequest
from server_process import in_process

from server.calls.batch import CallJobs
from server.calls.jobs import Job, find
from server.calls.recorded import CallOptions
from server.errors import StateError
from server.models import Models
from server.pipeline import Pipeline
from server.settings import Settings


def test_a_full_disk_stops_a_job_that_later_goes_on(loaded: Models, tmp_path: Path) -> None:
    recording, out = tmp_path / "call.wav", tmp_path / "calls.parquet"
    recording.write_bytes(media.silence(1))
    part = hashlib.sha256(str(recording).encode()).hexdigest()[:32]
    full = tmp_path / "calls.parquet.parts" / f"{part}.tmp"
    full.parent.mkdir()
    full.symlink_to("/dev/full")

    async def work(pipeline: Pipeline) -> None:
        await Job(find([str(recording)]), out, CallOptions(), pipeline).run(1)

    with pytest.raises(StateError, match="No space left"):
        in_process(loaded, work)
    full.unlink()
    in_process(loaded, work)
    assert pq.read_table(out).num_rows == 1


def test_an_operation_that_cannot_be_kept_is_not_begun(loaded: Models, tmp_path: Path) -> None:
    (tmp_path / "call.wav").write_bytes(media.silence(1))
    blocked = tmp_path / ".operations"
    blocked.touch()  # a file where the folder of operations should be
    settings = Settings(call_roots=(tmp_path,), call_output_root=tmp_path, max_call_jobs=1)
    request = BatchAnalyzeCallsRequest(paths=["call.wav"], output="calls.parquet")

    async def work(pipeline: Pipeline) -> bool:
        jobs = CallJobs(pipeline)
        with pytest.raises(StateError, match="cannot be written"):
            await jobs.start(request, None)
        blocked.unlink()
        operation = await jobs.start(request, None)
        ended = await jobs.wait(WaitOperationRequest(name=operation.name), None)
        await jobs.close()
        return ended.HasField("response")

    assert in_process(loaded, work, settings)
