"""`emotion console`: a page that looks at a running server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.options import TlsCa, TlsCertificate, TlsKey, access_of


def console(
    server: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="The server to look at.")
    ] = "127.0.0.1:50051",
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any free one.")] = 8080,
    name: Annotated[
        list[str] | None,
        typer.Option(help="A name that browsers know it by, such as a proxy's; repeat for more."),
    ] = None,
    https_certificate: Annotated[
        Path | None, typer.Option(help="PEM of the page's own chain, for HTTPS.")
    ] = None,
    https_key: Annotated[Path | None, typer.Option(help="PEM of its private key.")] = None,
    allow_plaintext: Annotated[
        bool, typer.Option("--allow-plaintext", help="No HTTPS, also to other machines.")
    ] = False,
    tls_ca: TlsCa = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
) -> None:
    """Serve a page with live calls, conversations, a review queue, trends and models."""
    import asyncio

    from modalities.errors import InputError, UnavailableError
    from server import logs
    from server.security.address import is_local

    try:
        from server.console import app
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"the console needs {error.name}, which is not installed",
            "install emotion-service[console]",
        ) from error
    if not is_local(host) and https_certificate is None and not allow_plaintext:
        raise InputError(
            f"{host} is open to other machines: give --https-certificate and --https-key, "
            "or --allow-plaintext where something before the console does TLS",
            "--host",
        )
    https = app.https_context(https_certificate, https_key)
    logs.configure()
    access = access_of(tls_ca, tls_certificate, tls_key, token=None, plaintext=False)
    asyncio.run(app.serve(server, access, host, port, [host, *(name or ())], https))
