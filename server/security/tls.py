"""The server's address: TLS, mutual TLS, or plain text within this machine."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from modalities.errors import InputError
from server.errors import AddressError
from server.logs import LOG
from server.security.address import is_local
from server.security.stamp import stamp
from server.settings import Settings


def listen(server: grpc.aio.Server, settings: Settings) -> int:
    """Bind the address of the settings; the port.

    Raises InputError where the settings would let in who does not belong or their files are not
    certificates, and AddressError where the address cannot be bound.
    """
    certificates = _certificates(settings)
    _check(settings)
    address = f"{settings.host}:{settings.port}"
    try:
        if certificates is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, certificates.credentials())
    except RuntimeError:
        raise AddressError(f"{address} cannot be bound: it is in use, or not ours") from None


def _check(settings: Settings) -> None:
    """Refuse what is open to other machines by mistake."""
    if is_local(settings.host):
        return
    if settings.tls_certificate is None and not settings.allow_plaintext:
        raise InputError(
            f"{settings.host} is open to other machines: set tls_certificate and tls_key, "
            "or allow_plaintext=true where something before the server does TLS",
            "host",
        )
    known = settings.tokens or settings.tls_client_ca
    if known is None and not settings.allow_anonymous:
        raise InputError(
            f"{settings.host} is open to other machines: set tokens or tls_client_ca, "
            "or allow_anonymous=true where everybody who reaches it may use it",
            "host",
        )


def _certificates(settings: Settings) -> _Certificates | None:
    certificate, key = settings.tls_certificate, settings.tls_key
    if (certificate is None) != (key is None):
        raise InputError("tls_certificate and tls_key are needed together", "tls_certificate")
    if certificate is None or key is None:
        if settings.tls_client_ca is not None:
            raise InputError("it needs tls_certificate, too", "tls_client_ca")
        return None
    return _Certificates(certificate, key, settings.tls_client_ca)


@dataclass
class _Certificates:
    """Files that are looked at anew at each handshake, so that renewing them needs no restart."""

    certificate: Path
    key: Path
    client_ca: Path | None
    _state: Any = field(init=False, default=None)

    def credentials(self) -> grpc.ServerCredentials:
        """Raises InputError where the files are no pair of certificate and key."""
        self._state = self._stat()
        return grpc.dynamic_ssl_server_credentials(
            self._read(), self._renewed, self.client_ca is not None
        )

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """What changed since; None, and the old ones go on, where nothing did or it is unusable.

        gRPC calls it from its own threads, one handshake at a time.
        """
        try:
            if (state := self._stat()) == self._state:
                return None
            self._state = state
            renewed = self._read()
        except InputError as error:
            LOG.error("certificates not followed", extra={"reason": error.reason})
            return None
        LOG.info("certificates followed")
        return renewed

    def _read(self) -> grpc.ServerCertificateConfiguration:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
            return grpc.ssl_server_certificate_configuration(
                [(self.key.read_bytes(), self.certificate.read_bytes())],
                self.client_ca.read_bytes() if self.client_ca else None,
            )
        except (ssl.SSLError, ValueError):
            files = [str(path) for path in (self.certificate, self.key, self.client_ca) if path]
            raise InputError(
                f"no PEM certificate with its key (and authorities) in {', '.join(files)}; "
                "a key has no password",
                "tls_certificate",
            ) from None
        except OSError as error:
            raise InputError(
                f"a file of the certificates cannot be read: {error.strerror}", "tls_certificate"
            ) from None

    def _stat(self) -> list[tuple[int, int, int] | None]:
        return [stamp(path) for path in (self.certificate, self.key, self.client_ca) if path]


def _no_password() -> str:
    """OpenSSL would ask for it on the terminal."""
    raise ValueError("a key without a password is needed")
