"""`emotion store`: the store made, looked at, checked, and emptied of what must go."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.options import Set, settings_of
from server.strategy import DEFAULT_BOOK
from server.strategy.cli import Rules

if TYPE_CHECKING:
    from server.store.records import StoredConversation

DIFFERENT = 3  # exit status, beside those of every command

store_app = typer.Typer(help="What was scored, as it is kept.", no_args_is_help=True)

Url = Annotated[
    str,
    typer.Option(
        "--store", metavar="URL", envvar="EMOTION_STORE", help="The store, or its SQLite file."
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        envvar="EMOTION_STORE_KEY",
        hidden=True,  # who lists processes sees options
        help="Its key, in hexadecimal digits.",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        envvar="EMOTION_STORE_KEY_FILE",
        help="The file of its key. [default: beside an SQLite store]",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@store_app.command()
def migrate(store: Url, key: Key = None, key_file: KeyFile = None) -> None:
    """Make the store, or bring its tables to this version; make its key where there is none."""
    from server.store.key import key_of, key_path, make_key
    from server.store.store import Store

    if key is None and make_key(path := key_path(store, key_file)):
        print(f"a new key, without which nobody can be erased: {path}")
    opened = Store.open(store, key=key_of(store, key, key_file))
    counts = opened.counts()
    opened.close()
    _print_counts(counts)


@store_app.command()
def show(
    store: Url,
    request_id: Annotated[str | None, typer.Argument(help="Of one request; else a count.")] = None,
    as_json: Json = False,
) -> None:
    """Show how much is stored, or what of one request."""
    from modalities.errors import InputError
    from server.store.archive import Archive

    with closing(Archive(store)) as archive:
        found = archive.find(request_id) if request_id is not None else None
        counts = archive.counts() if found is None else {}
    if found is None:
        print(json.dumps(counts)) if as_json else _print_counts(counts)
    elif not found:
        raise InputError("nothing of that request is stored", "request_id")
    elif as_json:
        print(json.dumps([_as_json(one) for one in found], ensure_ascii=False, indent=2))
    else:
        for one in found:
            _print_conversation(one)


@store_app.command()
def verify(
    store: Url, rules: Rules = DEFAULT_BOOK, as_json: Json = False, other: Set = None
) -> None:
    """Compute all scores, shares and advice again from what the sources said, and compare.

    What another revision of the fusion model or of the rule book made is counted and left out.
    Exit status: 0 all agrees, 3 something does not.
    """
    settings = settings_of(other)
    from fusion.pool import FusionPool
    from server.models import verified
    from server.store.archive import Archive
    from server.store.records import OtherRevisionError
    from server.store.reproduce import advice_differences, differences
    from server.strategy.book import Book

    pool, book = FusionPool.load(verified(settings.weights, "fusion")), Book.load(rules)
    counts = Counter(conversations=0, moments=0, differences=0, other_models=0, other_books=0)
    with closing(Archive(store)) as archive:
        for conversation in archive.conversations():
            counts["conversations"] += 1
            wrong: list[str] = []
            try:
                wrong += differences(conversation, pool)
                counts["moments"] += len(conversation.moments)
            except OtherRevisionError:
                counts["other_models"] += 1
            if conversation.book_revision == book.revision:
                wrong += advice_differences(conversation, book)
            else:
                counts["other_books"] += 1
            counts["differences"] += len(wrong)
            for line in wrong if not as_json else ():
                print(f"{conversation.info.request_id}: {line}")
    print(json.dumps(counts)) if as_json else _print_counts(counts)
    if counts["differences"]:
        raise typer.Exit(DIFFERENT)


@store_app.command()
def rerun(
    store: Url,
    request_id: Annotated[str | None, typer.Argument(help="One request; else all.")] = None,
    key: Key = None,
    key_file: KeyFile = None,
    as_json: Json = False,
    other: Set = None,
) -> None:
    """Run the models again on the content that was kept, and compare what they read.

    By the models that read it then, from the bundle or the registry (EMOTION_REGISTRY).
    Exit status: 0 nothing differs, 3 something does.
    """
    import asyncio

    from fusion.pool import FusionPool
    from modalities.errors import InputError
    from server.models import Models, verified
    from server.store.archive import Archive
    from server.store.key import key_of
    from server.store.records import ContentNotStoredError
    from server.store.rerun import Outcome, Rerunner

    settings, known = settings_of(other), key_of(store, key, key_file)
    device = settings.resolved_device()
    models = Models(device, FusionPool.load(verified(settings.weights, "fusion"), device))
    counts = Counter({"conversations": 0} | {outcome.value: 0 for outcome in Outcome})
    with closing(Archive(store)) as archive:
        rerunner = Rerunner(archive, known, settings, models)
        found = archive.conversations() if request_id is None else archive.find(request_id)
        for conversation in found:
            counts["conversations"] += 1
            try:
                read = asyncio.run(rerunner.rerun(conversation))
            except ContentNotStoredError:
                if request_id is not None:
                    raise
                counts[Outcome.NOT_STORED] += 1
                continue
            for one in read:
                counts[one.outcome] += 1
                if not as_json and (request_id is not None or one.outcome is not Outcome.SAME):
                    now = "-" if one.now is None else f"{one.now:+.4f}"
                    print(
                        f"{conversation.info.request_id}: moment {one.number}: {one.source} "
                        f"{one.stored:+.4f}, now {now}: {one.outcome} {one.reason}".rstrip()
                    )
    if request_id is not None and not counts["conversations"]:
        raise InputError("nothing of that request is stored", "request_id")
    print(json.dumps(counts)) if as_json else _print_counts(counts)
    if counts[Outcome.DIFFERENT]:
        raise typer.Exit(DIFFERENT)


@store_app.command()
def erase(
    store: Url,
    customer_id: Annotated[str, typer.Argument(help="As it came in Context.customer_id.")],
    key: Key = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Delete all that there is of a customer, beyond recovery from the store's files."""
    from server.store.key import key_of
    from server.store.store import Store

    known = key_of(store, key, key_file)
    opened = Store.open(store, key=known)  # refuses another store's key
    try:
        counts = opened.erase(customer_id, known)
    finally:
        opened.close()
    print(json.dumps(counts)) if as_json else _print_counts(counts)


