"""`python -m bench.screenshots generate|score`: the benchmark of chat screenshots.

    generate --split dev --out build/screenshots/dev --seed 1
    score build/screenshots/dev --ocr-cache build/screenshots/ocr
    emoji --split dev --out build/screenshots/emoji    draws a series with emoji and judges it

`score` prints a table and, with --json, writes every figure; see score.py for what they mean. The
figures that are published are of split test, whose layouts nothing was tuned on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import get_args

from bench.screenshots import report
from bench.screenshots.readers import READERS
from bench.screenshots.texts import Split


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.screenshots")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("generate", help="render screenshots with their truth")
    make.add_argument("--split", choices=get_args(Split), required=True)
    make.add_argument("--out", type=Path, required=True)
    make.add_argument("--seed", type=int, default=1)
    emoji = commands.add_parser("emoji", help="draw a series with emoji, and judge our reader")
    emoji.add_argument("--split", choices=get_args(Split), required=True)
    emoji.add_argument("--out", type=Path, required=True)
    emoji.add_argument("--seed", type=int, default=1)
    emoji.add_argument("--ocr-cache", type=Path, help="keep what the OCR read here")
    score = commands.add_parser("score", help="judge readers on screenshots")
    score.add_argument("folder", type=Path)
    score.add_argument("--ocr-cache", type=Path, help="keep what the OCR read here")
    score.add_argument("--readers", nargs="+", choices=READERS, default=["ours", "plain OCR"])
    score.add_argument("--only", nargs="+", default=[""], help="names contain one of these")
    score.add_argument("--faults", type=Path, help="write what went wrong in each picture here")
    score.add_argument("--speed", action="store_true", help="measure latency and memory, too")
    score.add_argument("--json", type=Path, help="write the figures here")
    score.add_argument("--markdown", type=Path, help="write the table here")
    arguments = parser.parse_args()
    if arguments.command == "generate":
        from bench.screenshots.generate import generate

        generate(arguments.split, arguments.out, arguments.seed)
        return
    if arguments.command == "emoji":
        from bench.screenshots import emoji as series

        series.generate(arguments.split, arguments.out, arguments.seed)
        print(json.dumps(series.score(arguments.out, arguments.ocr_cache), indent=2))
        return
    made = report.score(
        arguments.folder, arguments.readers, arguments.ocr_cache, arguments.only, arguments.faults
    )
    if arguments.speed:
        from bench.screenshots import speed

        made["speed"] = speed.measure(arguments.folder)
    text = report.markdown(made)
    print(text)
    if arguments.json:
        arguments.json.write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n")
    if arguments.markdown:
        arguments.markdown.write_text(text)


if __name__ == "__main__":
    main()
