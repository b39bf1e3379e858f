"""Judge a folder of screenshots, and say it as JSON and as a table."""

from __future__ import annotations

import json
import os
import platform
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.screenshots import readers
from bench.screenshots.readers import CachedOcr, Reading
from bench.screenshots.score import Counts, Truth, figures, judge, judge_merge
from modalities.errors import UnavailableError

SLICES = ("layout", "screen", "mode", "language", "group", "damage")


def score(
    folder: Path,
    names: Sequence[str],
    ocr_cache: Path | None = None,
    only: Sequence[str] = ("",),
    faults_path: Path | None = None,
) -> dict[str, Any]:
    """Figures of each named reader on the pictures of `folder`: clean, damaged, and by slice.

    Right-to-left texts are a slice of their own, in neither `clean` nor `damaged`: the OCR reads
    none of them. A reader that cannot run is left out with its reason.
    """
    truths: list[Truth] = [json.loads(p.read_text()) for p in sorted(folder.glob("*.json"))]
    truths = [truth for truth in truths if any(one in truth["file"] for one in only)]
    cached = CachedOcr(ocr_cache)
    skipped: dict[str, str] = {}
    if "tesseract" in names:
        try:
            readers.check_tesseract()
        except UnavailableError as error:
            skipped["tesseract"] = str(error)
    names = [name for name in names if name not in skipped]
    sums: dict[str, dict[str, Counts]] = {name: defaultdict(Counts) for name in names}
    faults: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    series: dict[str, dict[int, tuple[Truth, Reading]]] = defaultdict(dict)
    for truth in truths:
        pixels = readers.pixels_of(folder / truth["file"])
        lines = cached.read(pixels)
        page = truth["series"][1] if truth["series"] else 0
        for name in names:
            reading = readers.READERS[name](pixels, lines, page)
            judged = judge(truth, reading)
            faults[name][truth["file"]] = judged.faults
            for part in _parts(truth):
                sums[name][part].add(judged.counts)
            if name == "ours" and truth["series"]:
                series[truth["series"][0]][page] = (truth, reading)
    made: dict[str, Any] = {
        "folder": folder.name,
        "pictures": len(truths),
        "machine": f"{platform.machine()}-{os.cpu_count()}cpu",
        "versions": {name: version(name) for name in ("rapidocr", "onnxruntime")},
        "readers": {
            name: {part: figures(counts) for part, counts in sorted(sums[name].items())}
            for name in names
        },
        "skipped": skipped,
    }
    if series:
        made["merged"], faults["merged"] = _merges(series)
    if faults_path:
        faults_path.write_text(json.dumps(faults, indent=1, ensure_ascii=False) + "\n")
    return made


def _parts(truth: Truth) -> list[str]:
    if truth["language"] == "rtl":
        return ["language rtl"]
    condition = "clean" if truth["damage"] == "none" else "damaged"
    return [condition, *(f"{key} {str(truth[key]).lower()}" for key in SLICES)]


def _merges(
    series: dict[str, dict[int, tuple[Truth, Reading]]],
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    exact, faults = 0, {}
    for name, pages in series.items():
        ordered = [pages[page] for page in sorted(pages)]
        merged = readers.merge_ours([reading for _, reading in ordered])
        held, faults[name] = judge_merge([truth for truth, _ in ordered], merged)
        exact += held
    return {"series": len(series), "exact": exact}, faults


def markdown(made: dict[str, Any]) -> str:
    """A table of the readers, one of our reader's slices, and the rest in sentences."""
    keys = ("side", "order_exact", "character_error_rate", "kept_out")
    lines = [
        "| reader | pictures | side | order exact | character errors | lines kept out |",
        "|---|---|---|---|---|---|",
    ]
    for name, parts in made["readers"].items():
        for part in ("clean", "damaged"):
            if part in parts:
                row = [_percent(parts[part][key]) for key in keys]
                lines.append(f"| {name}, {part} | {parts[part]['pictures']} | {' | '.join(row)} |")
    lines += [f"| {name} | skipped: {why} |" for name, why in made["skipped"].items()]
    if "ours" in made["readers"]:
        lines += ["", "Ours by slice, clean and damaged together:", "", *lines[:2]]
        for part, found in made["readers"]["ours"].items():
            if part not in ("clean", "damaged"):
                row = [_percent(found[key]) for key in keys]
                lines.append(f"| {part} | {found['pictures']} | {' | '.join(row)} |")
    if "merged" in made:
        merged = made["merged"]
        lines += ["", f"Merged exactly: {merged['exact']} of {merged['series']} series."]
    if "speed" in made:
        lines += ["", *(f"{key}: {value}" for key, value in made["speed"].items())]
    return "\n".join(lines) + "\n"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
