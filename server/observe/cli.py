"""`emotion doctor`, `emotion health` and `emotion plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.options import (
    Device,
    Plaintext,
    Set,
    TlsCa,
    TlsCertificate,
    TlsKey,
    Token,
    Whisper,
    WhisperDir,
    access_of,
    settings_of,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def doctor(
    server: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Ask a running server, not this installation."),
    ] = None,
    as_json: Json = False,
    tls_ca: TlsCa = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    token: Token = None,
    plaintext: Plaintext = False,
    device: Device = None,
    whisper: Whisper = None,
    whisper_dir: WhisperDir = None,
    other: Set = None,
) -> None:
    """Look whether the service can run here as it is set, and say what to mend.

    Exit status: 0 it can, perhaps with warnings; 1 something fails.
    """
    from modalities.errors import InputError
    from server.observe import doctor
    from server.observe.finding import of_error

    if server is not None:
        access = access_of(tls_ca, tls_certificate, tls_key, token, plaintext)
        findings = list(doctor.examine_server(server, **access))
    else:
        try:
            settings = settings_of(other, device=device, whisper=whisper, whisper_dir=whisper_dir)
        except InputError as error:
            findings = [of_error("settings", error)]
        else:
            findings = doctor.examine(settings)
    if as_json:
        import json

        print(json.dumps(doctor.to_json(findings), ensure_ascii=False, indent=2))
    else:
        from rich.console import Console

        Console().print(doctor.table(findings))
    if doctor.failed(findings):
        raise typer.Exit(1)


def health(
    server: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="By default this machine's, by its settings."),
    ] = None,
    timeout_s: Annotated[float, typer.Option(help="How long to wait for the answer.")] = 5.0,
) -> None:
    """Ask a server in plain text whether it serves, as a probe does; where it has TLS, ask its
    health_port, or the doctor. Exit status: 0 it does, 1 it does not."""
    import os
    import sys

    import grpc

    from server.observe.health import state_of

    if server is None:  # the settings themselves would import torch
        ports = ("EMOTION_HEALTH_PORT", "EMOTION_PORT")
        port = next((os.environ[name] for name in ports if os.environ.get(name)), "50051")
        server = f"127.0.0.1:{port}"
    try:
        with grpc.insecure_channel(server) as channel:
            state = state_of(channel, timeout_s)
    except grpc.RpcError as error:
        print(f"emotion: {server}: {error.code().name}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(state)
    if state != "SERVING":
        raise typer.Exit(1)


Count = Annotated[int, typer.Option(min=0, help="A day.")]


def plan(
    calls_per_day: Count = 0,
    messages_per_day: Count = 0,
    screenshots_per_day: Count = 0,
    minutes_per_call: Annotated[float, typer.Option(min=0.1, help="The mean.")] = 5.0,
    transcribed: Annotated[bool, typer.Option(help="Calls get transcripts (Whisper).")] = False,
    peak: Annotated[float, typer.Option(help="Busiest hour's rate over the day's mean.")] = 3.0,
    utilisation: Annotated[float, typer.Option(help="Of the cores, at peak.")] = 0.6,
    replica_cores: Annotated[int, typer.Option(help="Cores of one server process.")] = 4,
    machine_cores: Annotated[int, typer.Option(help="Cores of one machine.")] = 32,
    machine_memory_gib: Annotated[float, typer.Option(help="Memory of one machine.")] = 128.0,
    costs: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Of your machine, by 'python -m bench.costs'."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """How many cores, replicas and machines a load needs, from the measured cost of an item."""
    from server.observe import plan as sizing

    load = sizing.Load(
        calls_per_day, minutes_per_call, messages_per_day, screenshots_per_day, transcribed
    )
    machines = sizing.Machines(peak, utilisation, replica_cores, machine_cores, machine_memory_gib)
    measured = sizing.costs_of(costs)
    planned = sizing.plan(load, machines, measured)
    assumed = sizing.assumptions(load, machines, measured)
    if as_json:
        import json
        from dataclasses import asdict

        print(json.dumps({**asdict(planned), "assumptions": assumed}, ensure_ascii=False, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("a day", "", "core-s each", "a second at peak", "cores at peak", box=None)
    for line in planned.lines:
        table.add_row(
            f"{line.per_day:,.0f}",
            line.kind,
            f"{line.core_s:g}",
            f"{line.per_second:,.1f}",
            f"{line.cores:,.1f}",
        )
    console = Console()
    console.print(table)
    console.print(
        f"\nmachines: {planned.machines:,}, replicas: {planned.replicas:,}, "
        f"each of {replica_cores} cores and {planned.replica_memory_gib:.1f} GiB"
    )
    console.print("\nassumed:")
    for one in assumed:
        console.print(f"- {one}")
