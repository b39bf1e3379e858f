"""BatchAnalyzeCalls over a port: a server with folders, one that is stopped, and one without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import recorded_media as calls
from emotion.v1.call_pb2 import BatchAnalyzeCallsRequest, BatchAnalyzeCallsResponse
from emotion.v1.types_pb2 import AGENT, CUSTOMER
from google.longrunning import operations_pb2 as pb
from google.longrunning.operations_pb2_grpc import OperationsStub
from google.protobuf.duration_pb2 import Duration
from server_process import Server, start


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[tuple[Path, Server]]:
    calls.write(tmp_path / "in" / "short" / "call.wav", calls.stereo())
    calls.write(tmp_path / "in" / "long" / "call.wav", calls.talk(2, [(0, 0.5)], 1200.0))
    (tmp_path / "out").mkdir()
    options = (f"call_roots={tmp_path / 'in'}", f"call_output_root={tmp_path / 'out'}")
    server = start(tmp_path / "log", "--set", options[0], "--set", options[1])
    yield tmp_path, server
    server.channel.close()
    server.process.kill()
    server.process.wait()


def request(path: str) -> BatchAnalyzeCallsRequest:
    return BatchAnalyzeCallsRequest(
        paths=[path], output=f"{path}.parquet", channel_roles=[CUSTOMER, AGENT]
    )


def test_a_server_with_folders_and_its_end(folders: tuple[Path, Server]) -> None:
    folder, server = folders
    operations = OperationsStub(server.channel)
    short = server.emotion.BatchAnalyzeCalls(request("short"))
    wait = pb.WaitOperationRequest(name=short.name, timeout=Duration(seconds=120))
    finished = operations.WaitOperation(wait)
    response = BatchAnalyzeCallsResponse()
    assert finished.response.Unpack(response)
    assert [(one.path, one.status.code) for one in response.calls] == [("short/call.wav", 0)]
    assert response.calls[0].summary.customer.message_count == 2
    assert (folder / "out" / "short.utterances.parquet").exists()

    long = server.emotion.BatchAnalyzeCalls(request("long"))
    found = operations.ListOperations(pb.ListOperationsRequest()).operations
    assert [one.name for one in found] == [short.name, long.name]
    operations.CancelOperation(pb.CancelOperationRequest(name=long.name))
    cancelled = operations.WaitOperation(pb.WaitOperationRequest(name=long.name))
    assert cancelled.error.code == grpc.StatusCode.CANCELLED.value[0]
    with pytest.raises(grpc.RpcError) as error:
        operations.GetOperation(pb.GetOperationRequest(name="operations/none"))
    assert error.value.code() is grpc.StatusCode.NOT_FOUND

    server.emotion.BatchAnalyzeCalls(request("long"))  # resumes; the server does not wait for it
    assert server.stop() == 0
    assert (folder / "out" / "long.parquet.parts").is_dir()


def test_a_server_without_folders(server: Server) -> None:
    with pytest.raises(grpc.RpcError) as error:
        server.emotion.BatchAnalyzeCalls(request("short"))
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "call_output_root" in error.value.details()
    listed = OperationsStub(server.channel).ListOperations(pb.ListOperationsRequest())
    assert not listed.operations
