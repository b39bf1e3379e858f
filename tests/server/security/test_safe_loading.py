"""Nothing is loaded in a way that could run what it holds. (Ruff's rules S say the rest: no
pickle, no eval, no shell.)"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PARTS = ("fusion", "modalities", "server", "training", "bench", "weights")
TOLD = re.compile(r"\b(weights_only|allow_pickle|trust_remote_code) *= *(\w+)")
SAFE = {("weights_only", "True"), ("allow_pickle", "False"), ("trust_remote_code", "False")}


def test_no_loader_is_told_to_trust() -> None:
    files = [path for part in PARTS for path in (ROOT / part).rglob("*.py")]
    told = [found for path in files for found in TOLD.findall(path.read_text())]
    assert len(told) > 5
    assert set(told) <= SAFE
