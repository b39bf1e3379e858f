"""What a server listens on, and what a client sends where."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from modalities.errors import InputError
from server import client
from server.errors import AddressError
from server.security.address import is_local
from server.security.tls import listen
from server.settings import Settings

LOCAL = ["127.0.0.1", "127.8.0.1:1", "localhost:50051", "::1", "[::1]:50051", "unix:/run/e.sock"]
OTHERS = ["0.0.0.0", "::", "[::]:1", "10.0.0.1:1", "emotion.example:443", "localhost.example", ""]


def bound(**settings: Any) -> int:
    async def main() -> int:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        try:
            return listen(server, Settings(**{"port": 0} | settings))
        finally:
            await server.stop(0)

    return asyncio.run(main())


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pem")
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key")
    issued.cert_chain_pems[0].write_to_path(folder / "certificate")
    (folder / "other").write_bytes(trustme.CA().issue_cert("a.example").private_key_pem.bytes())
    (folder / "text").write_text("no PEM")
    return {path.name: path for path in folder.iterdir()} | {"missing": folder / "missing"}


def test_which_addresses_are_of_this_machine() -> None:
    assert all(map(is_local, LOCAL))
    assert not any(map(is_local, OTHERS))


def test_other_machines_are_let_in_on_purpose_only(pem: dict[str, Path], tmp_path: Path) -> None:
    tls = {"tls_certificate": pem["certificate"], "tls_key": pem["key"]}
    tokens = {"tokens": tmp_path / "tokens.json"}
    assert bound(host="127.0.0.1")
    for open_to_all, missing in (
        ({}, "tls_certificate"),
        (tokens, "tls_certificate"),
        (tls, "tokens"),
        ({"allow_plaintext": True}, "tokens"),
        ({"allow_anonymous": True}, "tls_certificate"),
    ):
        with pytest.raises(InputError, match=missing):
            bound(host="0.0.0.0", **open_to_all)
    assert bound(host="0.0.0.0", **tls, **tokens)
    assert bound(host="0.0.0.0", **tls, tls_client_ca=pem["certificate"])
    assert bound(host="0.0.0.0", allow_plaintext=True, allow_anonymous=True)


@pytest.mark.parametrize(
    ("certificate", "key", "ca"),
    [
        ("certificate", None, None), (None, "key", None), (None, None, "certificate"),
        ("certificate", "other", None), ("text", "key", None), ("certificate", "text", None),
        ("certificate", "missing", None), ("certificate", "key", "text"),
        ("certificate", "key", "missing"),
    ],
)  # fmt: skip
def test_files_that_are_no_certificates_are_refused_at_the_start(
    pem: dict[str, Path], certificate: str | None, key: str | None, ca: str | None
) -> None:
    given = {"tls_certificate": certificate, "tls_key": key, "tls_client_ca": ca}
    with pytest.raises(InputError) as refused:
        bound(**{name: pem[file] for name, file in given.items() if file})
    assert refused.value.field.startswith("tls_")


def test_an_address_in_use_is_an_error(pem: dict[str, Path]) -> None:
    async def main() -> None:
        first, second = grpc.aio.server(), grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        port = first.add_insecure_port("127.0.0.1:0")
        with pytest.raises(AddressError):
            listen(
                second,
                Settings(port=port, tls_certificate=pem["certificate"], tls_key=pem["key"]),
            )

    asyncio.run(main())


def test_a_token_leaves_this_machine_over_tls_only() -> None:
    with pytest.raises(InputError, match="plain text"):
        client.channel("emotion.example:50051", token="secret", plaintext=True)
    client.channel("emotion.example:50051", token="secret").close()
    client.channel("emotion.example:50051", plaintext=True).close()


def test_a_client_says_which_file_it_cannot_use(pem: dict[str, Path]) -> None:
    with pytest.raises(InputError) as missing:
        client.channel("127.0.0.1:1", ca=pem["missing"])
    assert missing.value.field == "--tls-ca"
    with pytest.raises(InputError) as half:
        client.channel("127.0.0.1:1", certificate=pem["certificate"])
    assert half.value.field == "--tls-certificate"
