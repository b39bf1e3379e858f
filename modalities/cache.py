"""The user's cache: what was fetched once and is used from then on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from modalities.errors import UnavailableError

STDERR = 2  # pip draws its bars on stdout, which is for what a command answers


def cache_dir() -> Path:
    """Give the folder: `emotion` in XDG_CACHE_HOME, which is ~/.cache where it is not set."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "emotion"


def download_wheels(folder: Path, *wanted: str) -> None:
    """Download wheels that `wanted`, arguments of pip's, name from the package index, without what
    they depend on; raises UnavailableError with pip's last line where that fails."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    options = ["--disable-pip-version-check", "--dest", str(folder)]
    done = subprocess.run(
        [*command, *options, *wanted], check=False, stdout=STDERR, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise UnavailableError(last, "see pip's configuration")
