"""BatchAnalyzeCalls and its operations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.parquet as pq
import pytest
import recorded_media as calls
from emotion.v1.call_pb2 import (
    BatchAnalyzeCallsMetadata,
    BatchAnalyzeCallsRequest,
    BatchAnalyzeCallsResponse,
)
from emotion.v1.types_pb2 import AGENT, CUSTOMER
from google.longrunning import operations_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from server_process import in_process

from modalities.errors import EmotionError, InputError, OverloadedError
from server.analysis import Call
from server.calls.batch import UTTERANCES_AT_ONCE, CallJobs
from server.errors import NotFoundError, StateError
from server.models import Models
from server.pipeline import Pipeline
from server.settings import Settings

Answer = TypeVar("Answer")
LONG_S = 300


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    calls.write(folder / "week" / "a.wav", calls.stereo())
    calls.write(folder / "week" / "b.wav", calls.talk(2, [(0, 0.5)], 4.5))
    (folder / "week" / "broken.wav").write_text("hello")
    calls.write(folder / "long" / "call.wav", calls.talk(2, [(0, 0.5)], LONG_S))
    return folder


def request(path: str = "week", output: str = "calls.parquet") -> BatchAnalyzeCallsRequest:
    return BatchAnalyzeCallsRequest(
        paths=[path], output=output, channel_roles=[CUSTOMER, AGENT], request_id="r1"
    )


def jobs(
    loaded: Models,
    root: Path,
    output: Path,
    work: Callable[[CallJobs], Awaitable[Answer]],
    **settings: object,
) -> Answer:
    """What `work` gives of a server's jobs, which are stopped then."""

    async def main(pipeline: Pipeline) -> Answer:
        running = CallJobs(pipeline)
        try:
            return await work(running)
        finally:
            await running.close()

    given = {"call_roots": (root,), "call_output_root": output, "max_call_jobs": 1} | settings
    return in_process(loaded, main, Settings(**given))


async def done(running: CallJobs, name: str) -> pb.Operation:
    ask = pb.WaitOperationRequest(name=name, timeout=Duration(seconds=120))
    return await running.wait(ask, None)


def test_from_start_to_response(loaded: Models, root: Path, tmp_path: Path) -> None:
    async def work(running: CallJobs) -> tuple[pb.Operation, pb.Operation, pb.Operation]:
        started = await running.start(request(), None)
        finished = await done(running, started.name)
        return started, finished, await running.get(pb.GetOperationRequest(name=started.name), None)

    started, finished, again = jobs(loaded, root, tmp_path, work)
    assert not started.done
    assert finished.done
    assert finished == again
    metadata, response = BatchAnalyzeCallsMetadata(), BatchAnalyzeCallsResponse()
    assert finished.metadata.Unpack(metadata)
    assert (metadata.total_count, metadata.done_count, metadata.failed_count) == (3, 3, 1)
    assert metadata.scored_audio.ToMilliseconds() == pytest.approx(2 * 17_500, abs=50)
    assert finished.response.Unpack(response)
    assert [(one.path, one.status.code) for one in response.calls] == [
        ("week/a.wav", 0),
        ("week/b.wav", 0),
        ("week/broken.wav", 3),
    ]
    assert "no known format" in response.calls[2].status.message
    summary = response.calls[0].summary
    assert summary.customer.message_count == 2
    assert summary.shape.duration.ToMilliseconds() == pytest.approx(13_000, abs=10)
    assert [channel.role for channel in summary.shape.channels] == [CUSTOMER, AGENT]
    assert {model.name for model in summary.metadata.models} == {"models/voice", "models/fusion"}
    assert summary.request_id == "r1"
    row = pq.read_table(tmp_path / "calls.parquet").to_pylist()[0]
    assert row["customer_score"] == pytest.approx(summary.customer.score, abs=1e-6)


def test_a_live_call_waits_for_few_of_a_job_s_utterances(
    loaded: Models, root: Path, tmp_path: Path
) -> None:
    for index in range(6):
        calls.write(root / "many" / f"{index}.wav", calls.talk(2, [(0, 0.5), (0, 5), (1, 9)], 13))
    queued = [0]

    async def work(running: CallJobs) -> list[pb.Operation]:
        runner = running.pipeline.runner
        infer, waiting = runner.infer, 0

        async def counted(call: Call, name: str, items: Sequence[Any]) -> list[Any]:
            nonlocal waiting
            waiting += 1
            queued.append(waiting)
            await asyncio.sleep(0.05)  # a model that others keep busy
            try:
                return await infer(call, name, items)
            finally:
                waiting -= 1

        runner.infer = counted  # type: ignore[method-assign]
        both = [await running.start(request("many", f"{n}.parquet"), None) for n in range(2)]
        return [await done(running, one.name) for one in both]

    finished = jobs(loaded, root, tmp_path, work, max_call_jobs=2)
    assert all(one.WhichOneof("result") == "response" for one in finished)
    assert max(queued) == UTTERANCES_AT_ONCE


def test_the_operation_outlives_the_server(loaded: Models, root: Path, tmp_path: Path) -> None:
    async def begin(running: CallJobs) -> str:
        first = await running.start(request(), None)
        await done(running, first.name)
        second = await running.start(request("long", "long.parquet"), None)
        return second.name  # the server stops here

    async def look(running: CallJobs) -> pb.ListOperationsResponse:
        return await running.list(pb.ListOperationsRequest(), None)

    name = jobs(loaded, root, tmp_path, begin)
    finished, stopped = jobs(loaded, root, tmp_path, look).operations
    assert finished.HasField("response")
    assert stopped.name == name
    assert stopped.done
    assert stopped.error.code == 10  # ABORTED
    # Killed, it has had no time to write that.
    path = tmp_path / ".operations" / name.removeprefix("operations/")
    path.write_bytes(pb.Operation(name=name).SerializeToString())
    _, killed = jobs(loaded, root, tmp_path, look).operations
    assert killed.done
    assert killed.error == stopped.error