@store_app.command()
def expire(
    store: Url,
    days: Annotated[
        float,
        typer.Option(min=0, envvar="EMOTION_STORE_RETENTION_DAYS", help="Keep what is younger."),
    ],
    as_json: Json = False,
) -> None:
    """Delete the conversations that began longer ago; a server that runs does so each hour."""
    from server.store.archive import Archive

    with closing(Archive(store)) as archive:
        counts = archive.expire(days)
    print(json.dumps(counts)) if as_json else _print_counts(counts)


def _print_counts(counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        print(f"{name.replace('_', ' '):>14} {count}")


def _print_conversation(stored: StoredConversation) -> None:
    from rich.console import Console
    from rich.table import Table

    about = stored.info
    print(f"{about.request_id} {about.method} {about.started_at:%Y-%m-%d %H:%M:%S} UTC")
    table = Table("moment", "role", "score", "shares", "advice", box=None, header_style="bold")
    for moment in stored.moments:
        table.add_row(
            str(moment.number),
            str(moment.role or "-"),
            "-" if moment.score is None else f"{moment.score:+.2f}",
            ", ".join(f"{source} {share:.0%}" for source, share in moment.shares.items()),
            ", ".join(one.rule for one in moment.advice),
        )
    Console().print(table)


def _as_json(stored: StoredConversation) -> dict[str, object]:
    about = stored.info
    return {
        "request_id": about.request_id,
        "method": about.method,
        "started_at": about.started_at.isoformat(),
        "ended_at": stored.ended_at and stored.ended_at.isoformat(),
        "conversation_id": about.conversation_id,
        "customer": about.customer_id,
        "agent": about.agent_id,
        "channel": about.channel,
        "language": about.language,
        "tags": about.tags,
        "satisfaction": stored.satisfaction,
        "versions": stored.versions,
        "book_revision": stored.book_revision,
        "not_evaluable": stored.not_evaluable,
        "moments": [
            {
                "number": moment.number,
                "index": moment.index,
                "role": moment.role,
                "start_s": moment.start_s,
                "end_s": moment.end_s,
                "score": moment.score,
                "facts": moment.facts,
                "advice": [asdict(one) for one in moment.advice],
                "readings": [
                    {
                        "source": reading.source,
                        "log_sentiment": reading.log_sentiment.tolist(),
                        "log_emotions": reading.log_emotions.tolist(),
                        "quality": asdict(reading.quality),
                        "contribution": moment.contributions[reading.source],
                        "share": moment.shares[reading.source],
                        "hash": moment.hashes.get(reading.source),
                    }
                    for reading in moment.readings
                ],
            }
            for moment in stored.moments
        ],
    }
