"""One run of learning: rows, a candidate, its dependants, the gate's word on it, its card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import weights
from modalities.checkpoint import sha256
from modalities.errors import EmotionError, InputError, UnavailableError
from training import hashes
from training.evaluation.judge import heads_of
from training.learn import gate, gate_sets, pseudo
from training.learn import text as text_recipe
from training.learn.registry import EMBEDDED, Registry, Version
from training.learn.rows import Learning, gather
from training.loop import fingerprint
from training.options import Options
from training.rows import Row

N_DEV = 3000  # rows of the shipped sets' dev that stop and calibrate
REPEATS = 4  # of a new row beside one of the replay's, voice and image
N_REPLAY = {"text": 8000, "voice": 100_000, "image": 100_000}


class RefusedError(EmotionError):
    """The gate refuses the candidate; the message says why."""


@dataclass(frozen=True)
class Wanted:
    """What a run is to learn from; `precision` in [0, 1] is asked of pseudo-labels."""

    manifest: Path
    n_replay: int
    pseudo: Path | None = None
    precision: float = 0.95


def learn(part: str, wanted: Wanted, out: Path, registry: Registry, options: Options) -> Version:
    """Learn, ask the gate, and add the candidate to the registry as a version not yet served.

    `out` gets the candidate, its dependants and card.json, whatever the gate says. Raises
    RefusedError where it refuses; UnavailableError where the part cannot learn so, somebody else
    learns it, or the registry cannot be written; InputError on rows that cannot be learned from.
    """
    with registry.learning(part):
        version = registry.current(part)
        parent = version.checkpoint if version else weights.path_of(part)
        unlabelled = pseudo.read(part, wanted.pseudo) if wanted.pseudo else []
        rows = gather(part, str(wanted.manifest), wanted.n_replay, N_DEV, unlabelled)
        head = heads_of(rows.new)[0]
        added, least = (
            pseudo.label(part, parent, rows.unlabelled, rows.dev, head, wanted.precision)
            if unlabelled
            else ([], None)
        )
        candidate = out / f"{part}.safetensors"
        _train(part, parent, rows, added, out, options)
        _note_trained(parent, candidate, rows.new + added)
        report = gate.judge(part, rows.gate, parent, candidate)
        card = {
            "parent": {"version": version.name if version else EMBEDDED, "sha256": sha256(parent)},
            "data": {
                "manifest": {"sha256": sha256(wanted.manifest), "rows": len(rows.new)},
                "replay": {"sha256": _digest(rows.replay), "rows": len(rows.replay)},
                "pseudo": {"rows": len(added), "least_confidence": least, "of": len(unlabelled)},
                "gate": {"sha256": sha256(gate_sets.path_of(part)), "rows": len(rows.gate)},
            },
            "gate": report.to_json(),
        }
        (out / "card.json").write_text(json.dumps(card, ensure_ascii=False, indent=2) + "\n")
        if not report.passed:
            raise RefusedError("the gate refuses it: " + "; ".join(report.reasons))
        if part == "text":
            _refit_satisfaction(candidate)
        return registry.add(part, out, card)


def _train(
    part: str, parent: Path, rows: Learning, added: Sequence[Row], out: Path, options: Options
) -> None:
    candidate, run_dir = out / f"{part}.safetensors", out / "run"
    if part == "text":
        text_recipe.learn(
            parent, rows.new, rows.replay, rows.dev, run_dir, candidate, options, added
        )
        return
    recipe = import_module(f"training.{part}")
    learned = [*rows.new * REPEATS, *added, *rows.replay, *rows.dev]
    try:
        peft = None if part == "voice" else options.peft  # its encoder is used as it is
        recipe.train(learned, run_dir, candidate, replace(options, base=str(parent), peft=peft))
    except InputError as error:
        if error.field != "peft":
            raise
        raise UnavailableError(
            f"the {part} encoder {parent.name} cannot learn by adapters: {error.reason}",
            f"train on from it: emotion train {part} --base {parent} --data MANIFEST and the sets",
        ) from error


def _note_trained(parent: Path, candidate: Path, new: Sequence[Row]) -> None:
    """What the parent was trained on, the candidate was, too."""
    known = hashes.beside(parent)
    before = np.load(known) if known.is_file() else np.zeros(0, np.uint64)
    np.save(hashes.beside(candidate), np.union1d(before, hashes.trained_hashes(new)))


def _refit_satisfaction(candidate: Path) -> None:
    """The head reads the text model's embeddings, and fits no other model's."""
    from training import satisfaction

    satisfaction.train(candidate, candidate.with_name("satisfaction.safetensors"))


def _digest(rows: Sequence[Row]) -> Any:
    return fingerprint([(row.data_set, row.content, row.label) for row in rows])
