"""The doctor on the installation: weights, checkpoints, addresses, TLS, tokens, store, rules."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.observe.finding import Finding, fail, of_error, ok, warn

if TYPE_CHECKING:
    from server.settings import Settings

BUNDLE = ("fusion", "text", "voice", "image", "satisfaction")
RENEW_DAYS = 14.0  # before a certificate's end


def weights(settings: Settings) -> Iterator[Finding]:
    """All files of the bundle, by their checksums."""
    from modalities.errors import EmotionError
    from server.models import verified

    bad = False
    for name in BUNDLE:
        try:
            verified(settings.weights, name)
        except EmotionError as error:
            bad = True
            yield fail(
                "weights",
                str(error).partition(": ")[0],
                "reinstall the package, or write the checksum of weights that you trained yourself",
            )
    if not bad:
        yield ok("weights", f"{len(BUNDLE)} files in {settings.weights} are as published")


def registry(_: Settings) -> Iterator[Finding]:
    """The versions that were promoted."""
    from server.models import verified
    from training.learn.registry import PARTS, Registry

    found = Registry.of_environment()
    if found is None:
        yield ok("registry", "none: the embedded models serve")
        return
    for part in PARTS:
        try:
            version = found.current(part)
            if version is not None:
                verified(version.folder, part)
        except Exception as error:
            name = found.history(part)[-1]
            yield fail(
                "registry",
                f"version {name} of {part} cannot be served: {of_error('', error).found}",
                f"emotion models rollback {part}",
            )
        else:
            yield ok("registry", f"{part}: {version.name if version else 'embedded'}")


def whisper(settings: Settings) -> Iterator[Finding]:
    from modalities.errors import UnavailableError
    from modalities.voice import whisper_checkpoint

    if settings.whisper == whisper_checkpoint.NONE:
        yield ok("whisper", "turned off: speech gets no transcript")
        return
    try:
        name = whisper_checkpoint.chosen(settings.whisper, settings.whisper_dir)
    except UnavailableError as error:
        yield warn("whisper", f"{error.reason}: speech gets no transcript", error.remedy)
        return
    path = whisper_checkpoint.locate(name, settings.whisper_dir)
    whisper_checkpoint.load(name, path, "cpu")
    yield ok("whisper", str(path))


def ports(settings: Settings) -> Iterator[Finding]:
    for name, host, port in (
        ("port", settings.host, settings.port),
        ("metrics_port", settings.observe_host, settings.metrics_port),
        ("health_port", settings.observe_host, settings.health_port),
    ):
        if port is None:
            continue
        try:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, socket.SOCK_STREAM) as here:
                here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                here.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                remedy = f"end what listens there (ss -ltnp 'sport = :{port}'), or set {name}"
            elif error.errno == errno.EACCES:
                remedy = f"set {name} to one above 1023"
            else:
                remedy = "set host or observe_host to an address of this machine"
            yield fail(name, f"{host}:{port} cannot be bound: {error.strerror}", remedy)
        else:
            yield ok(name, f"{host}:{port} is free")


def tls(settings: Settings) -> Iterator[Finding]:
    """As the server itself takes it, and a handshake of the certificate with itself."""
    import asyncio

    import grpc

    from server.security.tls import listen

    async def bind() -> None:
        server = grpc.aio.server()
        listen(server, settings.model_copy(update={"port": 0}))
        await server.stop(0)

    asyncio.run(bind())
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None or key is None:
        yield ok("tls", "none")
        return
    if key.stat().st_mode & 0o007:
        yield warn("tls", f"everybody on this machine may read {key}", f"chmod 640 {key}")
    try:
        left_days = (_ends_at(certificate, key) - time.time()) / 86_400
    except ssl.SSLCertVerificationError as error:
        yield fail("tls", f"{certificate}: {error.verify_message}", "renew the certificate")
        return
    found = f"{certificate} is valid for {left_days:.0f} more days"
    if left_days < RENEW_DAYS:
        yield warn("tls", found, "renew it; a running server takes the new one at once")
    else:
        yield ok("tls", found)


def _ends_at(certificate: Path, key: Path) -> float:
    """UNIX time; raises SSLCertVerificationError where it is not valid now.

    A handshake in memory with a client that trusts this one certificate: the standard library
    tells what is in a certificate in no other way.
    """
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    client_side = ssl.create_default_context(cafile=str(certificate))
    client_side.check_hostname = False
    client_side.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    client = client_side.wrap_bio(to_client, to_server)
    for side in (client, server, client):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    told: Any = client.getpeercert()
    return float(ssl.cert_time_to_seconds(told["notAfter"]))


def tokens(settings: Settings) -> Iterator[Finding]:
    from server.security.tokens import TokenFile

    if settings.tokens is None:
        yield ok("tokens", "none are asked for")
        return
    kept = TokenFile(settings.tokens).read()
    valid = [token for token in kept if not token.expired]
    found = f"{len(valid)} valid of {len(kept)} in {settings.tokens}"
    if settings.tokens.stat().st_mode & 0o077:
        yield warn("tokens", f"{found}; others may read it", f"chmod 600 {settings.tokens}")
    elif not valid:
        yield fail("tokens", found, "emotion tokens create makes one")
    else:
        yield ok("tokens", found)


def store(settings: Settings) -> Iterator[Finding]:
    """Its key, its database and whether that can be written; nothing is changed."""
    if settings.store is None:
        yield ok("store", "none is kept")
        return
    from server.observe.store_check import state_of
    from server.store.key import key_of

    secret = settings.store_key.get_secret_value() if settings.store_key else None
    key_of(settings.store, secret, settings.store_key_file)
    yield state_of(settings.store)


def rules(settings: Settings) -> Iterator[Finding]:
    from server.strategy.book import Book

    book = Book.load(settings.rules)
    yield ok("rules", f"{len(book.rules)} rules in {settings.rules}, revision {book.revision}")


def alerts(settings: Settings) -> Iterator[Finding]:
    from server.alerts.webhook import Poster

    if settings.alerts is None:
        if settings.alert_webhooks:
            yield warn("alerts", "webhooks are set and no alerts", "set alerts to a folder")
        else:
            yield ok("alerts", "none are raised")
        return
    Poster(settings.alert_webhooks, settings.alert_webhook_secret.get_secret_value(), 1.0)
    yield ok("alerts", f"in {settings.alerts}, {len(settings.alert_webhooks)} receivers")


def calls(settings: Settings) -> Iterator[Finding]:
    """Folders of recordings."""
    for root in settings.call_roots:
        if not (root.is_dir() and os.access(root, os.R_OK | os.X_OK)):
            yield fail("calls", f"{root} is no folder that can be read", "correct call_roots")
        else:
            yield ok("calls", f"{root} can be read")


def traces(settings: Settings) -> Iterator[Finding]:
    from urllib.parse import urlsplit

    if settings.otlp_endpoint is None:
        return
    from server.observe import tracing

    tracing.begin(settings.otlp_endpoint)
    tracing.end()
    url = urlsplit(settings.otlp_endpoint)
    try:
        socket.create_connection((url.hostname or "", url.port or 4317), timeout=3).close()
    except (OSError, ValueError):
        yield warn(
            "traces",
            f"no collector answers at {settings.otlp_endpoint}",
            "start it, or correct otlp_endpoint: until then spans are lost",
        )
    else:
        yield ok("traces", f"to {settings.otlp_endpoint}")


CHECKS = (
    ("weights", weights),
    ("registry", registry),
    ("whisper", whisper),
    ("ports", ports),
    ("tls", tls),
    ("tokens", tokens),
    ("store", store),
    ("rules", rules),
    ("alerts", alerts),
    ("calls", calls),
    ("traces", traces),
)
