"""The states of a Whisper encoder over the voice sets, computed once and kept on disk.

The encoder costs minutes an hour of speech, a head seconds: what the encoder says of each clip,
as it is and damaged, is computed in parts, and a run that was killed goes on with the next part.
"""

from __future__ import annotations

import time
import zlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from whisper.model import AudioEncoder

from modalities.model import alike
from modalities.voice.prepare import noise_floor, power, snr_db
from modalities.voice.states import N_BLOCKS, digest_of, encode_waves, first_blocks
from modalities.voice.stream import SAMPLE_RATE_HZ
from modalities.voice.utterance import highs_db, statistics, tones
from training import augment
from training.clips import cached_waves
from training.loop import fingerprint
from training.rows import Row

LONGEST_S = 4.0  # of a clip that is heard
PART = 64  # clips
BATCH_S = 24.0
# Of a larger set as many clips, spread over its speakers and labels; of every second the copy.
MOST = {"nemo": 1500, "emospeech": 600, "turev": 600}
VERSION = 1


@dataclass(frozen=True, eq=False)
class Heard:
    """What was heard in a row's speech, "clean" or in a "drawn" copy of it: statistics of the
    layers (layers, 2, d) in fp16, functionals of the tone (f,), SNR, level and highs in dB (3,)."""

    row: Row
    copy: str
    states: Tensor
    tone: Tensor
    quality: Tensor


def sampled(rows: Sequence[Row]) -> list[Row]:
    """Choose the clips of each set that are heard: MOST, evenly from its speakers and labels."""
    sets: dict[str, list[Row]] = defaultdict(list)
    for row in dict.fromkeys(rows):
        if row.emotion:
            sets[row.data_set].append(row)
    chosen: list[Row] = []
    for name, of_set in sets.items():
        cells: dict[tuple[str, str | None], list[Row]] = defaultdict(list)
        for row in sorted(of_set, key=lambda row: zlib.crc32(Path(row.content).name.encode())):
            cells[row.speaker, row.emotion].append(row)
        order = [
            row
            for turn in range(max(map(len, cells.values())))
            for cell in cells.values()
            for row in cell[turn : turn + 1]
        ]
        chosen += order[: MOST.get(name, len(order))]
    return chosen


def heard(
    encoder: AudioEncoder, rows: Sequence[Row], splits: Collection[str], folder: Path
) -> list[Heard]:
    """Give what the encoder's first blocks hear in the rows of some splits, computing what
    `folder` lacks. Large sets are sampled as a whole, so that each clip is heard once."""
    digest = digest_of(first_blocks(encoder.state_dict()))
    folder = folder / f"{digest[:12]}-{VERSION}"
    kept: dict[tuple[str, str], tuple[Tensor, Tensor, Tensor]] = {}
    for path in folder.glob("*.pt"):
        _take(path, kept)
    wanted = [
        (copy, [row for row in part if row.split in splits]) for copy, part in parts(sampled(rows))
    ]
    for copy, part in wanted:
        missing = [row for row in part if (row.content, copy) not in kept]
        if not missing:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        key = fingerprint([row.content for row in missing], copy)[:16]
        path = folder / f"{Path(part[0].data_set).stem}-{copy}-{key}.pt"
        begun = time.monotonic()
        computed = compute(encoder, missing, copy, folder / "waves")
        partial = path.with_suffix(".partial")
        torch.save({"names": [row.content for row in missing], "copy": copy, **computed}, partial)
        partial.replace(path)
        spent = (time.monotonic() - begun) / len(missing) * 1000
        print(f"{path.name}: {len(missing)} clips, {spent:.0f} ms each", flush=True)
        _take(path, kept)
    return [Heard(row, copy, *kept[row.content, copy]) for copy, part in wanted for row in part]


def _take(path: Path, kept: dict[tuple[str, str], tuple[Tensor, Tensor, Tensor]]) -> None:
    """Add what a file of `heard` holds."""
    found = torch.load(path, weights_only=True)
    for place, name in enumerate(found["names"]):
        kept[name, found["copy"]] = tuple(
            found[part][place] for part in ("states", "tone", "quality")
        )


def parts(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Cut rows into parts of a set and a copy, the sets in turn: what is there at any moment is of
    all of them. Of every second row there is a damaged copy."""
    sets: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        sets[row.data_set].append(row)
    found: list[tuple[float, str, list[Row]]] = []
    for of_set in sets.values():
        n = -(-len(of_set) // PART)
        for place in range(n):
            part = of_set[place * PART : (place + 1) * PART]
            found.append((place / n, "clean", part))
            found.append(((place + 0.5) / n, "drawn", part[::2]))
    return [(copy, part) for _, copy, part in sorted(found, key=lambda one: one[:2])]


@torch.inference_mode()
def compute(
    encoder: AudioEncoder, rows: Sequence[Row], copy: str, folder: Path
) -> dict[str, Tensor]:
    """Hear a part of one copy: see `Heard`."""
    device = str(next(encoder.parameters()).device)
    waves = []
    found_in = cached_waves(folder, [row.content for row in rows])
    for row, (wave, start, end) in zip(rows, found_in, strict=True):
        span = wave[start : min(end, start + round(LONGEST_S * SAMPLE_RATE_HZ))]
        samples = (span / 32768).astype(np.float32)
        if copy == "drawn":
            rng = np.random.default_rng(zlib.crc32(Path(row.content).name.encode()))
            samples = augment.drawn(samples, rng)
        waves.append(samples)
    tensors = [torch.from_numpy(wave).to(device) for wave in waves]
    states: dict[int, Tensor] = {}
    n_mels = encoder.conv1.in_channels
    for places in alike([len(wave) / SAMPLE_RATE_HZ + 1 for wave in waves], BATCH_S):
        found, positions = encode_waves(encoder, [tensors[p] for p in places], n_blocks=N_BLOCKS)
        summed = statistics(found, positions).half().cpu()
        for row_of, place in enumerate(places):
            states[place] = summed[row_of]
    quality = [
        (
            snr_db(power(wave), noise_floor(wave)),
            10 * float(np.log10(max(power(wave), 1e-10))),
            highs_db(tensor),
        )
        for wave, tensor in zip(waves, tensors, strict=True)
    ]
    return {
        "states": torch.stack([states[place] for place in range(len(waves))]),
        "tone": torch.cat([tones([wave], n_mels).cpu() for wave in tensors]),
        "quality": torch.tensor(quality),
    }
