"""Files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_whole(path: Path, content: Any) -> None:
    """Write a file as a whole, or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
