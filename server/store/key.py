"""The key of the store's hashes: from the environment or a file, made once, never told."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from modalities.errors import InputError, UnavailableError

N_BYTES = 32


def key_path(store: str, path: Path | None) -> Path:
    """`path`, or where the key of an SQLite store lies: beside it. Raises InputError where that
    is nowhere."""
    if path is not None:
        return path
    file = store.removeprefix("sqlite:///")
    if "://" in file:
        raise InputError("a store on a server needs a file for its key", "store_key_file")
    return Path(f"{file}.key")


def key_of(store: str, key: str | None, path: Path | None) -> bytes:
    """`key` in hexadecimal digits where it is given, else what its file holds; raises as
    `parse_key`, `key_path` and `read_key`."""
    return parse_key(key) if key is not None else read_key(key_path(store, path))


def make_key(path: Path) -> bool:
    """Write a new key, readable by its owner alone, where there is no file; whether it was made."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({type(error).__name__})", "store_key"
        ) from None
    with os.fdopen(file, "w") as out:
        out.write(secrets.token_hex(N_BYTES) + "\n")
    return True


def read_key(path: Path) -> bytes:
    """Raises UnavailableError where there is no key, InputError where it is none."""
    try:
        return parse_key(path.read_text("ascii"))
    except (OSError, UnicodeError) as error:
        raise UnavailableError(
            f"the store's key {path} cannot be read ({type(error).__name__})",
            "make it with 'emotion store migrate', or bring back the one that belongs to the store",
        ) from None


def parse_key(written: str) -> bytes:
    """From hexadecimal digits; raises InputError, which does not quote them."""
    try:
        key = bytes.fromhex(written)
    except ValueError:
        key = b""
    if len(key) < N_BYTES:
        raise InputError(f"at least {2 * N_BYTES} hexadecimal digits are needed", "store_key")
    return key
