"""`make acceptance ISSUE=service`: run an issue's checks, write bench/acceptance/<issue>.json.

`python -m bench.acceptance service NAME…` reruns some of them and replaces their entries; each
entry states the commit that it was run on.

An issue is a module beside this one with `CHECKS`: name → a function that returns its figures and
whether they pass. A check that raises fails; so does one whose tests were skipped.
"""

from __future__ import annotations

import importlib
import json
import platform
import subprocess
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def main(issue: str, only: list[str]) -> int:
    module = importlib.import_module(f"bench.acceptance.{issue}")
    path = FOLDER / f"{issue}.json"
    results: dict[str, Any] = {}
    for name in only or module.CHECKS:
        print(f"== {name}", flush=True)
        started = time.monotonic()
        try:
            figures, passed = module.CHECKS[name]()
        except Exception:
            traceback.print_exc()
            figures, passed = {"error": traceback.format_exc(limit=1).splitlines()[-1]}, False
        print(
            f"{'pass' if passed else 'FAIL'} {json.dumps(figures, ensure_ascii=False)}", flush=True
        )
        results[name] = {
            "passed": bool(passed),
            "figures": figures,
            "seconds": round(time.monotonic() - started, 1),
            "commit": _git("rev-parse", "--short=12", "HEAD"),
            "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        }
    earlier = json.loads(path.read_text())["checks"] if path.exists() else {}
    results = {
        name: (earlier | results)[name] for name in module.CHECKS if name in earlier | results
    }
    report = {
        "command": f"make acceptance ISSUE={issue}",
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "passed": len(results) == len(module.CHECKS)
        and all(result["passed"] for result in results.values()),
        "checks": results,
    }
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    print(f"wrote {path}")
    return 0 if report["passed"] else 1


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=FOLDER)
    return done.stdout.strip()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: make acceptance ISSUE=<name>")
    sys.exit(main(sys.argv[1], sys.argv[2:]))
