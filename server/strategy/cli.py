"""`emotion rules`: a rule book checked, shown, and applied to what is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from server.strategy import DEFAULT_BOOK

rules_app = typer.Typer(help="The rule book that advises agents.", no_args_is_help=True)

File = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A rule book.")
]
Rules = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        exists=True,
        dir_okay=False,
        envvar="EMOTION_RULES",
        show_default="the default book",
        help="A rule book.",
    ),
]


@rules_app.command()
def check(file: File) -> None:
    """Say whether a rule book is right, else what is wrong in which line (exit status 2)."""
    from server.strategy.book import Book

    book = Book.load(file)
    print(f"{file}: {len(book.rules)} rules, revision {book.revision}")


@rules_app.command("list")
def list_rules(rules: Rules = DEFAULT_BOOK) -> None:
    """Show the rules, the most urgent first."""
    from rich.console import Console
    from rich.table import Table

    from server.strategy.book import Book

    book = Book.load(rules)
    table = Table("priority", "rule", "when", "advice", box=None, header_style="bold")
    for rule in book.rules:
        advice = f"{rule.advice.en}\n{rule.advice.zh}"
        table.add_row(str(rule.priority), rule.name, " ".join(rule.when.split()), advice)
    Console().print(table)
    print(f"{len(book.rules)} rules, revision {book.revision}")


@rules_app.command()
def apply(
    store: Annotated[str, typer.Option(metavar="URL", help="The store, or its SQLite file.")],
    rules: Rules = DEFAULT_BOOK,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object.")] = False,
) -> None:
    """Advise once more on all that is stored, by another book; nothing but the advice changes."""
    from server.store.archive import Archive
    from server.strategy.book import Book
    from server.strategy.reapply import reapply

    book = Book.load(rules)
    archive = Archive(store)
    try:
        changes = reapply(archive, book)
    finally:
        archive.close()
    if as_json:
        print(json.dumps(vars(changes) | {"book_revision": book.revision}))
        return
    print(f"{changes.conversations} conversations, rule book {book.revision}")
    for name in ("added", "removed", "changed", "unchanged"):
        print(f"{name:>10} {getattr(changes, name)}")
    for rule, n_moments in sorted(changes.not_evaluable.items()):
        print(f"NOT_EVALUABLE {rule}: at {n_moments} moments, what it asks of was not stored")
    if changes.ongoing:
        print(f"{changes.ongoing} conversations still go on and were left alone")
