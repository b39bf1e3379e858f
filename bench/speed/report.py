"""The sections' figures as JSON and as one page."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

FOLDER = Path(__file__).parents[1]
RESULTS = FOLDER / "results"
PAGE = FOLDER / "RESULTS.md"
PACKAGES = (
    "torch", "transformers", "openai-whisper", "faster-whisper", "ctranslate2", "rapidocr",
    "onnxruntime", "silero-vad", "grpcio",
)  # fmt: skip
NOT_YET = "not yet measured"


def machine() -> str:
    return f"{platform.machine()}-{os.cpu_count()}cpu"


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write(sections: dict[str, dict[str, Any]]) -> Path:
    """Write results/<machine>.json and the page; `costs` joins those of all sections."""
    costs: dict[str, Any] = {}
    for section in sections.values():
        costs |= section["costs"]
    report = {
        "command": "make bench",
        "machine": machine(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": versions(),
        "costs": costs,
        "sections": sections,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{machine()}.json"
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    gpus = [json.loads(file.read_text()) for file in sorted(RESULTS.glob("gpu-*.json"))]
    PAGE.write_text(page(report, gpus))
    return path


def page(report: dict[str, Any], gpus: list[dict[str, Any]]) -> str:
    named = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    lines = [
        "# Results",
        "",
        f"By `{report['command']}` on {report['machine']} ({report['processor']}), "
        f"{report['torch_threads']} threads, Python {report['python']}, {named}. Ours and its "
        "baseline take turns, after a round that does not count; figures are medians of the "
        "rounds, and a ratio is the median of the rounds' own, above 1 where ours is better. "
        "Ratios are what counts: seconds are of this machine on that day.",
    ]
    for section in report["sections"].values():
        lines += ["", f"## {section['title']}", "", section["how"]]
        lines += ["", f"Commit {section['commit']}, {section['date']}, {section['seconds']:g} s."]
        if section["rows"]:
            keys = ("name", "baseline", "ours", "theirs", "unit", "ratio")
            heads = ("what", "baseline", "ours", "baseline's", "unit", "ratio")
            lines += [
                "",
                *_table(
                    [{h: r[k] for h, k in zip(heads, keys, strict=True)} for r in section["rows"]]
                ),
            ]
        for caption, table in section["tables"].items():
            lines += ["", f"{caption}:", "", *_table(table)]
    lines += ["", "## For sizing", "", *_table([_flat(report["costs"])])]
    lines += ["", "## GPU", ""]
    if not gpus:
        lines.append(f"`python -m bench.gpu`: {NOT_YET}; no GPU was at hand.")
    for gpu in gpus:
        lines += [f"By `{gpu['command']}` on {gpu['device']}, torch {gpu['torch']}.", ""]
        lines += _table([{"what": k, "figure": v} for k, v in _flat(gpu["figures"]).items()])
    return "\n".join(lines) + "\n"


def _flat(values: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{name}, ")
        else:
            flat[f"{before}{name}".replace("_", " ")] = value
    return flat


def _table(lines: list[dict[str, Any]]) -> list[str]:
    if not lines:
        return []
    heads = list(lines[0])
    made = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for line in lines:
        cells = ("" if line[head] is None else str(line[head]) for head in heads)
        made.append("| " + " | ".join(cells) + " |")
    return made
