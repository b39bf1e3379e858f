"""The command line's options that several commands have, and the settings that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from server.client import Access
    from server.settings import Settings

Whisper = Annotated[
    str | None,
    typer.Option(
        help="Whisper checkpoint for transcripts, by name or path; none turns them off. "
        "By default the one that was pulled."
    ),
]
WhisperDir = Annotated[Path | None, typer.Option(help="Where pulled checkpoints lie.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any other setting, such as max_audio_s=60."),
]

TlsCa = Annotated[
    Path | None,
    typer.Option(
        envvar="EMOTION_TLS_CA", help="PEM of the authorities that a server's certificate is of."
    ),
]
TlsCertificate = Annotated[
    Path | None, typer.Option(envvar="EMOTION_CLIENT_CERTIFICATE", help="PEM of your own chain.")
]
TlsKey = Annotated[
    Path | None, typer.Option(envvar="EMOTION_CLIENT_KEY", help="PEM of your own private key.")
]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="EMOTION_TOKEN",
        help="Bearer token. An option is seen by who lists processes: better set the variable.",
    ),
]
Plaintext = Annotated[
    bool, typer.Option("--plaintext", help="No TLS to a server that is not on this machine.")
]


def access_of(
    ca: Path | None, certificate: Path | None, key: Path | None, token: str | None, plaintext: bool
) -> Access:
    """How a server is spoken to, of the options above."""
    return {
        "ca": ca, "certificate": certificate, "key": key, "token": token, "plaintext": plaintext,
    }  # fmt: skip


def settings_of(other: list[str] | None, **options: Any) -> Settings:
    """Settings from the environment and the options that were given; raises InputError."""
    from pydantic import ValidationError

    from modalities.errors import InputError
    from server.settings import Settings

    given = {name: value for name, value in options.items() if value is not None}
    for pair in other or []:
        name, separator, value = pair.partition("=")
        if not separator:
            raise InputError("NAME=VALUE is needed", "--set")
        given[name] = value
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(first["msg"], ".".join(map(str, first["loc"]))) from None
