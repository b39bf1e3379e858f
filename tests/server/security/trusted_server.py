"""A real server with mutual TLS, tokens, roots, and two pickles among its weights."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import trustme
from server_media import recording
from server_process import Server, start

import weights
from server import client
from server.security.scopes import Scope
from server.security.tokens import TokenFile

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Trusted:
    """The server, what it was given, and how a client speaks to it."""

    server: Server
    folder: Path
    tokens: TokenFile
    secrets: dict[str, str]

    def channel(self, token: str | None, certificate: str = "client") -> grpc.Channel:
        """With a token of this name, or None, and the client's certificate of this name."""
        access = client.Access(ca=self.folder / "ca.pem", token=token and self.secrets[token])
        if certificate:
            access["certificate"] = self.folder / f"{certificate}.pem"
            access["key"] = self.folder / f"{certificate}.key"
        return client.channel(self.server.address, **access)

    def log(self) -> str:
        return self.server.log.read_text()

    def logged(self, **fields: object) -> list[dict[str, object]]:
        """The log's lines with these values."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if fields.items() <= line.items()]


class Evil:
    """What a pickle can do."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.marker),)


def write_certificate(issued: trustme.LeafCert, folder: Path, name: str) -> None:
    issued.private_key_pem.write_to_path(folder / f"{name}.key")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    (folder / f"{name}.pem").write_bytes(chain)


def bundle_with_a_pickle(folder: Path, marker: Path) -> None:
    """The embedded weights; in place of one file a pickle, whose checksum is right."""
    shutil.copytree(weights.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    pickled = folder / "satisfaction.safetensors"
    pickled.write_bytes(pickle.dumps(Evil(marker)))
    digest = hashlib.sha256(pickled.read_bytes()).hexdigest()
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    kept = [line for line in sums if pickled.name not in line]
    (folder / "SHA256SUMS").write_text("\n".join([*kept, f"{digest}  {pickled.name}"]) + "\n")


def start_trusted(folder: Path) -> Trusted:
    """With everything that it needs made in `folder`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    write_certificate(authority.issue_cert("127.0.0.1"), folder, "server")
    write_certificate(authority.issue_cert("client@example.org"), folder, "client")
    write_certificate(trustme.CA().issue_cert("client@example.org"), folder, "foreign")
    expired = authority.issue_cert("client@example.org", not_after=LONG_AGO)
    write_certificate(expired, folder, "expired")

    tokens, secrets = TokenFile(folder / "tokens.json"), {}
    for scope in Scope:
        _, secrets[scope] = tokens.create(scope, [scope])
    _, secrets["expired"] = tokens.create("expired", [Scope.ADMIN], LONG_AGO)
    _, secrets["twice"] = tokens.create("twice", [Scope.ANALYZE], requests_per_day=2)
    secrets["wrong"] = secrets["admin"][:-1] + ("A" if secrets["admin"][-1] != "A" else "B")
    secrets["other"] = "not-one-of-ours"

    bundle_with_a_pickle(folder / "weights", folder / "executed")
    for name in ("calls", "outside"):
        (folder / name).mkdir()
        (folder / name / "call.wav").write_bytes(recording())
    (folder / "calls" / "link").symlink_to(folder / "outside")
    (folder / "tables").mkdir()
    (folder / "tables" / "link").symlink_to(folder / "outside")
    settings = {
        "tls_certificate": folder / "server.pem", "tls_key": folder / "server.key",
        "tls_client_ca": folder / "ca.pem", "tokens": tokens.path,
        "weights": folder / "weights",
        "call_roots": folder / "calls", "call_output_root": folder / "tables",
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    access = client.Access(
        ca=folder / "ca.pem", certificate=folder / "client.pem", key=folder / "client.key"
    )
    running = start(folder / "log", *options, **access)
    return Trusted(running, folder, tokens, secrets)
