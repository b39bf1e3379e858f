"""`emotion alerts`: what could not be delivered."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from server.options import Set, settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from server.alerts.letters import DeadLetter
    from server.settings import Settings

SOME_FAILED = 3  # exit status, beside those of every command

alerts_app = typer.Typer(help="Alerts that no receiver took.", no_args_is_help=True)


@alerts_app.command("dead-letters")
def dead_letters(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one list.")] = False,
    other: Set = None,
) -> None:
    """Show the alerts that were given up, the oldest first."""
    from server.alerts.letters import DeadLetters

    letters = DeadLetters(_folder(settings_of(other))).read()
    if as_json:
        import json

        print(json.dumps([_shown(one) for one in letters], ensure_ascii=False, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("alert", "raised", "kind", "of", "receiver", "reason", box=None)
    for shown in map(_shown, letters):
        table.add_row(*(str(shown[name]) for name in shown if name != "alert"))
    Console().print(table if letters else "no dead letters")


@alerts_app.command()
def resend(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of alerts; all where none.")
    ] = None,
    other: Set = None,
) -> None:
    """Send dead letters once more; what is taken is no dead letter any more.

    A server may run meanwhile. Exit status: 0 all were taken, 3 some were not, 2 no such id.
    """
    settings = settings_of(other)
    from modalities.errors import InputError
    from server.alerts.letters import DeadLetter, DeadLetters
    from server.alerts.webhook import Delivery, DeliveryError, Poster, host_of

    poster = Poster(
        settings.alert_webhooks,
        settings.alert_webhook_secret.get_secret_value(),
        Delivery().timeout_s,
    )
    letters = DeadLetters(_folder(settings))
    found = letters.read()
    if unknown := set(ids or ()) - {dead.letter.id for dead in found}:
        raise InputError(f"there is no dead letter {min(unknown)}", "ID")
    taken, failed = [], {}
    for dead in found:
        if ids and dead.letter.id not in ids:
            continue
        try:
            poster.post(dead.letter)
            taken.append(dead.letter)
        except DeliveryError as error:
            failed[dead.letter] = str(error)
            host = host_of(dead.letter.url)
            print(f"emotion: {dead.letter.id} to {host}: {error}", file=sys.stderr)

    def left(dead: DeadLetter) -> DeadLetter | None:
        if dead.letter in taken:
            return None
        return DeadLetter(dead.letter, failed.get(dead.letter, dead.reason))

    letters.update(left)
    print(f"{len(taken)} were taken, {len(failed)} were not")
    if failed:
        raise typer.Exit(SOME_FAILED)


def _folder(settings: Settings) -> Path:
    from modalities.errors import InputError

    if settings.alerts is None or not settings.alerts.is_dir():
        raise InputError("the folder of the alerts is needed: --set alerts=DIR", "alerts")
    return settings.alerts


def _shown(dead: DeadLetter) -> dict[str, object]:
    """`alert` is all of it, the rest what a table shows."""
    import json

    alert = json.loads(dead.letter.body)
    return {
        "id": dead.letter.id,
        "create_time": alert["create_time"],
        "kind": alert["kind"],
        "of": alert.get("name") or alert["scope"],
        "receiver": dead.letter.url,
        "reason": dead.reason,
        "alert": alert,
    }