def test_cancel_then_delete(loaded: Models, root: Path, tmp_path: Path) -> None:
    async def work(running: CallJobs) -> pb.Operation:
        name = (await running.start(request("long"), None)).name
        delete = pb.DeleteOperationRequest(name=name)
        with pytest.raises(StateError, match="cancel"):
            await running.delete(delete, None)
        await running.cancel(pb.CancelOperationRequest(name=name), None)
        cancelled = await done(running, name)
        await running.delete(delete, None)
        with pytest.raises(NotFoundError):
            await running.get(pb.GetOperationRequest(name=name), None)
        with pytest.raises(NotFoundError):
            await running.delete(delete, None)
        return cancelled

    cancelled = jobs(loaded, root, tmp_path, work)
    assert cancelled.done
    assert cancelled.error.code == 1  # CANCELLED
    assert (tmp_path / "calls.parquet.parts").is_dir()


def test_wait_ends_at_its_timeout_and_jobs_are_bounded(
    loaded: Models, root: Path, tmp_path: Path
) -> None:
    async def work(running: CallJobs) -> pb.Operation:
        name = (await running.start(request("long"), None)).name
        with pytest.raises(OverloadedError):
            await running.start(request("week", "other.parquet"), None)
        waiting = running.wait(
            pb.WaitOperationRequest(name=name, timeout=Duration(nanos=1_000_000)), None
        )
        late = running.wait(pb.WaitOperationRequest(name=name), time.monotonic() + 0.001)
        first, second = await asyncio.gather(waiting, late)
        assert first.name == second.name == name
        return first

    assert not jobs(loaded, root, tmp_path, work).done


def test_two_jobs_cannot_write_one_table(loaded: Models, root: Path, tmp_path: Path) -> None:
    async def work(running: CallJobs) -> None:
        await running.start(request("long"), None)
        with pytest.raises(InputError, match="another run") as error:
            await running.start(request("week"), None)
        assert error.value.field == "output"

    jobs(loaded, root, tmp_path, work, max_call_jobs=2)


@pytest.mark.parametrize("settings", [{"call_roots": ()}, {"call_output_root": None}])
def test_without_folders(
    loaded: Models, root: Path, tmp_path: Path, settings: dict[str, object]
) -> None:
    async def work(running: CallJobs) -> None:
        await running.start(request(), None)

    with pytest.raises(StateError, match="call_output_root"):
        jobs(loaded, root, tmp_path, work, **settings)


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        ({"paths": []}, "paths"),
        ({"paths": ["week", "gone"]}, "paths[1]"),
        ({"paths": ["../root/week"]}, "paths[0]"),
        ({"paths": ["/etc"]}, "paths[0]"),
        ({"output": ""}, "output"),
        ({"output": "calls.csv"}, "output"),
        ({"output": "../calls.parquet"}, "output"),
        ({"output": "/tmp/calls.parquet"}, "output"),
        ({"output": "link/calls.parquet"}, "output"),
        ({"output": ".operations/calls.parquet"}, "output"),
        ({"channel_roles": [CUSTOMER]}, "channel_roles"),
        ({"channel_roles": [CUSTOMER, 9]}, "channel_roles[1]"),
        ({"single_speaker": 9}, "single_speaker"),
        ({"request_id": "a b"}, "request_id"),
    ],
)
def test_bad_requests(
    loaded: Models, root: Path, tmp_path: Path, spoil: dict[str, object], field: str
) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "link").symlink_to(tmp_path)
    values = {"paths": ["week"], "output": "calls.parquet", "channel_roles": [CUSTOMER, AGENT]}
    bad = BatchAnalyzeCallsRequest(**(values | spoil))

    async def work(running: CallJobs) -> list[pb.Operation]:
        with pytest.raises(InputError) as error:
            await running.start(bad, None)
        assert error.value.field == field
        return list((await running.list(pb.ListOperationsRequest(), None)).operations)

    assert jobs(loaded, root, tmp_path / "tables", work) == []


@pytest.mark.parametrize("name", ["", "operations/", "operations/../x", "operations/A", "x"])
def test_bad_names(loaded: Models, root: Path, tmp_path: Path, name: str) -> None:
    async def work(running: CallJobs) -> None:
        await running.get(pb.GetOperationRequest(name=name), None)

    with pytest.raises(EmotionError, match="operations/"):
        jobs(loaded, root, tmp_path, work)


def test_pages(loaded: Models, root: Path, tmp_path: Path) -> None:
    async def work(running: CallJobs) -> list[str]:
        names = []
        for index in range(3):
            started = await running.start(request("week/broken.wav", f"{index}.parquet"), None)
            names.append((await done(running, started.name)).name)
        found, token = [], ""
        while not found or token:
            ask = pb.ListOperationsRequest(page_size=2, page_token=token)
            page = await running.list(ask, None)
            assert len(page.operations) <= 2
            found += [operation.name for operation in page.operations]
            token = page.next_page_token
        assert sorted(found) == sorted(names)
        return found

    assert len(jobs(loaded, root, tmp_path, work)) == 3
