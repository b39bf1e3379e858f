"""A real server with mutual TLS, tokens, roots and a pickle among its weights: who does not
belong, and what does not, is refused, logged once, and nothing of it is told."""

from __future__ import annotations

import pickle
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import trustme
from emotion.v1.alert_service_pb2 import ListAlertsRequest
from emotion.v1.alert_service_pb2_grpc import AlertServiceStub
from emotion.v1.call_pb2 import BatchAnalyzeCallsRequest
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest
from emotion.v1.emotion_service_pb2_grpc import EmotionServiceStub
from emotion.v1.feedback_service_pb2 import ListFeedbackRequest
from emotion.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from emotion.v1.model_service_pb2 import GetServiceLimitsRequest
from emotion.v1.model_service_pb2_grpc import ModelServiceStub
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from trusted_server import Evil, Trusted, start_trusted, write_certificate
from typer.testing import CliRunner

from modalities.errors import UnavailableError
from server import client, models
from server.cli import app
from server.security.scopes import Scope
from server.settings import Settings

SENTINEL = "我的银行卡号是 6222"  # content that no log and no error may hold
TEXT = AnalyzeEmotionRequest()
TEXT.text.content = SENTINEL


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trusted]:
    running = start_trusted(tmp_path_factory.mktemp("trusted"))
    yield running
    running.server.channel.close()
    assert running.server.stop() == 0


