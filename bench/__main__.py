"""`make bench`: what the service costs, each figure beside a baseline's in the same run.

`python -m bench NAME…` measures some of SECTIONS anew and keeps the others' figures; each states
its commit. Content is made here and weights are the embedded ones or random, so that no data is
needed. Writes bench/results/<machine>.json and bench/RESULTS.md.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from bench.speed import report

SECTIONS = ("voice", "transcripts", "text", "image", "server", "load", "scaling", "profile")


def main(only: list[str]) -> None:
    if unknown := set(only) - set(SECTIONS):
        sys.exit(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    path = report.RESULTS / f"{report.machine()}.json"
    earlier = json.loads(path.read_text()).get("sections", {}) if path.exists() else {}
    for name in only or SECTIONS:
        print(f"== {name}", flush=True)
        earlier[name] = _measured(name)
        report.write({name: earlier[name] for name in SECTIONS if name in earlier})
    print(f"wrote {path}")


def _measured(name: str) -> dict[str, Any]:
    started = time.monotonic()
    section = importlib.import_module(f"bench.speed.{name}").measure()
    return {
        **asdict(section),
        "seconds": round(time.monotonic() - started, 1),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=report.FOLDER)
    return done.stdout.strip()


if __name__ == "__main__":
    main(sys.argv[1:])
