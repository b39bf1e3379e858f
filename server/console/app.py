"""The console's web server: static files, and the API as `gateway` and `microphone` give it."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Iterable
from pathlib import Path

import grpc
from aiohttp import web

from modalities.errors import InputError
from server import client
from server.client import Access
from server.console.gateway import MAX_BODY_BYTES, Gateway
from server.console.guard import Guard
from server.console.microphone import Microphone
from server.errors import AddressError
from server.logs import LOG

STATIC = Path(__file__).parent / "static"
CLOSE_S = 2.0  # for answers on their way at the end


def application(channel: grpc.aio.Channel, names: Iterable[str]) -> web.Application:
    """names  hosts that browsers may know it by, beside addresses and localhost"""
    app = web.Application(middlewares=[Guard(names).middleware], client_max_size=MAX_BODY_BYTES)
    app.router.add_get("/", _page)
    app.router.add_post("/api/{service}/{method}", Gateway(channel).call)
    app.router.add_get("/api/microphone", Microphone(channel).listen)
    app.router.add_static("/static/", STATIC)
    return app


async def serve(
    target: str,
    access: Access,
    host: str,
    port: int,
    names: Iterable[str],
    https: ssl.SSLContext | None,
) -> None:
    """Serve until SIGTERM or SIGINT. Raises AddressError where the address cannot be bound, and
    what `client.aio_channel` raises."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    async with client.aio_channel(target, **access) as channel:
        # A page that is closed ends what it asked for.
        runner = web.AppRunner(
            application(channel, names),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=CLOSE_S,
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port, ssl_context=https)
            try:
                await site.start()
            except OSError:
                raise AddressError(
                    f"{host}:{port} cannot be bound: it is in use, or not ours"
                ) from None
            bound = runner.addresses[0][1]
            shown = f"[{host}]" if ":" in host else host
            url = f"{'https' if https else 'http'}://{shown}:{bound}/"
            LOG.info("console", extra={"url": url, "server": target})
            await stop.wait()
        finally:
            await runner.cleanup()


def https_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """None without both; raises InputError where they are no pair."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise InputError("it and --https-key are needed together", "--https-certificate")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        reason = f"no PEM certificate with its key: {error.strerror or type(error).__name__}"
        raise InputError(reason, "--https-certificate") from None
    return context


async def _page(_: web.Request) -> web.FileResponse:
    return web.FileResponse(STATIC / "index.html")
