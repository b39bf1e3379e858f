"""`emotion doctor`: what is wrong with this machine, this installation, or a running server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Unpack

from server.observe import installation, machine
from server.observe.finding import Finding, Level, examined, fail, of_error, ok, warn
from server.observe.health import state_of

if TYPE_CHECKING:
    from rich.table import Table

    from server.client import Access
    from server.settings import Settings

TIMEOUT_S = 10.0
_STYLE = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def examine(settings: Settings) -> list[Finding]:
    """This machine and this installation, as `settings` would have it served. Changes nothing."""
    return list(examined(settings, (*machine.CHECKS, *installation.CHECKS)))


def examine_server(server: str, **access: Unpack[Access]) -> Iterator[Finding]:
    """The health and the models of a running server (host:port)."""
    import grpc
    from emotion.v1.model_service_pb2 import ListModelsRequest, Model
    from emotion.v1.model_service_pb2_grpc import ModelServiceStub

    from modalities.errors import InputError
    from server.client import CallError, channel

    try:
        opened = channel(server, **access)
    except InputError as error:
        yield of_error("server", error)
        return
    with opened:
        try:
            state = state_of(opened, TIMEOUT_S)
            if state != "SERVING":
                yield fail("server", f"{server} is {state}", "it starts or stops: see its log")
                return
            yield ok("server", f"{server} is {state}")
            listed = ModelServiceStub(opened).ListModels(ListModelsRequest(), timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            yield fail("server", f"{server}: {CallError(error)}", _remedy(error.code().name))
            return
    for model in listed.models:
        if model.state == Model.READY:
            yield ok(model.name, f"revision {model.revision or '-'} on {model.device}")
        else:
            yield warn(model.name, model.reason, model.remedy)


def _remedy(code: str) -> str:
    return {
        "UNAVAILABLE": "start it with 'emotion serve', or correct the address; where it has TLS, "
        "give --tls-ca, and a certificate where it asks for one",
        "UNAUTHENTICATED": "set EMOTION_TOKEN to a valid token",
        "PERMISSION_DENIED": "set EMOTION_TOKEN to a token with a scope for it",
        "DEADLINE_EXCEEDED": "it does not answer in time: see its log and its load",
        "NOT_FOUND": "it is not this service: correct the address",
        "UNIMPLEMENTED": "it is not this service: correct the address",
    }.get(code, "see the server's log")


def to_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [asdict(finding) for finding in findings]


def table(findings: Sequence[Finding]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    shown = Table("", "part", "found", "what to mend", box=None, header_style="bold")
    for one in findings:
        level = f"[{_STYLE[one.level]}]{one.level}[/]"
        shown.add_row(level, one.part, escape(one.found), escape(one.remedy))
    return shown


def failed(findings: Sequence[Finding]) -> bool:
    return any(one.level is Level.FAIL for one in findings)
