"""Issue 'Chat screenshots and pictures': its 'Must show' and bad input, at full size.

Screenshots of the held-out layouts are rendered anew; what the OCR read of them is kept in build/.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from bench import stickers
from bench.acceptance.service import BUILD, ROOT, Outcome, tests
from bench.screenshots import report, speed
from bench.screenshots.generate import generate

SEED, LEAST_PICTURES = 1, 300
SIDES, ORDER, KEPT_OUT = 0.98, 0.95, 0.97
ERRORS = {"clean": 0.03, "damaged": 0.08}
LATENCY_RATIO = 1.3
PEAK_MIB = 1200  # of a process that reads 1080 × 20000, models included
LEAST_STICKERS = 300
RESULTS = ROOT / "bench" / "results"


@cache
def _pictures() -> Path:
    folder = BUILD / "screenshots" / "test"
    generate("test", folder, SEED)
    return folder


@cache
def _found() -> dict[str, Any]:
    made = report.score(
        _pictures(), ("ours", "plain OCR", "tesseract"), BUILD / "screenshots" / "ocr"
    )
    RESULTS.joinpath("screenshots.json").write_text(
        json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    )
    RESULTS.joinpath("screenshots.md").write_text(report.markdown(made))
    return made


def _share(key: str, unit: str, least: float) -> Outcome:
    """A share of our reader's over all pictures, and of the clean and the damaged ones."""
    ours = _found()["readers"]["ours"]
    figures = {part: ours[part][key] for part in ERRORS}
    weights = {part: ours[part][unit] for part in ERRORS}
    shares = sum(figures[part] * weights[part] for part in ERRORS) / sum(weights.values())
    figures["all"] = round(shares, 4)
    return figures, _found()["pictures"] >= LEAST_PICTURES and figures["all"] >= least


def character_errors() -> Outcome:
    ours = _found()["readers"]["ours"]
    figures = {part: ours[part]["character_error_rate"] for part in ERRORS}
    return figures, all(figures[part] <= most for part, most in ERRORS.items())


def beside_baselines() -> Outcome:
    """Our reader above plain OCR and tesseract in sides and order; neither may be skipped."""
    keys = ("side", "order_exact")
    readers = _found()["readers"]
    figures = {name: {key: parts["clean"][key] for key in keys} for name, parts in readers.items()}
    ours = figures["ours"]
    better = [ours[key] > one[key] for n, one in figures.items() if n != "ours" for key in keys]
    return figures, not _found()["skipped"] and all(better)


def merged_pages() -> Outcome:
    figures = _found()["merged"]
    return figures, figures["exact"] == figures["series"] > 0


@cache
def _speed() -> dict[str, Any]:
    return speed.measure(_pictures())


def latency() -> Outcome:
    figures = {key: value for key, value in _speed().items() if key != "peak_mib"}
    return figures, figures["latency_ratio"] <= LATENCY_RATIO


def memory() -> Outcome:
    figures = _speed()["peak_mib"]
    return figures, max(figures.values()) <= PEAK_MIB


def sticker_emotions() -> Outcome:
    """Macro-F1 above the majority's and, picture and text together, above the text's alone."""
    stickers.main()
    figures = json.loads((RESULTS / "stickers.json").read_text())
    every = figures["macro_f1"]["all"]
    held = every["picture and text"] > max(every["majority"], every["text"])
    return figures, held and figures["stickers"] >= LEAST_STICKERS


CHECKS: dict[str, Callable[[], Outcome]] = {
    "sides": partial(_share, "side", "messages", SIDES),
    "order": partial(_share, "order_exact", "pictures", ORDER),
    "character_errors": character_errors,
    "lines_kept_out": partial(_share, "kept_out", "pictures", KEPT_OUT),
    "beside_baselines": beside_baselines,
    "merged_pages": merged_pages,
    "latency_1080x2400": latency,
    "memory_1080x20000": memory,
    "stickers": sticker_emotions,
    "same_as_text": partial(tests, "tests/server/test_pictures.py", "-k", "same_text"),
    "bad_input": partial(
        tests,
        "tests/modalities/test_image_decode.py",
        "tests/modalities/test_image_odd_pictures.py",
    ),
    "layouts": partial(
        tests, "tests/modalities/test_image_chat.py", "tests/modalities/test_image_layouts.py"
    ),
}
