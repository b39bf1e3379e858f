"""Labels → a manifest that `emotion learn` takes.

One in five conversations, chosen by their keys, is held out as `dev`: so none is in two splits,
and a label that comes later does not move one.
"""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

from modalities.errors import InputError
from modalities.reading import Source
from server.feedback.labels import Label, Labels
from server.store.archive import Archive
from server.store.records import ContentNotStoredError

WORDS = (Source.TEXT, Source.TRANSCRIPT, Source.IMAGE_TEXT)
FILES = {"voice": (Source.VOICE, ".flac"), "image": (Source.VISION, ".png")}
HELD_OUT = 5  # one in so many conversations


def write_manifest(archive: Archive, part: str, out: Path) -> tuple[int, int]:
    """Rows written, and labels left out because the store has no content of them.

    Files of sound or pictures are written into a folder beside the manifest, named after it.
    Raises InputError where no label can be written.
    """
    key = "text" if part == "text" else "file"
    rows, n_without = [], 0
    for label in Labels(archive.engine).latest():
        content = _content(archive, label, part, out)
        if not content:
            n_without += 1
            continue
        rows.append(
            {
                key: content,
                "label": label.name,
                "dialogue": f"{label.conversation:016x}",
                "split": split_of(label.conversation),
            }
        )
    if not rows:
        raise InputError(f"none of {n_without} labels has its content in the store", "store")
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, (key, "label", "dialogue", "split"), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows), n_without


def split_of(conversation: int) -> str:
    """By the key's hash, so that it is always the same."""
    digest = hashlib.sha256(conversation.to_bytes(8, "little")).digest()
    return "dev" if digest[0] % HELD_OUT == 0 else "train"


def _content(archive: Archive, label: Label, part: str, out: Path) -> str:
    """A text, or the path of a file relative to the manifest; empty where there is none."""
    try:
        kept = archive.content(label.conversation, label.number)
    except ContentNotStoredError:
        kept = {}
    if part == "text":
        words = (kept[source].decode() for source in WORDS if source in kept)
        return label.content or next(words, "")
    source, suffix = FILES[part]
    if source not in kept:
        return ""
    folder = out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{label.conversation:016x}-{label.number}{suffix}"
    file.write_bytes(kept[source])
    return f"{folder.name}/{file.name}"
