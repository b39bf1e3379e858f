"""BatchAnalyzeCalls and google.longrunning.Operations: runs over recordings, as a server has them.

An operation is kept as a file under the folder of the tables until it is deleted, so that a
restart of the server loses none. One that was running then is done, with the error ABORTED; the
same request goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import grpc
from emotion.v1.call_pb2 import (
    BatchAnalyzeCallsMetadata,
    BatchAnalyzeCallsRequest,
    BatchAnalyzeCallsResponse,
)
from google.longrunning import operations_pb2
from google.longrunning.operations_pb2 import Operation
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from modalities.errors import InputError, OverloadedError
from server.analysis import Call
from server.calls import journal, table
from server.calls.convert import summary_of
from server.calls.jobs import Job, find_under, writing
from server.calls.recorded import CallOptions
from server.checks import page_size_of, request_id_of, role_of
from server.convert import duration_of
from server.errors import NotFoundError, StateError, StoppingError, to_status
from server.files import write_whole
from server.logs import LOG
from server.pipeline import Pipeline
from server.runner import naming

OPERATIONS = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
RETRY_AFTER_S = 60.0
# Of all jobs' utterances in the models' queues: a live call's would wait for more of them.
UTTERANCES_AT_ONCE = 4
MAX_WAIT_S = 300.0
MAX_PAGE_BYTES = 2 << 20  # clients take 4 MiB where nobody told them otherwise
_ID = re.compile(r"operations/([0-9a-z-]{1,64})")

ABORTED = Status(
    code=grpc.StatusCode.ABORTED.value[0],
    message="the server stopped before it was done; the same request goes on from there",
)
CANCELLED = Status(
    code=grpc.StatusCode.CANCELLED.value[0],
    message="cancelled; the same request goes on from there",
)
_CODES = {
    table.OK: grpc.StatusCode.OK,
    table.UNREADABLE: grpc.StatusCode.INVALID_ARGUMENT,
    table.FAILED: grpc.StatusCode.INTERNAL,
}


@dataclass
class _Running:
    job: Job
    request_id: str
    task: asyncio.Task[None]
    cancelled: bool = False


class CallJobs:
    """Belongs to the event loop in which it was made; `close` it there."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline, self.settings = pipeline, pipeline.settings
        self._running: dict[str, _Running] = {}
        self._turn = asyncio.Semaphore(UTTERANCES_AT_ONCE)
        self._starting = asyncio.Lock()
        self._closed = False

    def handlers(self) -> Mapping[str, Callable[[Any, float | None], Awaitable[Message]]]:
        """Of google.longrunning.Operations, by the methods' names."""
        return {
            "GetOperation": self.get,
            "ListOperations": self.list,
            "CancelOperation": self.cancel,
            "DeleteOperation": self.delete,
            "WaitOperation": self.wait,
        }

    async def start(self, request: BatchAnalyzeCallsRequest, _: float | None) -> Operation:
        """BatchAnalyzeCalls. Raises StateError where no folders are configured, InputError with
        the field, and OverloadedError where enough jobs are running."""
        # A client that gives up meanwhile finds the operation in the list.
        return await asyncio.shield(asyncio.create_task(self._start(request)))

    async def get(self, request: operations_pb2.GetOperationRequest, _: float | None) -> Operation:
        """GetOperation; raises NotFoundError."""
        return await self._get(_id_of(request.name))

    async def list(
        self, request: operations_pb2.ListOperationsRequest, _: float | None
    ) -> operations_pb2.ListOperationsResponse:
        """ListOperations, the oldest first; a page may end early where answers are long."""
        if request.filter:
            raise InputError("operations cannot be filtered", "filter")
        response = operations_pb2.ListOperationsResponse()
        ids = sorted(path.name for path in self._folder.glob("[0-9a-z]*")) if self._folder else []
        ids = [identity for identity in ids if identity > request.page_token]
        for identity in ids[: page_size_of(request.page_size)]:
            operation = await self._get(identity)
            size = response.ByteSize() + operation.ByteSize()
            if response.operations and size > MAX_PAGE_BYTES:
                break
            response.operations.append(operation)
            last = identity
        if response.operations and last != ids[-1]:
            response.next_page_token = last
        return response

    async def cancel(
        self, request: operations_pb2.CancelOperationRequest, _: float | None
    ) -> Empty:
        """CancelOperation; what is scored stays in the journal. Raises NotFoundError."""
        identity = _id_of(request.name)
        await self._get(identity)
        if running := self._running.get(identity):
            running.cancelled = True
            running.task.cancel()
        return Empty()

    async def delete(
        self, request: operations_pb2.DeleteOperationRequest, _: float | None
    ) -> Empty:
        """DeleteOperation, not the tables. Raises NotFoundError, and StateError while it runs."""
        identity = _id_of(request.name)
        await self._get(identity)
        if identity in self._running:
            raise StateError("the operation is running", "cancel it first")
        self._file(identity).unlink()
        return Empty()

    async def wait(
        self, request: operations_pb2.WaitOperationRequest, deadline: float | None
    ) -> Operation:
        """WaitOperation: what `get` says once it is done, or after the timeout."""
        identity = _id_of(request.name)
        if running := self._running.get(identity):
            asked_s = request.timeout.ToNanoseconds() / 1e9 if request.HasField("timeout") else 1e9
            left_s = 1e9 if deadline is None else deadline - time.monotonic()
            await asyncio.wait([running.task], timeout=max(0.0, min(asked_s, left_s, MAX_WAIT_S)))
        return await self._get(identity)

    async def close(self) -> None:
        """Stop what is running, which can be gone on with, and start nothing any more."""
        async with self._starting:
            self._closed = True
        tasks = [running.task for running in self._running.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _start(self, request: BatchAnalyzeCallsRequest) -> Operation:
        request_id = request_id_of(request)
        options = CallOptions(
            tuple(
                role_of(value, f"channel_roles[{index}]")
                for index, value in enumerate(request.channel_roles)
            ),
            role_of(request.single_speaker, "single_speaker"),
            request.score_unknown_roles,
        )
        async with self._starting:
            if self._closed:
                raise StoppingError
            out = self._out(request.output)
            if len(self._running) >= self.settings.max_call_jobs:
                raise OverloadedError(f"{len(self._running)} jobs are running", RETRY_AFTER_S)
            if not request.paths:
                raise InputError("at least one is needed", "paths")
            roots = self.settings.call_roots
            recordings = await asyncio.to_thread(find_under, roots, request.paths)
            with naming("output"), writing():
                job = await asyncio.to_thread(
                    Job, recordings, out, options, self.pipeline, self._turn
                )
            identity = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{uuid.uuid4().hex[:8]}"
            try:
                with writing():
                    self._keep(identity, self._operation(identity, job))
            except BaseException:
                job.journal.close()
                raise
            task = asyncio.create_task(self._run(identity, job, request_id))
            self._running[identity] = _Running(job, request_id, task)
        return self._operation(identity, job)

    async def _run(self, identity: str, job: Job, request_id: str) -> None:
        outcome: Message
        try:
            await job.run(self.settings.calls_at_once)
            outcome = await asyncio.to_thread(_response, job, request_id)
        except asyncio.CancelledError:
            outcome = CANCELLED if self._running[identity].cancelled else ABORTED
        except Exception as error:
            LOG.exception("job failed", extra={"request_id": request_id})
            outcome = to_status(error, request_id)
        try:
            self._keep(identity, self._operation(identity, job, outcome))
        except OSError as error:  # it is then told as one that the server did not live to end
            LOG.error("an operation could not be kept", extra={"reason": type(error).__name__})
        del self._running[identity]

    async def _get(self, identity: str) -> Operation:
        if running := self._running.get(identity):
            return self._operation(identity, running.job)
        if self._folder is None or not (path := self._file(identity)).exists():
            raise NotFoundError(f"there is no operations/{identity}")
        operation = Operation.FromString(await asyncio.to_thread(path.read_bytes))
        if not operation.done:  # an earlier server was killed
            operation.done = True
            operation.error.CopyFrom(ABORTED)
        return operation

    def _operation(self, identity: str, job: Job, outcome: Message | None = None) -> Operation:
        """`outcome` is a Status of an error or the response; None while it runs."""
        progress = job.progress
        operation = Operation(name=f"operations/{identity}", done=outcome is not None)
        operation.metadata.Pack(
            BatchAnalyzeCallsMetadata(
                total_count=progress.total,
                done_count=progress.done,
                failed_count=len(progress.failures),
                scored_audio=duration_of(progress.channel_s),
            )
        )
        if isinstance(outcome, Status):
            operation.error.CopyFrom(outcome)
        elif outcome is not None:
            operation.response.Pack(outcome)
        return operation

    def _out(self, output: str) -> Path:
        """Where the table goes; raises StateError and InputError."""
        root = self.settings.call_output_root
        if root is None or not self.settings.call_roots:
            raise StateError(
                "this server has no folders for recorded calls",
                "start it with the settings call_roots and call_output_root",
            )
        relative = PurePosixPath(output)
        if relative.suffix != ".parquet":
            raise InputError("a name that ends in .parquet is needed", "output")
        hidden = any(part.startswith(".") for part in relative.parts)  # .. and our own, too
        out = root / relative
        if relative.is_absolute() or hidden or not out.resolve().is_relative_to(root.resolve()):
            raise InputError("a path under the server's folder is needed", "output")
        out.parent.mkdir(parents=True, exist_ok=True)
        return out

    @property
    def _folder(self) -> Path | None:
        root = self.settings.call_output_root
        return root and root / ".operations"

    def _file(self, identity: str) -> Path:
        assert self._folder is not None
        return self._folder / identity

    def _keep(self, identity: str, operation: Operation) -> None:
        path = self._file(identity)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, operation.SerializeToString())


def _id_of(name: str) -> str:
    """Raises InputError."""
    found = _ID.fullmatch(name)
    if found is None:
        raise InputError("operations/<id> is needed", "name")
    return found[1]


def _response(job: Job, request_id: str) -> BatchAnalyzeCallsResponse:
    response = BatchAnalyzeCallsResponse()
    names = {recording.name for recording in job.recordings}
    call = Call(request_id, models=dict(job.models))
    for found in journal.read(job.journal.out):
        (row,) = found.to_pylist()
        if row["path"] in names:
            result = response.calls.add(path=row["path"])
            result.status.code = _CODES[row["status"]].value[0]
            result.status.message = row["error"] or ""
            if row["status"] == table.OK:
                result.summary.CopyFrom(summary_of(table.summary_of(row), call))
    return response