def allowed(call: Callable[[], object]) -> bool:
    """Whether it got past the guard: this server has no store and no alerts."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code() is grpc.StatusCode.FAILED_PRECONDITION
    return True


def refused(call: Callable[[], object]) -> tuple[str, str]:
    """The code, and the reason of its ErrorInfo."""
    with pytest.raises(grpc.RpcError) as error:
        call()
    assert SENTINEL not in error.value.details()
    status, info = rpc_status.from_call(error.value), error_details_pb2.ErrorInfo()
    if status is not None:
        status.details[0].Unpack(info)
    return error.value.code().name, info.reason


@pytest.mark.parametrize("token", [None, "wrong", "other", "expired"])
def test_without_a_valid_token_nothing_is_served(trusted: Trusted, token: str | None) -> None:
    before = len(trusted.logged(code="UNAUTHENTICATED"))
    with trusted.channel(token) as channel:
        stub = EmotionServiceStub(channel)
        code = refused(lambda: stub.AnalyzeEmotion(TEXT, timeout=30))
    assert code == ("UNAUTHENTICATED", "UNAUTHENTICATED")
    assert len(trusted.logged(code="UNAUTHENTICATED")) == before + 1


def test_a_token_does_no_more_than_its_scopes(trusted: Trusted) -> None:
    batch = BatchAnalyzeCallsRequest(paths=["call.wav"], output="a.parquet")
    calls = {
        Scope.ANALYZE: lambda to: EmotionServiceStub(to).AnalyzeEmotion(TEXT, timeout=60),
        Scope.FEEDBACK: lambda to: FeedbackServiceStub(to).ListFeedback(
            ListFeedbackRequest(), timeout=60
        ),
    }
    only_admin = {
        "BatchAnalyzeCalls": lambda to: EmotionServiceStub(to).BatchAnalyzeCalls(batch, timeout=60),
        "ListAlerts": lambda to: AlertServiceStub(to).ListAlerts(ListAlertsRequest(), timeout=60),
    }
    for holder in (Scope.ANALYZE, Scope.FEEDBACK):
        with trusted.channel(holder) as channel:
            assert allowed(lambda to=channel, call=calls[holder]: call(to))
            assert ModelServiceStub(channel).GetServiceLimits(GetServiceLimitsRequest())
            (other,) = calls.keys() - {holder}
            denied = ("PERMISSION_DENIED", "PERMISSION_DENIED")
            assert refused(lambda to=channel, call=calls[other]: call(to)) == denied
            for method, call in only_admin.items():
                assert refused(lambda to=channel, call=call: call(to)) == denied
                (token,) = (one for one in trusted.tokens.read() if one.name == holder)
                found = trusted.logged(code="PERMISSION_DENIED", method=method, token=token.id)
                assert len(found) == 1
    with trusted.channel("admin") as channel:
        for call in calls.values():
            assert allowed(lambda to=channel, call=call: call(to))


def test_health_is_open_and_reflection_is_not(trusted: Trusted) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="*")
    with trusted.channel(None) as channel:
        status = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert status.status == status.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        code, _ = refused(lambda: list(reflection.ServerReflectionInfo(iter([request]))))
        assert code == "UNAUTHENTICATED"
    with trusted.channel("analyze") as channel:
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        (answer,) = reflection.ServerReflectionInfo(iter([request]))
        assert answer.list_services_response.service


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ("expired", "certificate has expired"),
        ("foreign", "unable to get local issuer certificate"),
        ("", "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
    ],
)
def test_a_client_without_a_valid_certificate_is_not_let_in(
    trusted: Trusted, certificate: str, reason: str
) -> None:
    before = trusted.log().count(reason)
    with trusted.channel("admin", certificate) as channel:
        stub = EmotionServiceStub(channel)
        code, _ = refused(lambda: stub.AnalyzeEmotion(TEXT, timeout=30))
    assert code == "UNAVAILABLE"
    assert trusted.log().count(reason) == before + 1


def test_a_used_up_quota_is_refused_and_another_token_is_not(trusted: Trusted) -> None:
    with trusted.channel("twice") as channel:
        stub = ModelServiceStub(channel)
        for _ in range(2):
            stub.GetServiceLimits(GetServiceLimitsRequest())
        found = refused(lambda: stub.GetServiceLimits(GetServiceLimitsRequest()))
    assert found == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
    with trusted.channel("analyze") as channel:
        assert ModelServiceStub(channel).GetServiceLimits(GetServiceLimitsRequest())


OUTSIDE = [
    "../outside/call.wav", "/etc/hostname", "link/call.wav", "link", "li*/call.wav", "**/../..",
    "CALLS/../../outside/call.wav", "call.wav\0", "a/" * 400 + "call.wav", "x" * 300 + ".wav",
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE, ids=range(len(OUTSIDE)))
def test_no_path_leads_out_of_the_roots(trusted: Trusted, path: str) -> None:
    with trusted.channel("admin") as channel:
        stub = EmotionServiceStub(channel)
        request = BatchAnalyzeCallsRequest(paths=[path], output="of-outside.parquet")
        assert refused(lambda: stub.BatchAnalyzeCalls(request, timeout=60))[0] == "INVALID_ARGUMENT"
        tables = path.replace(".wav", ".parquet") if path.endswith(".wav") else f"{path}/t.parquet"
        request = BatchAnalyzeCallsRequest(paths=["call.wav"], output=tables)
        if "*" not in path and not path.startswith(("a/", "/etc")):  # a name like any other
            code, _ = refused(lambda: stub.BatchAnalyzeCalls(request, timeout=60))
            assert code == "INVALID_ARGUMENT"
    assert sorted(path.name for path in (trusted.folder / "outside").iterdir()) == ["call.wav"]


def test_pickles_in_place_of_weights_are_not_run(trusted: Trusted, tmp_path: Path) -> None:
    assert len(trusted.logged(event="model not available", model="satisfaction")) == 1
    pickled = tmp_path / "whisper.pt"
    pickled.write_bytes(pickle.dumps(Evil(trusted.folder / "executed")))
    with pytest.raises(UnavailableError, match="not a Whisper checkpoint"):
        models.load(Settings(whisper=str(pickled)))
    assert not (trusted.folder / "executed").exists()


def test_tokens_are_made_and_taken_back_while_the_server_runs(trusted: Trusted) -> None:
    runner, file = CliRunner(), ["--file", str(trusted.tokens.path)]
    made = runner.invoke(app, ["tokens", "create", "new", "--scope", "analyze", *file])
    trusted.secrets["new"] = made.stdout.strip()
    (token,) = (one for one in trusted.tokens.read() if one.name == "new")
    assert trusted.tokens.path.stat().st_mode & 0o077 == 0
    assert trusted.secrets["new"] not in trusted.tokens.path.read_text()
    with trusted.channel("new") as channel:
        stub = ModelServiceStub(channel)

        def serves() -> bool:
            try:
                return bool(stub.GetServiceLimits(GetServiceLimitsRequest()))
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.UNAUTHENTICATED
                return False

        until(serves)
        assert token.id in runner.invoke(app, ["tokens", "list", *file]).stdout
        assert runner.invoke(app, ["tokens", "revoke", token.id, *file]).exit_code == 0
        until(lambda: not serves())


def test_the_command_line_brings_its_certificate_and_token(trusted: Trusted) -> None:
    folder, address = trusted.folder, trusted.server.address
    options = ["--server", address, "--tls-ca", f"{folder}/ca.pem"]
    options += ["--tls-certificate", f"{folder}/client.pem", "--tls-key", f"{folder}/client.key"]
    for holder, status in (("analyze", 0), ("feedback", 1)):
        done = CliRunner().invoke(
            app,
            ["analyze", "--text", SENTINEL, "--json", *options],
            env={"EMOTION_TOKEN": trusted.secrets[holder]},
        )
        assert done.exit_code == status
        assert ("PERMISSION_DENIED" in done.output) == bool(status)


def test_a_renewed_certificate_is_used_without_a_restart(trusted: Trusted) -> None:
    renewed = trustme.CA()
    renewed.cert_pem.write_to_path(trusted.folder / "renewed-ca.pem")
    write_certificate(renewed.issue_cert("127.0.0.1"), trusted.folder, "renewed")
    kept = {name: (trusted.folder / f"server.{name}").read_bytes() for name in ("pem", "key")}
    access = client.Access(
        certificate=trusted.folder / "client.pem",
        key=trusted.folder / "client.key",
        token=trusted.secrets["admin"],
    )

    def known(ca: str) -> bool:
        with client.channel(trusted.server.address, ca=trusted.folder / ca, **access) as channel:
            try:
                return bool(
                    ModelServiceStub(channel).GetServiceLimits(
                        GetServiceLimitsRequest(), timeout=30
                    )
                )
            except grpc.RpcError:
                return False

    (trusted.folder / "server.pem").write_text("half a file")
    assert known("ca.pem")  # the old one goes on
    assert len(trusted.logged(event="certificates not followed")) == 1
    for name in ("pem", "key"):
        shutil.copy(trusted.folder / f"renewed.{name}", trusted.folder / f"server.{name}")
    assert known("renewed-ca.pem")
    assert not known("ca.pem")
    for name, content in kept.items():
        (trusted.folder / f"server.{name}").write_bytes(content)
    assert known("ca.pem")


def test_neither_content_nor_a_secret_is_in_the_log(trusted: Trusted) -> None:
    log = trusted.log()
    assert SENTINEL not in log
    for secret in trusted.secrets.values():
        assert secret not in log


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
