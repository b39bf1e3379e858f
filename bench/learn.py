"""`python -m bench.learn`: what 500 labels of an unknown domain teach, and what that costs.

A checkpoint is trained for this test from which waimai and one shopping category are withheld,
texts and labels: by the shipped weights' recipe, from multilingual E5, but with one round a stage
and on 15,000 rows of the other sets, so that it is weaker than the embedded one. Then, for each
domain by itself, 500 of its train rows (400 to learn from, 100 held out) are learned beside a
replay of what the checkpoint was trained on. The gate judges on its frozen rows of the other
domains. A third run has no replay, a high learning rate and many epochs: the gate must refuse it.

Everything was chosen on `train` and `dev`. `test` is read here, once a run. What was made stays in
build/learn and is not made again.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from modalities import checkpoint
from training import checks, hashes, text
from training.evaluation.judge import Classified, judge_rows
from training.learn import gate, gate_sets
from training.learn import text as recipe
from training.learn.rows import sample
from training.options import Options
from training.rows import Row, sets_of

FOLDER = Path("build/learn/withheld")
CATEGORY = "蒙牛"  # of shopping: milk
N_TRAIN, N_DEV, N_REPLAY, N_CALIBRATE = 15_000, 2_500, 8_000, 1_500
N_NEW, N_HELD_OUT = 500, 100
FORGETFUL = Options(epochs=12, learning_rate=1e-2)


def domain_of(row: Row) -> str:
    """Which of the withheld domains a row is of; empty for none."""
    if row.data_set == "waimai":
        return "waimai"
    return CATEGORY if row.data_set == "shopping" and row.source == CATEGORY else ""


def main() -> None:
    torch.set_num_threads(2)
    started = time.monotonic()
    rows = checks.prepare("text", sets_of("text")).rows
    known = [row for row in rows if not domain_of(row)]
    train = sample([row for row in known if row.split == "train"], N_TRAIN)
    gate_rows, rest = gate_sets.divided("text", [row for row in known if row.split == "dev"])
    dev = sample(rest, N_DEV)
    told = _timed("rows read", started)
    parent = FOLDER / "text.safetensors"
    if not parent.exists():
        text.train([*train, *dev], FOLDER / "run", parent, Options(epochs=1))
        hashes.save(parent, train)
    told = _timed("checkpoint", told)
    results: dict[str, Any] = {"parent": checkpoint.sha256(parent), "rows": len(train)}
    for name in ("waimai", CATEGORY):
        mine = [row for row in rows if domain_of(row) == name]
        results[name] = _learned(name, mine, parent, train, dev, gate_rows, N_REPLAY, Options())
        told = _timed(name, told)
    mine = [row for row in rows if domain_of(row) == "waimai"]
    results["without replay"] = _learned(
        "forgetful", mine, parent, train, dev, gate_rows, 0, FORGETFUL
    )
    _timed("without replay", told)
    path = Path(__file__).parent / "results" / "learn.json"
    path.write_text(json.dumps(results, ensure_ascii=False, indent=2) + "\n")
    print(f"wrote {path}")


def _learned(
    name: str,
    mine: Sequence[Row],
    parent: Path,
    train: Sequence[Row],
    dev: Sequence[Row],
    gate_rows: Sequence[Row],
    n_replay: int,
    options: Options,
) -> dict[str, Any]:
    """Macro-F1 on the domain's test split before and after, in points, and the gate's report."""
    spare = [row for row in mine if row.split == "train"]
    new = [replace(row, data_set="new") for row in random.Random(text.SEED).sample(spare, N_NEW)]
    held_out = [replace(row, split="dev") for row in new[:N_HELD_OUT]]
    out = FOLDER / name / "text.safetensors"
    if not out.exists():
        judged = held_out + sample(dev, N_CALIBRATE)
        replay = sample(train, n_replay) if n_replay else []
        recipe.learn(parent, new[N_HELD_OUT:], replay, judged, out.parent / "run", out, options)
    test, on_dev = ([row for row in mine if row.split == split] for split in ("test", "dev"))
    before, after = (_macro_f1(test, path) for path in (parent, out))
    dev_before, dev_after = (_macro_f1(on_dev, path) for path in (parent, out))
    report = gate.judge("text", gate_rows, parent, out)
    print(f"{name}: macro-F1 on dev {dev_before:.2f} → {dev_after:.2f}")
    print(f"{name}: macro-F1 on test {before:.2f} → {after:.2f} ({after - before:+.2f})")
    for one in (report.pooled, *report.sets):
        print(f"  {one.name}: {one.change:+.2f} [{one.low:+.2f}, {one.high:+.2f}], n {one.n:,}")
    print("  " + ("; ".join(report.reasons) or "the gate passes it"), flush=True)
    return {
        "test_rows": len(test),
        "before": before,
        "after": after,
        "dev_rows": len(on_dev),
        "dev_before": dev_before,
        "dev_after": dev_after,
        "replay": n_replay,
        "options": asdict(options),
        "gate": report.to_json(),
    }


def _macro_f1(rows: Sequence[Row], path: Path) -> float:
    (result,) = judge_rows("text", rows, path)
    assert isinstance(result, Classified)
    return 100 * result.figures.macro_f1


def _timed(step: str, since: float) -> float:
    print(f"{step}: {time.monotonic() - since:.0f} s", flush=True)
    return time.monotonic()


if __name__ == "__main__":
    main()
