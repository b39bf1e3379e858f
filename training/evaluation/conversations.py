"""Rated conversations: those of a set, or a file's JSON list of
{id, turns: [[role, [message, …]], …], satisfaction_mean}."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalities.errors import InputError, UnavailableError
from modalities.text.prepare import MOST_TURNS, Turn
from training.data import helpdesk, text_rows
from training.rows import Row

HELPDESK = {"helpdesk_zh": "zh", "helpdesk_en": "en"}
WRITTEN = "written_conversations"  # the text set of their turns is "written_turns"
NAMED = (*HELPDESK, WRITTEN)
CUSTOMER = "customer"  # the role of the turns that are judged

Dialogue = dict[str, Any]


def is_dialogues(source: str) -> bool:
    return source in NAMED or source.endswith((".json", ".json.gz"))


def load(source: str, split: str | None = None) -> list[Dialogue]:
    """Dialogues of a named set or a file; of one `split` where it is given. A file without splits
    is taken whole, as manifests are.

    Raises InputError on a file that does not hold them, or has none of the split.
    """
    if source in HELPDESK:
        language = HELPDESK[source]
        found = [{**dialogue, "lang": language} for dialogue in helpdesk(language)]
    else:
        found = _written() if source == WRITTEN else _read(Path(source))
    if split is not None and any(dialogue.get("split") for dialogue in found):
        found = [dialogue for dialogue in found if dialogue.get("split") == split]
        if not found:
            raise InputError(f"{source} has no split {split}", "split")
    return [{"data_set": source, **dialogue} for dialogue in found]


def row_of(dialogue: Dialogue) -> Row:
    """The customer's side as one item: its messages a line each, and the raters' mean."""
    return Row(
        dialogue["data_set"],
        "\n".join(turn.content for turn in turns_of(dialogue)),
        dialogue.get("split", ""),
        str(dialogue.get("satisfaction_mean", "")),
        rating=dialogue.get("satisfaction_mean"),
        language=str(dialogue.get("lang", "")),
        dialogue=str(dialogue["id"]),
    )


def turns_of(dialogue: Dialogue) -> list[Row]:
    """The customer's turns that have words, each with the turns before it."""
    spoken = said(dialogue)
    return [
        Row(
            dialogue["data_set"],
            text,
            "",
            "",
            dialogue=str(dialogue["id"]),
            before=before(spoken[:place], role),
        )
        for place, (role, text) in enumerate(spoken)
        if role == CUSTOMER
    ]


def said(dialogue: Dialogue) -> list[tuple[str, str]]:
    """(role, text) of each turn that has words, its messages a line each."""
    turns = [
        (role, "\n".join(message.strip() for message in messages if message.strip()))
        for role, messages in dialogue["turns"]
    ]
    return [(role, text) for role, text in turns if text]


def before(spoken: Sequence[tuple[str, str]], role: str) -> tuple[Turn, ...]:
    """Of the turns `spoken` so far, those that the next one, of `role`, is read with."""
    return tuple(Turn(other == role, text) for other, text in spoken[-MOST_TURNS:])


def satisfaction(weights: Path, dialogues: Sequence[Dialogue]) -> NDArray[np.float64] | None:
    """The satisfaction head's answers (n,); None where none lies beside the text weights."""
    from training.satisfaction import predict

    try:
        return predict(weights.parent, dialogues)
    except UnavailableError:
        return None


def _written() -> list[Dialogue]:
    """Their one satisfaction stands for a raters' mean."""
    made: dict[str, Dialogue] = {}
    for row in text_rows("written_turns"):
        dialogue = made.setdefault(
            row["dialogue"],
            {
                "id": row["dialogue"],
                "turns": [],
                "satisfaction_mean": float(row["satisfaction"]),
                "lang": row["lang"],
                "split": row["split"],
            },
        )
        dialogue["turns"].append([row["speaker"], [row["text"]]])
    return list(made.values())


def _read(path: Path) -> list[Dialogue]:
    try:
        opener: Any = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as file:
            dialogues = json.load(file)
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__})", "data") from error
    if not isinstance(dialogues, list):
        raise InputError(f"{path} is no list of dialogues", "data")
    for number, dialogue in enumerate(dialogues, 1):
        if not _is_whole(dialogue):
            raise InputError(
                f"{path}: dialogue {number} needs id, turns as [role, [message, …]] "
                f"(one of them a {CUSTOMER}'s with words) and satisfaction_mean",
                "data",
            )
    return dialogues


def _is_whole(dialogue: Any) -> bool:
    try:
        rating = dialogue.get("satisfaction_mean")
        has_words = any(role == CUSTOMER for role, _ in said(dialogue))
        return "id" in dialogue and has_words and (rating is None or float(rating) == rating)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
