"""`python -m bench.learn`: what 500 labels of an unknown domain teach, and what that costs.

A checkpoint is trained for this test from which waimai and one shopping category are withheld,
texts and labels: from scratch, on 15,000 rows of the other sets, one pass over their texts and one
over their labels, so that it is far weaker than the embedded one. Then, for each domain by itself,
500 of its train rows (400 to learn from, 100 held out) are learned beside a replay of what the
checkpoint was trained on. The gate judges on its frozen rows of the other domains. A third run has
no replay, a high learning rate and many epochs: the gate must refuse it.

Everything was chosen on `train` and `dev`, the category by `python -m bench.learn choose`. `test`
is read here, once a run. What was made stays in build/learn and is not made again.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch import nn

from modalities import checkpoint
from modalities.reading import EMOTIONS, SENTIMENTS
from modalities.text.model import TextModel
from training import checks, hashes, text, text_base
from training.evaluation.judge import Classified, judge_rows
from training.learn import gate, gate_sets
from training.learn import text as recipe
from training.learn.rows import sample
from training.options import Options
from training.rows import Row, held_emotions, sets_of
from training.text_examples import Example, examples
from training.wide import fit_wide

FOLDER = Path("build/learn/withheld")
CATEGORY = "蒙牛"  # of shopping: milk
N_TRAIN, N_DEV, N_REPLAY, N_CALIBRATE = 15_000, 2_500, 8_000, 1_500
N_NEW, N_HELD_OUT = 500, 100
FORGETFUL = Options(epochs=12, learning_rate=1e-2)
N_CHOICE, CHOICE_ITERATIONS = 800, 25  # train rows asked beside `dev`; of the wide path's fit


def domain_of(row: Row) -> str:
    """Which of the withheld domains a row is of; empty for none."""
    if row.data_set == "waimai":
        return "waimai"
    return CATEGORY if row.data_set == "shopping" and row.source == CATEGORY else ""


def main() -> None:
    torch.set_num_threads(1)
    started = time.monotonic()
    rows = checks.prepare("text", sets_of("text")).rows
    known = [row for row in rows if not domain_of(row)]
    train = _sampled([row for row in known if row.split == "train"], N_TRAIN)
    gate_rows, rest = gate_sets.divided("text", [row for row in known if row.split == "dev"])
    dev = _sampled(rest, N_DEV)
    told = _timed("rows read", started)
    parent = FOLDER / "text.safetensors"
    if not parent.exists():
        _train(train, dev, parent)
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


def _train(train: Sequence[Row], dev: Sequence[Row], out: Path) -> None:
    base = FOLDER / "pretrained.safetensors"
    if not base.exists():
        texts = [row.content for row in train]
        model, tokenizer = text_base.start(None, texts, FOLDER / "pretraining", 1, text.SEED)
        checkpoint.save(
            base, model.dims, model.state_dict(), tokenizer=tokenizer.to_str(), recipe={}
        )
    options = Options(base=str(base), epochs=1, learning_rate=1e-3)
    text.train([*train, *dev], FOLDER / "run", out, options)
    hashes.save(out, train)


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
    new = _sampled([row for row in mine if row.split == "train"], N_NEW)
    new = [replace(row, data_set="new") for row in new]
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


def choose() -> None:
    """Print what the wide path alone knows of each category of shopping from the other rows: the
    less, the more there is to learn."""
    torch.set_num_threads(1)
    rows = checks.prepare("text", sets_of("text")).rows
    rows = [row for row in rows if row.split != "test"]
    model, tokenizer = text_base.start("embedded", [], FOLDER, 0, text.SEED)
    held = held_emotions(rows)
    for name in sorted({row.source for row in rows if row.data_set == "shopping"}):
        mine: list[Row] = []
        others: list[Row] = []
        for row in rows:
            is_mine = row.data_set == "shopping" and row.source == name
            (mine if is_mine else others).append(row)
        train = [row for row in others if row.split == "train" and row.data_set != "waimai"]
        spare = [row for row in mine if row.split == "train"]
        asked = [row for row in mine if row.split == "dev"]
        asked += _sampled(spare, min(N_CHOICE, len(spare)))
        learned, judged = (
            examples(part, held, tokenizer, model.dims)
            for part in (_sampled(train, N_TRAIN), asked)
        )
        figure = _wide_alone(model, learned, judged)
        print(f"{name}: macro-F1 {figure:.1f} of {len(asked)} rows", flush=True)


def _wide_alone(model: TextModel, learned: Sequence[Example], judged: Sequence[Example]) -> float:
    """Macro-F1 of sentiments, in points, of a table fitted anew."""
    nn.init.zeros_(model.wide.table.weight)
    targets = text.wide_targets(learned)
    bias = fit_wide(model.wide, targets, text.WIDE_STRENGTH, CHOICE_ITERATIONS)
    sizes = [len(SENTIMENTS), len(EMOTIONS)]
    sentiment, _ = text.logits(
        lambda ids, mask: (model.wide(ids, mask) + bias).split(sizes, -1), model, judged
    )
    truth = np.array([item.sentiment for item in judged])
    classes = np.unique(truth)
    answer = classes[sentiment[:, classes].argmax(-1).numpy()]
    return 100 * float(f1_score(truth, answer, average="macro"))


def _macro_f1(rows: Sequence[Row], path: Path) -> float:
    (result,) = judge_rows("text", rows, path)
    assert isinstance(result, Classified)
    return 100 * result.figures.macro_f1


def _sampled(rows: Sequence[Row], n: int) -> list[Row]:
    return random.Random(text.SEED).sample(list(rows), n)


def _timed(step: str, since: float) -> float:
    print(f"{step}: {time.monotonic() - since:.0f} s", flush=True)
    return time.monotonic()


if __name__ == "__main__":
    choose() if sys.argv[1:] == ["choose"] else main()
