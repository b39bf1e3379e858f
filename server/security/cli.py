"""`emotion tokens`: who may call a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.security.scopes import Scope

tokens_app = typer.Typer(help="Bearer tokens of a server.", no_args_is_help=True)

File = Annotated[
    Path,
    typer.Option(
        "--file", envvar="EMOTION_TOKENS", dir_okay=False, help="The server's setting tokens."
    ),
]
Quota = Annotated[int | None, typer.Option(min=1, help="At most; no limit by default.")]


@tokens_app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    file: File,
    scope: Annotated[list[Scope], typer.Option(help="What it allows; repeat for several.")],
    expires_days: Annotated[
        float | None, typer.Option(min=0, help="Days for which it is valid; for ever by default.")
    ] = None,
    requests_per_minute: Quota = None,
    requests_per_day: Quota = None,
    bytes_per_minute: Quota = None,
    bytes_per_day: Quota = None,
) -> None:
    """Make a token and print it, this once: only its hash is kept. A running server takes it."""
    from datetime import UTC, datetime, timedelta

    from server.security.tokens import TokenFile

    days = None if expires_days is None else timedelta(days=expires_days)
    token, bearer = TokenFile(file).create(
        name,
        scope,
        None if days is None else datetime.now(UTC) + days,
        requests_per_minute=requests_per_minute,
        requests_per_day=requests_per_day,
        bytes_per_minute=bytes_per_minute,
        bytes_per_day=bytes_per_day,
    )
    typer.echo(f"token {token.id} of {name}, kept in {file}", err=True)
    typer.echo(bearer)


@tokens_app.command("list")
def list_tokens(file: File) -> None:
    """Show the tokens of a file: ids, scopes, expiry and quotas."""
    from rich.console import Console
    from rich.table import Table

    from server.security.tokens import TokenFile

    table = Table("id", "name", "scopes", "created", "expires", "quotas", box=None)
    for token in TokenFile(file).read():
        quotas = [
            f"{amount:,} {name.replace('_', ' ')}"
            for name, amount in token.model_dump().items()
            if "_per_" in name and amount is not None
        ]
        expires = f"{token.expires_at:%Y-%m-%d %H:%M}" if token.expires_at else "never"
        table.add_row(
            token.id,
            token.name,
            " ".join(token.scopes),
            f"{token.created_at:%Y-%m-%d %H:%M}",
            "expired" if token.expired else expires,
            ", ".join(quotas) or "-",
        )
    Console().print(table)


@tokens_app.command()
def revoke(
    identity: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")], file: File
) -> None:
    """Take a token back. A running server refuses it within a second, in live calls too."""
    from server.security.tokens import TokenFile

    TokenFile(file).revoke(identity)
    typer.echo(f"token {identity} is revoked")
